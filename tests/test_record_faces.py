"""The script that makes the records of faces, at toy size on embedded data."""

import pytest
import torch

from eae_core.evaluation.sheets import read_sheet
from eae_core.records import load_records

NAME = "width1-d3-weight1-seed0"


@pytest.fixture
def words(tmp_path):
    sizes = "--dataset faces64 --width 1 --latent-dim 3 --epochs 1 --limit 60 --batch-size 20"
    folders = ["--records", str(tmp_path / "results"), "--checkpoints", str(tmp_path / "saved")]
    judging = "--test-limit 20 --device cpu --weights 1"
    return [*sizes.split(), *judging.split(), *folders]


def records(tmp_path):
    return load_records("eae-faces", tmp_path / "results")


def test_a_run_leaves_a_record_and_a_sheet_of_what_the_model_made(script, words, tmp_path):
    assert script.main(words) == 0
    (record,) = records(tmp_path)
    assert record.run == NAME
    assert record.parameters["spectral_norm"] is True
    assert record.seeds == [0]
    loss = record.curves["reconstruction"][0] - record.curves["entropy"][0]
    assert record.curves["loss"][0] == pytest.approx(loss, abs=1e-3)
    assert 1 <= record.metrics["used_dimensions"] <= 3
    assert record.metrics["linear_error"] < record.metrics["reconstruction_error"]
    assert record.metrics["gaussianity_n"] == 20
    assert not [name for name in record.metrics if "768" in name]
    assert record.notes == "drawn faces in place of CelebA"
    sheet = read_sheet(tmp_path / "results" / "eae-faces" / f"{NAME}.webp", (3, 64, 64))
    assert len(sheet) == 5  # two rows of samples, reconstructions, two paths: nothing original


def test_settings_have_names_and_options_of_their_own(script, words):
    def setting(*more):
        return script.Setting(script.parse([*words, *more]), 0.3, 1)

    assert setting().name == "width1-d3-weight0.3-seed1"
    assert setting("--k", "3").name == "width1-d3-weight0.3-k3-seed1"
    free = setting("--no-spectral-norm", "--tag", "again")
    assert free.name == "width1-d3-weight0.3-free-again-seed1"
    assert (free.options.spectral_norm, setting().options.spectral_norm) == (False, True)
    assert (setting("--k", "3").options.k, free.options.entropy_weight) == (3, 0.3)


def test_a_recorded_run_is_skipped_and_one_of_other_size_refused(script, words, capsys):
    assert script.main(words) == 0
    assert script.main(words) == 0
    assert "is recorded already" in capsys.readouterr().out
    assert script.main([*words, "--test-limit", "30"]) == 1
    refusal = capsys.readouterr().err
    assert f"{NAME} is recorded with test_limit = 20, asked is 30" in refusal
    assert "--tag" in refusal


def test_with_a_judge_the_record_holds_distances(script, words, tmp_path, monkeypatch):
    class Corner:
        """Features are the first pixels, so that distances are quickly made."""

        name, checksum = "FID-768", "none"

        def features(self, x):
            return x[:, :, 0, :2].flatten(1).cpu()  # (n, 6)

    monkeypatch.setenv("EAE_DATA", str(tmp_path))
    monkeypatch.setattr(script, "inception_features", lambda device: Corner())
    assert script.main([*words, "--judge", "12"]) == 0
    metrics = records(tmp_path)[0].metrics
    assert metrics["judged_images"] == 12
    for made in ("standard", "mixture", "reconstruction"):
        assert metrics[f"fid_768_{made}"] >= 0
        assert f"kid_768_{made}" in metrics
    assert metrics["fid_768_real"] >= 0


def test_a_stopped_run_is_not_recorded(script, words, tmp_path, monkeypatch, capsys):
    fit = script.fit

    def stopped(*given, **named):
        return script.History(fit(*given, **named).epochs, 1.0, 1.0, 0, interrupted=True)

    monkeypatch.setattr(script, "fit", stopped)
    assert script.main(words) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


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
    assert error.startswith("record_faces: ")
    assert message in error
    assert not (tmp_path / "results").exists()


def test_the_first_weights_do_not_depend_on_the_entropy_weight(script, words, tmp_path):
    seen = []
    build = script.build_model

    def noted(*given, **named):
        model = build(*given, **named)
        seen.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        return model

    script.build_model = noted
    try:
        assert script.main([*words, "--weights", "0", "2"]) == 0
    finally:
        script.build_model = build
    assert torch.equal(*seen)
