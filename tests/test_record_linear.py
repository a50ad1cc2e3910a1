"""The yardstick of principal components: measured once, on the images it names."""

import pytest
import record_linear

from eae_book.long_runs import linear_error
from eae_book.studies.linear_code import fit_linear_code
from eae_core.data import load_images


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    """The embedded digits in the place of MNIST."""
    monkeypatch.setattr(
        record_linear, "load_images", lambda _, *split: load_images("digits", *split, limit=200)
    )


def test_a_size_is_recorded_once_and_read_by_chapters(tmp_path, capsys):
    words = ["--datasets", "mnist", "--dims", "3", "--records", str(tmp_path)]
    assert record_linear.main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out == "record 1 of 1: mnist-d3\n"
    assert not list(tmp_path.rglob("*.json"))
    assert record_linear.main(words) == 0
    linear = fit_linear_code(load_images("digits", limit=200), 3)
    error = linear.reconstruction_error(load_images("digits", "test", limit=200))
    assert linear_error("mnist", 3, tmp_path) == pytest.approx(error)
    capsys.readouterr()
    assert record_linear.main(words) == 0
    assert capsys.readouterr().out == ""
