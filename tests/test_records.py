"""Run records: what they hold, what they refuse, and what they say about a broken file."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import eae_book
from eae_book.records import (
    RecordError,
    caption,
    experiments,
    load_records,
    new_record,
    read_record,
    record_text,
    recorded,
    results_root,
    write_record,
)


def a_record(**changes):
    values = {
        "parameters": {"dataset": "digits", "latent_dim": 16, "entropy_weight": 0.5, "limit": None},
        "metrics": {"entropy": [22.1, 22.3], "images per second": 812.5},
        "seeds": [0, 1],
        "curves": {"loss": [[3.0, 2.0], [3.1, 1.9]]},
        "seconds": 12.5,
        "peak_memory_bytes": 10**9,
        "data_checksum": "abc",
        "device": "cpu",
        "notes": "epochs/10 of the paper's",
    }
    return new_record("eae-digits", "d16", **{**values, **changes})


def made(path):
    """What two records of one run differ in."""
    return {name: getattr(read_record(path), name) for name in ("created", "code_hash")}


def edited(tmp_path, change):
    """The path of a record whose JSON was changed."""
    path = write_record(a_record(), tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_what_was_written_is_read_back(tmp_path):
    record = a_record()
    path = write_record(record, tmp_path)
    assert path == tmp_path / "eae-digits" / "d16.json"
    assert load_records("eae-digits", tmp_path) == [record]
    assert read_record(path) == record


def test_a_record_says_where_it_comes_from():
    record = a_record()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record.created)
    assert record.versions["torch"] == torch.__version__
    assert record.versions["numpy"] == np.__version__
    assert re.fullmatch("[0-9a-f]{12}", record.code_hash)
    assert "CPU core" in record.device


def test_caption_names_date_device_and_torch():
    record = replace(a_record(), created="2026-11-21T08:00:00+00:00", device="2 CPU cores (x86_64)")
    record.versions["torch"] = "2.13.0+cpu"
    assert caption(record) == "Recorded 2026-11-21 on 2 CPU cores (x86_64), torch 2.13.0."


def test_arrays_and_tensors_become_lists():
    record = a_record(
        metrics={"a": np.array([1.5, 2.5]), "b": torch.tensor(0.25, requires_grad=True)},
        curves={"c": (np.float64(1.0), 2)},
        seeds=np.arange(2),
    )
    assert record.metrics == {"a": [1.5, 2.5], "b": 0.25}
    assert record.curves == {"c": [1.0, 2]}
    assert record.seeds == [0, 1]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metrics": {"entropy": [1.0, math.nan]}}, r"metrics\.entropy\[1\] is nan"),
        ({"curves": {"loss": [[math.inf]]}}, r"curves\.loss\[0\]\[0\] is inf"),
        ({"seconds": math.nan}, "seconds is nan"),
        ({"parameters": {"model": object()}}, r"parameters\.model is a object"),
        ({"parameters": {"at": Path("x")}}, r"parameters\.at is a \w*Path"),
        ({"parameters": {3: "x"}}, "parameters has the key 3"),
        ({"parameters": {"folder": "/home/someone/data"}}, r"parameters\.folder holds the path"),
        ({"notes": "weights in ~/runs"}, "notes holds the path"),
        ({"notes": r"weights in C:\runs"}, "notes holds the path"),
    ],
)
def test_what_a_record_cannot_hold_is_named(changes, field):
    with pytest.raises(RecordError, match=f"^{field}"):
        a_record(**changes)


@pytest.mark.parametrize("notes", ["1 / 2 of it", "and/or", "nats/dimension", "https://a.org/b/c"])
def test_a_slash_alone_is_no_path(notes):
    assert a_record(notes=notes).notes == notes


@pytest.mark.parametrize("name", ["", "a b", "../up", "Upper", ".hidden", "a/b"])
def test_names_are_plain_file_names(name):
    with pytest.raises(RecordError, match=r"experiment .* must be lower-case"):
        new_record(name, "run", parameters={}, metrics={})
    with pytest.raises(RecordError, match=r"run .* must be lower-case"):
        new_record("experiment", name, parameters={}, metrics={})


def test_nan_put_in_later_is_not_written(tmp_path):
    record = a_record()
    record.metrics["entropy"][0] = math.nan
    with pytest.raises(RecordError, match=r"metrics\.entropy\[0\]"):
        write_record(record, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_record_has_one_line_an_entry():
    lines = record_text(a_record()).splitlines()
    assert '  "entropy": [22.1, 22.3],' in lines
    assert ' "seeds": [0, 1],' in lines
    assert len(lines) < 40


def test_a_record_of_megabytes_is_refused():
    with pytest.raises(
        RecordError, match=r"eae-digits/d16 takes [\d,]+ bytes.*thin out its curves"
    ):
        record_text(a_record(curves={"loss": [0.1234567890123456] * 60_000}))


def test_a_missing_field_is_named_with_its_file(tmp_path):
    path = edited(tmp_path, lambda content: (content.pop("seeds"), content.pop("device")))
    with pytest.raises(RecordError, match=r"d16\.json lacks field device, seeds"):
        read_record(path)


def test_an_unknown_field_is_named_with_its_file(tmp_path):
    path = edited(tmp_path, lambda content: content.update(metricz={}))
    with pytest.raises(RecordError, match=r"d16\.json has unknown field metricz"):
        read_record(path)


@pytest.mark.parametrize("value", [{"schema": 3}, {"schema": None}])
def test_another_schema_version_is_refused(tmp_path, value):
    path = edited(tmp_path, lambda content: content.update(value))
    with pytest.raises(RecordError, match=r"d16\.json: field schema must be 1 or 2"):
        read_record(path)


def test_a_record_from_before_revisions_has_none(tmp_path):
    path = edited(tmp_path, lambda c: (c.update(schema=1), c.pop("revisions"), c.pop("commit")))
    assert read_record(path) == replace(a_record(), revisions={}, commit="", **made(path))


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [("seeds", 0, "int"), ("seconds", "1", "str"), ("seconds", True, "bool"), ("notes", 1, "int")],
)
def test_a_field_of_another_type_is_named_with_its_file(tmp_path, field, value, kind):
    path = edited(tmp_path, lambda content: content.update({field: value}))
    with pytest.raises(RecordError, match=rf"d16\.json: field {field} is a {kind}"):
        read_record(path)


def test_nan_in_a_file_is_named_with_its_file(tmp_path):
    path = edited(tmp_path, lambda content: content["metrics"].update(entropy=math.nan))
    with pytest.raises(RecordError, match=r"d16\.json: metrics\.entropy is nan"):
        read_record(path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\ufeff\x00"])
def test_a_file_that_is_no_record_is_named(tmp_path, text):
    path = write_record(a_record(), tmp_path)
    path.write_text(text)
    with pytest.raises(RecordError, match=r"d16\.json"):
        read_record(path)


def test_a_renamed_file_is_noticed(tmp_path):
    path = write_record(a_record(), tmp_path)
    path.rename(path.with_name("d32.json"))
    with pytest.warns(UserWarning, match=r"d32\.json is eae-digits/d16 inside: rename it"):
        assert recorded("eae-digits", tmp_path) == {}


def test_records_are_sorted_and_experiments_listed(tmp_path):
    for experiment, run in (("b", "2"), ("b", "1"), ("a", "1")):
        write_record(replace(a_record(), experiment=experiment, run=run), tmp_path)
    assert [record.run for record in load_records("b", tmp_path)] == ["1", "2"]
    assert experiments(tmp_path) == ["a", "b"]
    with pytest.raises(FileNotFoundError, match=r"no records of 'c' .* there are: a, b"):
        load_records("c", tmp_path)
    with pytest.raises(FileNotFoundError, match="there are: none"):
        load_records("c", tmp_path / "empty")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "results").write_text("a file in place of the folder")
    with pytest.raises(OSError, match=r"cannot write .*d16\.json"):
        write_record(a_record(), tmp_path / "results")


def test_results_lie_in_the_checkout():
    assert results_root() == Path(eae_book.__file__).parents[1] / "data" / "results"
