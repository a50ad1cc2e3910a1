"""Run records: what was run, where, and what came out, one small JSON file a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eae_book.provenance import Provenance
from eae_core.files import replacing
from eae_core.hardware import describe_device

SCHEMA = 2  # 2: revisions and commit; files of 1 are read as having none
LARGEST_FILE = 1_000_000  # bytes; records are committed
LARGEST_WHOLE = 2**64

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
# All but tabs and ends of lines: a terminal obeys them, also those that turn the direction of text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ABSOLUTE_PATH = re.compile(r"(?:^|[\s'\"=(])(?:(?:/[\w.~-]+){2,}|~/|[A-Za-z]:\\)")


class RecordError(ValueError):
    """A record, or a file that should be one, is not as the schema says."""


@dataclass(frozen=True)
class Record:
    """One run. Numbers are finite; times are seconds, entropies nats."""

    experiment: str  #: the question, e.g. ``"eae-mnist"``: the folder's name
    run: str  #: the answer's name within the experiment: the file's name
    created: str  #: ISO date and time, UTC
    parameters: dict[str, Any]  #: every parameter that is not a default of the code
    seeds: list[int]
    metrics: dict[str, Any]  #: name to a number, or to one number a seed
    curves: dict[str, Any]  #: name to a list, or to one list a seed
    seconds: float
    peak_memory_bytes: int
    code_hash: str  #: of the sources when the run began, see :mod:`eae_book.provenance`
    data_checksum: str  #: of the data set, empty if there was none
    versions: dict[str, str]
    device: str  #: in words, without the machine's name
    notes: str
    revisions: dict[str, int] = field(default_factory=dict)  #: see :mod:`eae_book.revisions`
    commit: str = ""  #: of git, when the run began


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("parameters", "metrics", "curves", "versions", "revisions"), dict),
    **dict.fromkeys(("experiment", "run", "created", "code_hash"), str),
    **dict.fromkeys(("data_checksum", "device", "notes", "commit"), str),
    "seeds": list,
    "seconds": (int, float),
    "peak_memory_bytes": int,
}


def new_record(
    experiment: str,
    run: str,
    *,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, Any],
    seeds: Sequence[int] = (),
    curves: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
    peak_memory_bytes: int = 0,
    data_checksum: str = "",
    device: str | torch.device = "auto",
    notes: str = "",
    revisions: Mapping[str, int] | None = None,
    provenance: Provenance | None = None,
) -> Record:
    """A record of a run that just ended here; the date and the device's name are filled in.

    Arrays, tensors and tuples become lists.

    Args:
        experiment: lower-case letters, digits, ``-``, ``_`` and ``.``.
        run: likewise.
        parameters: every parameter that is not a default of the code.
        metrics: name to a number, or to a list with one number a seed.
        seeds: in the order of those lists.
        curves: name to a list, or to one list a seed.
        seconds: wall time of the run.
        peak_memory_bytes: see :func:`eae_core.hardware.peak_memory_bytes`.
        data_checksum: the ``checksum`` of the :class:`eae_core.data.ImageSet`.
        notes: anything a reader must know.
        device: where it ran, as in :func:`eae_core.hardware.resolve_device`.
        revisions: of all that decided the numbers, see :func:`eae_book.revisions.revisions_of`.
        provenance: taken when the run began; now, if it is not given.

    Raises:
        RecordError: a name or a value that a record cannot hold (the field is named).

    Example:
        >>> record = new_record("demo", "d2", parameters={"d": 2}, metrics={"entropy": [2.8, 2.9]})
        >>> record.metrics["entropy"], sorted(record.versions)
        ([2.8, 2.9], ['eae_core', 'numpy', 'python', 'torch'])
    """
    made_by = provenance or Provenance.now()
    record = Record(
        experiment=experiment,
        run=run,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        parameters=_plain(dict(parameters), "parameters"),
        seeds=_plain(list(seeds), "seeds"),
        metrics=_plain(dict(metrics), "metrics"),
        curves=_plain(dict(curves or {}), "curves"),
        seconds=float(seconds),
        peak_memory_bytes=int(peak_memory_bytes),
        code_hash=made_by.code_hash,
        data_checksum=data_checksum,
        versions=made_by.versions,
        device=describe_device(device),
        notes=notes,
        revisions=_plain(dict(revisions or {}), "revisions"),
        commit=made_by.commit,
    )
    _check(record)
    return record


def save_record(record: Record, path: str | Path) -> None:
    """Write a record to a file, whole or not at all.

    Raises:
        RecordError: a value that a record cannot hold, or more than a megabyte of them.
        OSError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "record.json"
        >>> record = new_record("demo", "d2", parameters={"d": 2}, metrics={"entropy": 2.8})
        >>> save_record(record, path)
        >>> read_record(path) == record
        True
    """
    text = record_text(record)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def record_text(record: Record) -> str:
    """The record as JSON, one entry a line: small, and a changed metric is one changed line.

    Raises:
        RecordError: a value that a record cannot hold, or more than a megabyte of them.
    """
    _check(record)
    lines = [f' "schema": {SCHEMA}']
    for name, value in asdict(record).items():
        if isinstance(value, dict) and value:
            entries = (f"  {json.dumps(key)}: {_dumps(item)}" for key, item in value.items())
            lines.append(f' "{name}": {{\n' + ",\n".join(entries) + "\n }")
        else:
            lines.append(f' "{name}": {_dumps(value)}')
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    if len(text) > LARGEST_FILE:
        raise RecordError(
            f"record {record.experiment}/{record.run} takes {len(text):,} bytes, a record at most "
            f"{LARGEST_FILE:,}: thin out its curves"
        )
    return text


def read_record(path: str | Path) -> Record:
    """Read one file.

    Raises:
        FileNotFoundError: there is no such file.
        RecordError: it is no record, or cannot be read; file and field are named.
    """
    content = _read_json(Path(path))
    schema = content.pop("schema", None) if isinstance(content, dict) else None
    if type(schema) is not int or schema not in (1, SCHEMA):
        raise RecordError(f"{path}: field schema must be 1 or {SCHEMA}, which this code reads")
    if schema == 1:
        content = {"revisions": {}, "commit": "", **content}
    names = {field.name for field in fields(Record)}
    for problem, odd in (("lacks", names - set(content)), ("has unknown", set(content) - names)):
        if odd:
            raise RecordError(f"{path} {problem} field {', '.join(sorted(odd))}")
    for name, kind in _KINDS.items():
        if not isinstance(content[name], kind) or isinstance(content[name], bool):
            raise RecordError(f"{path}: field {name} is a {type(content[name]).__name__}")
    record = Record(**content)
    try:
        _check(record)
    except (RecordError, RecursionError) as error:
        raise RecordError(f"{path}: {error}") from error
    return record


def _read_json(path: Path) -> Any:
    """What a file of at most a record's length holds."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from error
    if len(text) > LARGEST_FILE:
        raise RecordError(f"{path} is no record: it holds more than {LARGEST_FILE:,} bytes")
    try:
        return json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not JSON: {error}") from error


