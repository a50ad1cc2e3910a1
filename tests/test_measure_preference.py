"""The script that records what terms prefer: what it writes, skips and refuses."""

import pytest

from eae_book.records import load_records, stale

WORDS = ["--sizes", "20", "--dims", "3", "--least", "3", "--points", "60"]


def test_one_record_a_size_that_is_then_skipped(script, tmp_path, capsys):
    words = [*WORDS, "--records", str(tmp_path)]
    assert script.main(words) == 0
    (record,) = load_records("preference", tmp_path)
    assert (record.run, record.parameters["most"]) == ("n20-d3", 3)
    assert stale(record) == []
    assert set(record.revisions) == {"preference", "regularizers", "knn entropy"}
    found = record.metrics["radial"]
    assert found["batches"] == 3
    assert found["values"].keys() == found["errors"].keys()
    assert found["values"]["sphere"] > 0
    capsys.readouterr()
    assert script.main(words) == 0
    assert "1 of them recorded already" in capsys.readouterr().out
    assert load_records("preference", tmp_path) == [record]


def test_a_record_of_other_parameters_is_not_overwritten(script, tmp_path, capsys):
    assert script.main([*WORDS, "--records", str(tmp_path)]) == 0
    assert script.main([*WORDS[:-3], "4", *WORDS[-2:], "--records", str(tmp_path)]) == 1
    assert "least is 3, asked is 4" in capsys.readouterr().err


def test_a_dry_run_measures_nothing(script, tmp_path, capsys):
    assert script.main([*WORDS, "--dry-run", "--records", str(tmp_path)]) == 0
    assert "record 1 of 1: n20-d3" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        load_records("preference", tmp_path)
