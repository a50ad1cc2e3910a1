"""The script that counts claims at other seeds, on a tiny checkout."""

import pytest
from tiny_checkout import code, entry, write_manifest, write_notebook

from eae_book.records import load_records

EXPERIMENT = "claims"
SIZES = "seed = 0  # of everything\nsize = 4  # of the samples\n"
CLAIMS = """\
from eae_book.checks import check, check_close
print("no claim")
check("size", size, low=2)
check("the seed", seed, high=1)
check_close("nothing", 0, 0, tolerance=1)
"""


@pytest.fixture
def checkout(tmp_path):
    """One chapter whose second claim fails at seed 2."""
    write_manifest(tmp_path, entry(profiles={"quick": {"size": 3}, "cpu": {}, "paper": {}}))
    write_notebook(tmp_path, "01_first", code(CLAIMS), parameters=SIZES)
    return tmp_path


@pytest.fixture
def words(checkout):
    return ["--root", str(checkout), "--records", str(checkout / "records"), "--profiles", "quick"]


def test_claims_are_counted_at_each_seed_and_the_failing_ones_named(script, words, checkout):
    assert script.main([*words, "--seeds", "1", "2"]) == 0
    (record,) = load_records(EXPERIMENT, checkout / "records")
    assert (record.run, record.seeds) == ("01-quick", [1, 2])
    assert record.parameters == {"chapter": "01_first", "profile": "quick", "seeds": [1, 2]}
    assert record.metrics == {"claims": [3, 3], "failed": [0, 1]}
    assert record.notes == "seed 2 fails: the seed: value 2, band (-inf, 1]"
    assert record.seconds > 0
    assert record.peak_memory_bytes > 0


def test_a_recorded_chapter_is_not_run_again(script, words, checkout, capsys):
    assert script.main([*words, "--seeds", "1"]) == 0
    runs = sorted((checkout / "_runs").iterdir())
    assert script.main([*words, "--seeds", "1"]) == 0
    assert "1 to count, 1 recorded already" in capsys.readouterr().out
    assert sorted((checkout / "_runs").iterdir()) == runs
    assert script.main([*words, "--seeds", "2"]) == 1
    assert (
        "01-quick has a record that does not hold: seeds is [1], asked is [2]"
        in capsys.readouterr().err
    )


def test_a_dry_run_runs_nothing(script, words, checkout, capsys):
    assert script.main([*words, "--dry-run"]) == 0
    assert "record 1 of 1: 01-quick" in capsys.readouterr().out
    assert not (checkout / "_runs").exists()
    assert not (checkout / "records").exists()


def test_a_chapter_that_is_not_there_or_has_no_seed_is_one_line(script, words, checkout, capsys):
    assert script.main([*words, "--chapters", "secnod"]) == 1
    assert capsys.readouterr().err.startswith("record_claims: ")
    write_notebook(checkout, "01_first", code(CLAIMS), parameters="size = 4  # of the samples\n")
    assert script.main(words) == 1
    assert "seed" in capsys.readouterr().err
