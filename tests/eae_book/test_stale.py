"""Whether a record still holds: one rule, for the matrix, the scripts and the chapters."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

import eae_book
from eae_book.gans import GENERATORS
from eae_book.records import (
    caption,
    experiments,
    load_records,
    new_record,
    recorded,
    stale,
    with_defaults,
    write_record,
)
from eae_book.revisions import MODULES, revision, revisions_of
from eae_core.data import DATASETS
from eae_core.models import MODELS, networks


def a_record(**changes):
    values = {
        "parameters": {"k": 1, "options": {"beta": 0.5}},
        "metrics": {},
        "revisions": revisions_of(["networks", "model ae"]),
    }
    return new_record("demo", "a", **{**values, **changes})


def test_a_record_holds_while_parameters_and_revisions_are_the_same(monkeypatch):
    record = a_record()
    assert stale(record) == stale(record, {"k": 1, "options": {"beta": 0.5}}) == []
    assert stale(record, {"k": 2}) == ["k is 1, asked is 2"]
    assert stale(record, {"k": True}) == []  # as JSON has it
    monkeypatch.setattr(networks, "REVISION", 2)
    assert stale(record) == ["networks has revision 2, the record was made with 1"]
    assert "Out of date: networks has revision 2" in caption(record)


def test_code_commit_and_versions_decide_nothing():
    record = replace(a_record(), code_hash="0" * 12, commit="0", versions={"torch": "1.0"})
    assert stale(record, {"k": 1}) == []


def test_an_option_that_a_record_does_not_know_must_be_given_its_default():
    record = a_record()
    assert stale(record, {"new": None}) == []
    assert stale(record, {"new": 0}) == ["new is not known, asked is 0"]
    assert stale(with_defaults(record, {"new": 0}), {"new": 0}) == []
    filled = with_defaults(record, {"k": 7, "options": {"beta": 7.0, "sigma": 0.1}})
    assert filled.parameters == {"k": 1, "options": {"beta": 0.5, "sigma": 0.1}}
    assert record.parameters == {"k": 1, "options": {"beta": 0.5}}


def test_a_part_that_went_or_was_not_said_makes_a_record_stale():
    gone = a_record(revisions={"model no_such": 1})
    assert stale(gone) == ["model no_such has revision none any more, the record was made with 1"]
    assert stale(a_record(), parts=["networks"]) == []
    assert stale(a_record(revisions={}), parts=["networks"]) == [
        "the record does not say its revision of networks"
    ]


def test_records_are_found_by_run_and_none_is_no_error(tmp_path):
    assert recorded("demo", tmp_path) == {}
    write_record(a_record(), tmp_path)
    (record,) = load_records("demo", tmp_path)
    assert recorded("demo", tmp_path) == {"a": record}


def test_every_part_has_a_whole_number_of_its_own():
    parts = [
        *MODULES,
        *(f"model {name}" for name in MODELS),
        *(f"generator {name}" for name in GENERATORS),
        *(f"data {name}" for name in DATASETS),
    ]
    for part in parts:
        assert isinstance(revision(part), int), part
        assert revision(part) >= 1, part
    for name, kind in {**{n: m for n, (m, _) in MODELS.items()}, **GENERATORS}.items():
        assert "revision" in vars(kind), f"{name} must not inherit the revision of another model"


@pytest.mark.parametrize("part", MODULES)
def test_a_revision_has_a_line_of_history_for_each_number(part):
    source = Path(import_module(MODULES[part]).__file__).read_text(encoding="utf-8")
    history = source.split("\nREVISION = ")[1]
    for number in range(1, revision(part) + 1):
        assert f"# {number}: " in history, f"{part}: no line says what revision {number} is"


@pytest.mark.parametrize("part", ["", "networks ", "model", "model no_such", "data no_such"])
def test_an_unknown_part_is_refused(part):
    with pytest.raises(ValueError, match=r"no part|unknown model|no data set"):
        revision(part)


def test_every_committed_record_says_its_revisions():
    parts_of = import_module("parts").parts_of
    root = Path(eae_book.__file__).parents[1] / "data" / "results"
    for experiment in experiments():
        for path in sorted((root / experiment).glob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            said = content["revisions"].keys()
            assert said >= set(parts_of(experiment, content["parameters"])), path.name
