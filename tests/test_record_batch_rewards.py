"""The script behind the recorded sweep of chapter 06, at toy size on embedded data."""

import math
from dataclasses import replace

import pytest

from eae_book.records import load_records

EXPERIMENT = "batch-rewards"


@pytest.fixture
def words(tmp_path):
    sizes = "--dataset digits --limit 120 --hidden 32 --latent-dim 3 --epochs 2 --samples 150"
    grid = "--batch-sizes 20 --ks 1 --weights 1 --seeds 0"
    return [*sizes.split(), *grid.split(), "--records", str(tmp_path)]


NAME = "digits120-hidden32-d3-epochs2-batch20-k1-eae-weight1-seed0"


def test_a_run_leaves_a_record_of_codes_and_samples(script, words, tmp_path):
    assert script.main(words) == 0
    (record,) = load_records(EXPERIMENT, tmp_path)
    assert record.run == NAME
    assert record.parameters["k"] == record.parameters["entropy_weight"] == 1
    lengths = {name: len(curve) for name, curve in record.curves.items()}
    assert {lengths.pop(term) for term in ("loss", "reconstruction", "entropy")} == {2}
    assert len(set(lengths.values())) == 1, "quantiles of axes and norms at the same ranks"
    low, high = (record.curves[f"{end}_axis_quantiles"] for end in ("lowest", "highest"))
    assert all(a <= b for a, b in zip(low, high, strict=True))
    assert low == sorted(low)
    for field in script.JUDGED:
        assert math.isfinite(record.metrics[field])
        assert math.isfinite(record.metrics[f"standardized_{field}"])
    # 297 codes in three dimensions: the law's entropy is 4.257 nats, and codes have less.
    for prefix in ("", "standardized_"):
        gap, entropy = (record.metrics[prefix + key] for key in ("entropy_gap", "entropy"))
        assert gap + entropy == pytest.approx(4.257, abs=0.05)
    assert record.metrics["frechet_distance_samples"] > 0


def test_the_grid_is_whole_for_every_seed_and_k_counts_only_with_an_entropy_term(script, words):
    sizes, rest = ["--batch-sizes", "20", "40"], ["--weights", "0", "1", "--seeds", "0", "1"]
    runs = script.planned(script.parse([*words, *sizes, "--ks", "1", "2", *rest]))
    kinds = [(run.batch_size, run.entropy_weight, run.k) for run in runs if run.seed == 0]
    assert kinds == [(20, 0, 1), (20, 1, 1), (20, 1, 2), (40, 0, 1), (40, 1, 1), (40, 1, 2)]
    assert [run.seed for run in runs] == [0] * 6 + [1] * 6
    assert len({run.name for run in runs}) == 12


def test_a_plain_autoencoder_has_no_constraint_and_no_entropy(script, words, tmp_path):
    assert script.main([*words, "--plain"]) == 0
    (record,) = load_records(EXPERIMENT, tmp_path)
    assert record.parameters["model"] == "ae"
    assert "-ae-" in record.run
    assert "entropy" not in record.curves
    assert "norm_score_quantiles" in record.curves


def test_a_recorded_run_is_skipped_and_one_of_other_size_refused(script, words, capsys):
    assert script.main(words) == 0
    assert script.main(words) == 0
    assert "1 runs, 1 of them recorded already" in capsys.readouterr().out
    assert script.main([*words, "--samples", "160"]) == 1
    assert (
        f"{NAME} has a record that does not hold: samples is 150, asked is 160"
        in capsys.readouterr().err
    )


def test_a_stopped_run_is_not_recorded(script, words, tmp_path, monkeypatch, capsys):
    fit = script.fit
    monkeypatch.setattr(script, "fit", lambda *a, **o: replace(fit(*a, **o), interrupted=True))
    assert script.main(words) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert not (tmp_path / EXPERIMENT).exists()


def test_runs_of_a_seed_share_their_first_weights(script, words):
    run = script.planned(script.parse(words))[0]
    others = [replace(run, entropy_weight=0.0), replace(run, model="ae"), replace(run, seed=1)]
    first, *rest = (script.dense_model(r, (1, 32, 32)).decoder[0].weight for r in [run, *others])
    assert [first.equal(weight) for weight in rest] == [True, True, False]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--batch-sizes", "2"], "batch_size 2 is too small"),
        (["--weights", "-1"], "entropy_weight must be finite and at least 0"),
        (["--epochs", "0"], "epochs must be a whole number of at least 1"),
    ],
)
def test_bad_sizes_are_one_line_and_no_record(script, words, tmp_path, capsys, option, message):
    assert script.main([*words, *option]) == 1
    error = capsys.readouterr().err
    assert error.startswith("record_batch_rewards: ")
    assert message in error
    assert not (tmp_path / EXPERIMENT).exists()


def test_help_shows_an_example(script, capsys):
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    assert end.value.code == 0
    assert "--latent-dim 64 --batch-sizes 100 --ks 1" in capsys.readouterr().out
