"""The script that puts repeated runs beside their records, on records made up for it."""

from dataclasses import replace

import compare_records as script
import pytest

from eae_book.records import load_records, new_record, write_record

WAS = {"error": 10.0, "fd_classifier_standard": 40.0, "images_per_second": 100.0, "n": 5.0}


def a_record(seed, error, *, classifier="a", experiment="models-demo", **metrics):
    return new_record(
        experiment,
        f"digits-ae-seed{seed}",
        parameters={"dataset": "digits", "extractors": {"FD-classifier": classifier}},
        metrics={**WAS, "error": error, **metrics},
        seeds=[seed],
    )


@pytest.fixture
def compared(tmp_path, capsys):
    """Status and output for a repeated record, beside three seeds around 10 with deviation 1."""
    for seed, error in enumerate((9.0, 10.0, 11.0)):
        write_record(a_record(seed, error), tmp_path / "results")

    def compared(record, *words):
        write_record(record, tmp_path / "again")
        folders = [str(tmp_path / "again"), "--records", str(tmp_path / "results")]
        return script.main([*folders, *words]), capsys.readouterr().out

    return compared


def test_a_difference_as_between_seeds_is_the_same_run(compared):
    status, said = compared(a_record(1, 11.0, images_per_second=7.0))
    assert status == 0
    # (11 - 10) / 10 in units of sqrt(2) times a relative deviation of 0.1
    assert "1 numbers differ by 0.71 standard deviations over seeds" in said
    assert "images_per_second" not in said


def test_a_larger_difference_is_another_run(compared):
    status, said = compared(a_record(1, 18.0))
    assert status == 1
    assert "NOT the same" in said
    assert "<- far" in said
    assert "1 differ by more than another processor explains: digits-ae-seed1" in said


def test_distances_by_another_classifier_are_shown_and_not_counted(compared):
    far = {"fd_classifier_standard": 80.0}
    assert compared(a_record(1, 10.0, **far))[0] == 1
    status, said = compared(a_record(1, 10.0, classifier="b", **far))
    assert status == 0
    assert "(another classifier)" in said


def test_without_seeds_numbers_must_agree(tmp_path, capsys):
    old = replace(a_record(0, 10.0, experiment="ground-truth"), run="estimators")
    write_record(old, tmp_path / "results")
    words = [str(tmp_path / "again"), "--records", str(tmp_path / "results")]
    for metrics, status in (({"error": 10.0 + 1e-6}, 0), ({"error": 10.1}, 1)):
        write_record(replace(old, metrics={**WAS, **metrics}), tmp_path / "again")
        assert script.main(words) == status
    write_record(replace(old, run="other"), tmp_path / "again")
    assert script.main(words) == 1
    assert "ground-truth/other has no record to compare it with" in capsys.readouterr().err


def test_a_comparison_is_kept_with_both_numbers(compared, tmp_path):
    compared(a_record(1, 11.0), "--write")
    (kept,) = load_records("repeats", tmp_path / "results")
    assert kept.run == "models-demo-digits-ae-seed1"
    assert kept.metrics["error"] == [10.0, 11.0]
    assert kept.notes.endswith(": the same")
    assert kept.parameters["experiment"] == "models-demo"
