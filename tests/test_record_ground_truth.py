"""The script that holds the estimators against known laws, at toy size."""

import math

import pytest
import torch

from eae_book.records import load_records
from eae_core.entropy import knn_entropy


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def words(tmp_path, *more):
    sizes = "--dimensions 2 5 --sizes 60 --draws 3 --seed 4"
    return [*sizes.split(), "--records", str(tmp_path), *more]


def test_every_estimator_meets_every_law_on_the_same_samples(script, tmp_path, capsys):
    assert script.main(words(tmp_path)) == 0
    assert "recorded in" in capsys.readouterr().out
    (record,) = load_records("ground-truth", tmp_path)
    assert (record.run, record.seeds) == ("estimators", [4])
    rows = record.metrics["errors"]
    keys = {(row["law"], row["d"], row["n"], row["estimator"]) for row in rows}
    assert len(keys) == len(rows) == len(script.LAWS) * 2 * 6
    assert all(len(row["errors"]) == 3 for row in rows)
    law, generator = script.LAWS["cube"](5), torch.Generator().manual_seed(4)
    expected = [float(knn_entropy(law.sample(60, generator=generator))) for _ in range(3)]
    (found,) = [
        row["errors"]
        for row in rows
        if (row["law"], row["d"], row["estimator"]) == ("cube", 5, "k = 1")
    ]
    assert found == pytest.approx(expected, abs=1e-5)  # the entropy of a cube is 0


def test_a_seed_gives_the_same_record_and_another_seed_another(script, tmp_path):
    options = ["--laws", "cube", "--dimensions", "2"]
    for run, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert script.main(words(tmp_path, *options, "--run", run, "--seed", seed)) == 0
    a, b, c = (record.metrics for record in load_records("ground-truth", tmp_path))
    assert a == b != c


@pytest.mark.parametrize("d", [2, 6])
def test_the_bent_law_has_the_moments_and_the_entropy_it_states(script, d):
    law = script.bent_gaussian(d)
    z = law.sample(40_000, generator=torch.Generator().manual_seed(0))
    # Five standard errors; z_1^2 / 2 has a fourth central moment of 60 times its variance at most.
    assert ((z.mean(0) - law.mean).abs() < 5 * (law.variance / 40_000).sqrt()).all()
    torch.testing.assert_close(z.var(0), law.variance, rtol=5 * math.sqrt(60 / 40_000), atol=0)
    straight = z.clone()
    straight[:, 1] -= 0.5 * z[:, 0] ** 2
    log_volume = 0.5 * torch.linalg.slogdet(torch.cov(straight.T)).logabsdet
    assert float(log_volume) == pytest.approx(0, abs=5 * math.sqrt(d / 2 / 40_000) + d**2 / 40_000)
    with pytest.raises(ValueError, match="needs 2 dimensions"):
        script.bent_gaussian(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sizes", "3"], "k must lie in"),
        (["--dimensions", "0"], "dimension must be"),
        (["--draws", "0"], "draws"),
        (["--run", "No Name"], "run 'No Name'"),
    ],
)
def test_bad_sizes_are_one_line_and_no_record(script, tmp_path, capsys, options, message):
    assert script.main(words(tmp_path, "--laws", "cube", *options)) == 1
    error = capsys.readouterr().err
    assert "record_ground_truth: " in error
    assert message in error
    assert not list(tmp_path.iterdir())


def test_help_shows_an_example(script, capsys):
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    assert end.value.code == 0
    assert "python workflow/record_ground_truth.py --sizes" in capsys.readouterr().out
