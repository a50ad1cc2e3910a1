"""The verb runs: every run that can be listed is listed, whatever lies beside it."""

import json
import os

import pytest

from eae_core.cli.tables import print_table
from eae_core.files import write_json


@pytest.fixture
def runs(tmp_path):
    """A folder with one good run in it."""
    known = {"experiment": "train", "run": "digits-eae-d2", "created": "", "device": "a CPU"}
    known |= {"seconds": 1.5, "peak_memory_bytes": 2**30}
    write_json(known, tmp_path / "train-good" / "record.json")
    return tmp_path


def spoil(folder, content):
    folder.mkdir()
    if isinstance(content, bytes):
        (folder / "record.json").write_bytes(content)
    elif content == "folder":
        (folder / "record.json").mkdir()
    elif content == "locked":
        (folder / "record.json").write_text("{}")
        (folder / "record.json").chmod(0)
    elif content == "loop":
        (folder / "record.json").symlink_to("record.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": 99}',
        b'{"schema": 2, "experiment": 3}',
        b"{" + b" " * 2_000_000 + b"}",
        b'{"experiment": "", "run": "", "created": "", "device": "", "seconds": 1e999, '
        b'"peak_memory_bytes": 0}',
        "folder",
        "locked",
        "loop",
    ],
    ids=["empty", "binary", "deep", "newer", "odd", "large", "endless", "folder", "locked", "loop"],
)
def test_a_bad_neighbour_hides_nothing(said, runs, content):
    spoil(runs / "train-bad", content)
    status, out, err = said("runs", "--folder", runs)
    assert status == 0
    assert "digits-eae-d2" in out
    if isinstance(content, bytes):
        assert "warning: passed over: " in err
        assert "train-bad" in err
        assert err.count("\n") == 1
    found = json.loads(said("runs", "--folder", runs, "--json")[1])
    assert "digits-eae-d2" in [run["run"] for run in found]


def test_a_run_is_listed_whatever_its_folder_is_called(said, runs):
    (runs / "train-good").rename(runs / "faces")
    (runs / "begun").mkdir()
    (runs / "begun" / "model.safetensors").touch()
    (runs / "photos").mkdir()
    found = json.loads(said("runs", "--folder", runs, "--json")[1])
    states = {run["place"].rpartition("/")[2]: run["state"] for run in found}
    assert states == {"faces": "finished", "begun": "unfinished"}


def test_names_cannot_command_the_terminal(said, runs):
    (runs / "train-\x1b[31mred\nline").mkdir()
    out = said("runs", "--folder", runs)[1]
    assert "\x1b" not in out
    assert "train-\\x1b[31mred\\nline" in out
    assert len(out.splitlines()) == 3


def test_columns_stay_in_line(capsys):
    print_table([["name", "n"], ["a\x07b", "1"]])
    assert capsys.readouterr().out.splitlines() == ["name    n", "a\\x07b  1"]


@pytest.mark.skipif(os.name == "nt", reason="names of files are text on Windows")
def test_names_that_are_no_text(said, runs):
    os.mkdir(os.fsencode(runs) + b"/train-\xff")
    assert "digits-eae-d2" in said("runs", "--folder", runs)[1]