def _each_once(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of a name that comes twice nobody can say which value is meant."""
    found = dict(entries)
    if len(found) < len(entries):
        names = [name for name, _ in entries]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands in it twice")
    return found


def _plain(value: Any, field: str) -> Any:
    """The value with nothing but what JSON knows in it."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        value = value.tolist()
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise RecordError(f"{field} has the key {odd[0]!r}: keys must be strings")
        return {key: _plain(item, f"{field}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{field}[{i}]") for i, item in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise RecordError(f"{field} is a {type(value).__name__}: a record holds numbers and text")


def _check(record: Record) -> None:
    for name in ("experiment", "run"):
        if not _NAME.fullmatch(getattr(record, name)):
            raise RecordError(
                f"{name} {getattr(record, name)!r} must be lower-case letters, digits, '-', '_' "
                "and '.', such as 'eae-mnist'"
            )
    try:
        datetime.fromisoformat(record.created)
    except ValueError as error:
        raise RecordError(f"created {record.created!r} is not a date and time") from error
    for name, kind in (("versions", str), ("revisions", int)):
        for key, value in getattr(record, name).items():
            if not isinstance(value, kind) or isinstance(value, bool):
                raise RecordError(f"{name}.{key} is {value!r}: it must be of type {kind.__name__}")
    for seed in record.seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise RecordError(f"seeds holds {seed!r}: seeds are whole numbers of at least 0")
    for name, value in record.metrics.items():
        if value is None or isinstance(value, str | bool):
            raise RecordError(f"metrics.{name} is {value!r}: a metric is a number, or several")
    for name in ("seconds", "peak_memory_bytes"):
        if getattr(record, name) < 0:
            raise RecordError(f"{name} is {getattr(record, name)}: it cannot be below 0")
    for name in (each.name for each in fields(record)):
        _check_value(getattr(record, name), name)


def _check_value(value: Any, field: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_value(key, f"a key of {field}")
            _check_value(item, f"{field}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_value(item, f"{field}[{i}]")
    elif isinstance(value, float) and not np.isfinite(value):
        raise RecordError(
            f"{field} is {value}: a record holds finite numbers; leave it out and say why in notes"
        )
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise RecordError(f"{field} is a whole number of more than 64 bits")
    elif isinstance(value, str) and _CONTROL.search(value):
        raise RecordError(f"{field} holds a control character: {value!r}")
    elif isinstance(value, str) and _ABSOLUTE_PATH.search(value):
        raise RecordError(f"{field} holds the path {value!r}, which means nothing elsewhere")


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
