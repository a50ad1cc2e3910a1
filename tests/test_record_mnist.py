"""The script that makes full-size records, at toy size on embedded data."""

from dataclasses import replace

import pytest
from PIL import Image

from eae_core.records import load_records


@pytest.fixture
def words(tmp_path):
    sizes = "--width 2 --latent-dim 3 --epochs 2 --limit 100 --batch-size 50 --samples 120"
    judge = "--classifier-images 200 --classifier-epochs 1 --device cpu --weights 1"
    folders = ["--records", str(tmp_path / "results"), "--checkpoints", str(tmp_path / "saved")]
    return ["--dataset", "digits", *sizes.split(), *judge.split(), *folders]


NAME = "width2-d3-epochs2-limit100-weight1-seed0"


def test_a_run_leaves_a_record_and_a_sheet_of_samples(script, words, tmp_path):
    assert script.main(words) == 0
    (record,) = load_records("eae-digits", tmp_path / "results")
    assert record.run == NAME
    assert record.parameters["entropy_weight"] == 1.0
    assert record.seeds == [0]
    assert {name: len(curve) for name, curve in record.curves.items()} == {
        "loss": 2,
        "reconstruction": 2,
        "entropy": 2,
    }
    for epoch in range(2):  # the loss is what the chapter says it is
        loss = record.curves["reconstruction"][epoch] - record.curves["entropy"][epoch]
        assert record.curves["loss"][epoch] == pytest.approx(loss, abs=1e-3)
    assert record.metrics["batch_entropy"] == record.curves["entropy"][-1]
    # 3/2 log(2 pi e) is 4.257 nats; at n = 297 and n = 50 the estimate is a little off.
    for reference in ("gaussian_entropy_reference", "gaussian_batch_entropy_reference"):
        assert record.metrics[reference] == pytest.approx(4.257, abs=0.3)
    with Image.open(tmp_path / "results" / "eae-digits" / f"{NAME}.png") as sheet:
        assert (sheet.mode, sheet.size) == ("L", (256, 256))


def test_a_recorded_run_is_skipped_and_one_of_other_size_refused(script, words, capsys):
    assert script.main(words) == 0
    assert script.main(words) == 0
    assert "is recorded already" in capsys.readouterr().out
    assert script.main([*words, "--samples", "130"]) == 1
    refusal = capsys.readouterr().err
    assert f"{NAME} is recorded with samples = 120, asked is 130" in refusal
    assert "--tag" in refusal
    assert script.main([*words, "--samples", "130", "--again"]) == 0
    assert script.main([*words, "--tag", "other"]) == 0


def test_a_stopped_run_is_not_recorded_and_goes_on(script, words, tmp_path, monkeypatch, capsys):
    fit = script.fit

    def stopped(model, images, options, *, checkpoint, resume):
        history = fit(model, images, replace(options, epochs=1), checkpoint=checkpoint)
        return replace(history, interrupted=True)

    monkeypatch.setattr(script, "fit", stopped)
    assert script.main(words) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    monkeypatch.setattr(script, "fit", fit)
    assert script.main(words) == 0
    (resumed,) = load_records("eae-digits", tmp_path / "results")
    assert script.main([*words, "--tag", "whole"]) == 0
    whole = load_records("eae-digits", tmp_path / "results")[-1]
    assert whole.run != resumed.run
    assert whole.curves == resumed.curves


def test_weights_share_their_first_weights_and_their_judge(script, words, tmp_path):
    assert script.main([*words, "--weights", "0", "0.05"]) == 0
    records = load_records("eae-digits", tmp_path / "results")
    assert [record.parameters["entropy_weight"] for record in records] == [0.0, 0.05]
    accuracies = {record.metrics["classifier_accuracy"] for record in records}
    assert len(accuracies) == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--batch-size", "2"], "batch_size 2 is too small"),
        (["--weights", "-1"], "entropy_weight must be finite and at least 0"),
        (["--width", "0"], "width must be at least 1"),
    ],
)
def test_bad_sizes_are_one_line_and_no_record(script, words, tmp_path, capsys, option, message):
    assert script.main([*words, *option]) == 1
    error = capsys.readouterr().err
    assert error.startswith("record_mnist: ")
    assert message in error
    assert not (tmp_path / "results").exists()


def test_help_shows_an_example(script, capsys):
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    assert end.value.code == 0
    assert "python workflow/record_mnist.py --weights 0 0.05 1" in capsys.readouterr().out
