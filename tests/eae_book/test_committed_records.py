"""Committed records: a damaged one is named and hides no other."""

import json
from dataclasses import replace

import pytest

from eae_book.records import (
    LARGEST_FILE,
    RecordError,
    load_records,
    new_record,
    read_record,
    recorded,
    write_record,
)
from eae_book.runner.chapter import KEY


@pytest.fixture
def records(tmp_path):
    """A folder with one good record, and where its neighbour lies."""
    write_record(new_record("demo", "b", parameters={KEY: "k"}, metrics={"x": 1.0}), tmp_path)
    return tmp_path, tmp_path / "demo" / "a.json"


def changed(path, **changes):
    """The good record's text with other fields, under the neighbour's name."""
    content = json.loads((path.parent / "b.json").read_text())
    return json.dumps({**content, "run": "a", **changes})


DAMAGE = {
    "cut off": lambda path: "{",
    "newer": lambda path: changed(path, schema=3),
    "a list": lambda path: "[]",
    "nested": lambda path: "[" * 100_000,
    "huge": lambda path: changed(path, notes="x" * LARGEST_FILE),
    "a date that is none": lambda path: changed(path, created="yesterday"),
    "versions of numbers": lambda path: changed(path, versions={"torch": 2}),
    "revisions of text": lambda path: changed(path, revisions={"training": "one"}),
    "escape codes": lambda path: changed(path, device="\x1b[31mCPU"),
    "text that turns around": lambda path: changed(path, notes="a \u202e b"),
    "escape codes in a key": lambda path: changed(path, metrics={"\x1b[31m": 1}),
    "a number without end": lambda path: changed(path, peak_memory_bytes=10**400),
    "another run's": lambda path: changed(path, run="c"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_record_is_named_and_hides_no_other(records, damage):
    root, path = records
    path.write_text(DAMAGE[damage](path))
    with pytest.warns(UserWarning, match=r"passed over: .*demo/a\.json") as warned:
        assert list(recorded("demo", root)) == ["b"]
    assert "\x1b" not in str(warned[0].message)
    with pytest.warns(UserWarning, match="passed over"):
        assert [record.run for record in load_records("demo", root)] == ["b"]


def test_bytes_folders_and_links_to_nowhere_are_passed_over_too(records):
    root, path = records
    path.write_bytes(b"\xff\xfe\x00")
    path.with_name("c.json").mkdir()
    path.with_name("d.json").symlink_to("nowhere")
    with pytest.warns(UserWarning, match="passed over") as warned:
        assert list(recorded("demo", root)) == ["b"]
    assert len(warned) == 3
    with pytest.raises(RecordError, match="cannot be read"):
        read_record(path.with_name("c.json"))


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\rb", "bell\x07", "\x9bc1", "\ud800"])
def test_control_characters_are_not_written_either(records, text):
    root, _ = records
    record = read_record(root / "demo" / "b.json")
    for change in ({"notes": text}, {"device": text}, {"versions": {text: "1"}}):
        with pytest.raises(RecordError, match="holds a control character"):
            write_record(replace(record, **change), root)
    assert write_record(replace(record, notes="two\n\tlines"), root)
