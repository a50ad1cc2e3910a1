"""The committed records, and whether they still hold.

A record lies at ``data/results/<experiment>/<run>.json``. It is committed, so that a chapter can
show a full-size result beside its small live run and say when and on what it was made.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eae_book.records.record import (
    LARGEST_FILE,
    Record,
    RecordError,
    new_record,
    read_record,
    record_text,
    save_record,
)
from eae_book.revisions import revision
from eae_core.errors import printable

__all__ = [
    "LARGEST_FILE", "Record", "RecordError", "caption", "experiments", "input_files",
    "load_records", "new_record", "read_record", "record_text", "recorded", "results_root",
    "save_record", "stale", "with_defaults", "write_record",
]  # fmt: skip

ABSENT = object()


def results_root() -> Path:
    """``data/results`` of the checkout this package lies in."""
    return Path(__file__).resolve().parents[2] / "data" / "results"


def load_records(experiment: str, root: str | Path | None = None) -> list[Record]:
    """All records of an experiment, sorted by run.

    Raises:
        FileNotFoundError: there is none (the experiments that exist are named).

    Warns:
        UserWarning: a file that is no record is passed over; file and field are named.
    """
    found = list(recorded(experiment, root).values())
    if not found:
        known = ", ".join(experiments(root)) or "none"
        folder = _root(root) / experiment
        raise FileNotFoundError(f"no records of {experiment!r} in {folder}; there are: {known}")
    return found


def recorded(experiment: str, root: str | Path | None = None) -> dict[str, Record]:
    """The records of an experiment by run; empty where there are none yet.

    Warns:
        UserWarning: a file that is no record is passed over; file and field are named.
    """
    records = {}
    for path in sorted((_root(root) / experiment).glob("*.json")):
        try:
            record = read_record(path)
            if (record.experiment, record.run) != (experiment, path.stem):
                raise RecordError(f"{path} is {record.experiment}/{record.run} inside: rename it")
        except (RecordError, FileNotFoundError) as error:  # another process may have removed it
            warnings.warn(f"passed over: {printable(str(error))}", stacklevel=2)
        else:
            records[record.run] = record
    return records


def input_files(name: str, root: str | Path | None = None) -> list[Path]:
    """Files of records and their sheets, as a chapter's entry in the manifest names them.

    Args:
        name: an experiment, or some of its runs: ``"benchmarks/entropy-*"``.
        root: the folder of all records, :func:`results_root` by default.

    Example:
        >>> [path.name for path in input_files("benchmarks/peers")]
        ['peers.json']
    """
    experiment, _, runs = name.partition("/")
    found = (_root(root) / experiment).glob(f"{runs or '*'}.*")
    return sorted(path for path in found if path.is_file())


def experiments(root: str | Path | None = None) -> list[str]:
    """Names of the experiments that have records."""
    return sorted({path.parent.name for path in _root(root).glob("*/*.json")})


def write_record(record: Record, root: str | Path | None = None) -> Path:
    """Write ``<root>/<experiment>/<run>.json``, whole or not at all, and return its path.

    Raises:
        RecordError: a value that a record cannot hold, or more than a megabyte of them.
        OSError: the folder cannot be written to.
    """
    path = _root(root) / record.experiment / f"{record.run}.json"
    save_record(record, path)
    return path


def stale(
    record: Record, asked: Mapping[str, Any] | None = None, parts: Iterable[str] = ()
) -> list[str]:
    """Why a record does not hold today; nothing where it does.

    The one rule of the project: a record holds if the revisions of all that decided its numbers are
    today's, and its parameters are those asked for.

    Args:
        record: what was found.
        asked: parameters that the record must have, with their values; a value that it does not
            know, because the option came later, must be given as today's default by
            :func:`with_defaults`.
        parts: parts whose revisions the record must say.

    Example:
        >>> from eae_book.records import new_record
        >>> old = {"networks": 0, "training": 1}
        >>> record = new_record("demo", "a", parameters={"d": 2}, metrics={}, revisions=old)
        >>> stale(record, {"d": 4})
        ['networks has revision 1, the record was made with 0', 'd is 2, asked is 4']
    """
    reasons = [
        f"the record does not say its revision of {part}"
        for part in parts
        if part not in record.revisions
    ]
    for part, made_with in record.revisions.items():
        try:
            today: int | str = revision(part)
        except ValueError:
            today = "none any more"
        if today != made_with:
            reasons.append(f"{part} has revision {today}, the record was made with {made_with}")
    for name, value in (asked or {}).items():
        found = record.parameters.get(name, ABSENT)
        if found != value and not (found is ABSENT and value is None):
            shown = "not known" if found is ABSENT else repr(found)
            reasons.append(f"{name} is {shown}, asked is {value!r}")
    return reasons


def with_defaults(record: Record, defaults: Mapping[str, Any]) -> Record:
    """The record as if it had been written today: options that came later stand at their defaults.

    A mapping among the parameters, such as ``options``, is filled in likewise.
    """
    from dataclasses import replace

    filled = {**defaults, **record.parameters}
    for name, value in defaults.items():
        if isinstance(value, Mapping) and isinstance(record.parameters.get(name), Mapping):
            filled[name] = {**value, **record.parameters[name]}
    return replace(record, parameters=filled)


def caption(record: Record) -> str:
    """Where and when a record was made, for the text under a figure, and whether it is stale.

    Example:
        >>> from eae_book.records import new_record
        >>> record = new_record("demo", "d2", parameters={}, metrics={}, device="cpu")
        >>> caption(record)
        'Recorded 20... on ... CPU core... (...), torch ....'
    """
    torch_version = record.versions.get("torch", "not known").split("+")[0]
    text = f"Recorded {record.created[:10]} on {record.device}, torch {torch_version}."
    reasons = stale(record)
    return f"{text} Out of date: {'; '.join(reasons)}." if reasons else text


def _root(root: str | Path | None) -> Path:
    return results_root() if root is None else Path(root)
