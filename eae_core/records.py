"""Run records: what was run, where, and what came out, one small JSON file a run.

A record lies at ``data/results/<experiment>/<run>.json``. It is committed, so that a chapter can
show a full-size result beside its small live run and say when and on what it was made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eae_core.files import replacing
from eae_core.hardware import describe_device
from eae_core.provenance import code_hash, installed_versions

__all__ = [
    "Record",
    "RecordError",
    "caption",
    "code_hash",
    "experiments",
    "installed_versions",
    "load_records",
    "new_record",
    "read_record",
    "record_text",
    "results_root",
    "write_record",
]

SCHEMA = 1
LARGEST_FILE = 1_000_000  # bytes; records are committed

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
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
    code_hash: str  #: of the sources, see :func:`eae_core.provenance.code_hash`
    data_checksum: str  #: of the data set, empty if there was none
    versions: dict[str, str]
    device: str  #: in words, without the machine's name
    notes: str


_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("parameters", "metrics", "curves", "versions"), dict),
    **dict.fromkeys(("experiment", "run", "created", "code_hash"), str),
    **dict.fromkeys(("data_checksum", "device", "notes"), str),
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
) -> Record:
    """A record of a run that just ended here: date, versions, device and code hash are filled in.

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

    Raises:
        RecordError: a name or a value that a record cannot hold (the field is named).

    Example:
        >>> record = new_record("demo", "d2", parameters={"d": 2}, metrics={"entropy": [2.8, 2.9]})
        >>> record.metrics["entropy"], sorted(record.versions)
        ([2.8, 2.9], ['eae_core', 'numpy', 'python', 'torch'])
    """
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
        code_hash=code_hash(),
        data_checksum=data_checksum,
        versions=installed_versions(),
        device=describe_device(device),
        notes=notes,
    )
    _check(record)
    return record


def write_record(record: Record, root: str | Path | None = None) -> Path:
    """Write ``<root>/<experiment>/<run>.json``, whole or not at all, and return its path.

    Args:
        record: what to write; an earlier record of the same name is replaced.
        root: the folder of all records, :func:`results_root` by default.

    Raises:
        RecordError: a value that a record cannot hold, or more than a megabyte of them.
        OSError: the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> record = new_record("demo", "d2", parameters={"d": 2}, metrics={"entropy": 2.8})
        >>> path = write_record(record, tempfile.mkdtemp())
        >>> path.name, load_records("demo", path.parent.parent) == [record]
        ('d2.json', True)
    """
    text = record_text(record)
    path = _root(root) / record.experiment / f"{record.run}.json"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


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
        RecordError: it is no record; file and field are named.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise RecordError(f"{path}: field schema must be {SCHEMA}, the version this code reads")
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
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from error
    return record


def load_records(experiment: str, root: str | Path | None = None) -> list[Record]:
    """All records of an experiment, sorted by run.

    Raises:
        FileNotFoundError: there is none (the experiments that exist are named).
        RecordError: a file that is no record; file and field are named.
    """
    folder = _root(root) / experiment
    paths = sorted(folder.glob("*.json"))
    if not paths:
        known = ", ".join(experiments(root)) or "none"
        raise FileNotFoundError(f"no records of {experiment!r} in {folder}; there are: {known}")
    records = [read_record(path) for path in paths]
    for path, record in zip(paths, records, strict=True):
        if (record.experiment, record.run) != (experiment, path.stem):
            raise RecordError(f"{path} is named {record.experiment}/{record.run} inside: rename it")
    return records


def experiments(root: str | Path | None = None) -> list[str]:
    """Names of the experiments that have records."""
    return sorted({path.parent.name for path in _root(root).glob("*/*.json")})


def results_root() -> Path:
    """``data/results`` of the checkout this package lies in, else of the current folder."""
    checkout = Path(__file__).parent.parent
    base = checkout if (checkout / "pyproject.toml").is_file() else Path()
    return base / "data" / "results"


def caption(record: Record) -> str:
    """Where and when a record was made, for the text under a figure.

    Example:
        >>> record = new_record("demo", "d2", parameters={}, metrics={}, device="cpu")
        >>> caption(record)
        'Recorded 20... on ... CPU core... (...), torch ....'
    """
    torch_version = record.versions["torch"].split("+")[0]
    return f"Recorded {record.created[:10]} on {record.device}, torch {torch_version}."


def _root(root: str | Path | None) -> Path:
    return results_root() if root is None else Path(root)


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
    for field in fields(record):
        _check_value(getattr(record, field.name), field.name)


def _check_value(value: Any, field: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_value(item, f"{field}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_value(item, f"{field}[{i}]")
    elif isinstance(value, float) and not np.isfinite(value):
        raise RecordError(
            f"{field} is {value}: a record holds finite numbers; leave it out and say why in notes"
        )
    elif isinstance(value, str) and _ABSOLUTE_PATH.search(value):
        raise RecordError(f"{field} holds the path {value!r}, which means nothing elsewhere")


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
