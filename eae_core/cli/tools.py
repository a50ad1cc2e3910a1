"""The verbs entropy and runs: small questions with short answers."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eae_core.suite.errors import SuiteError, UsageError
from eae_core.suite.project import Project, find_project
from eae_core.suite.runner import RECORD

if TYPE_CHECKING:
    import numpy as np

    from eae_core.records import Record


def entropy(arguments: argparse.Namespace) -> int:
    """Print the estimated entropy of the points in a file, and the Gaussian bound on it."""
    points = read_points(arguments.file)
    import torch

    from eae_core import knn_entropy

    try:
        estimate = float(knn_entropy(torch.from_numpy(points), arguments.k))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{arguments.file}: {error}") from error
    n, d = points.shape
    bound = gaussian_bound(points)
    print(f"points        n = {n}, d = {d}")
    print(f"neighbour     k = {arguments.k}")
    print(f"entropy       {estimate:.4f} nats")
    if math.isfinite(bound):
        print(f"Gaussian      {bound:.4f} nats, of the same covariance: no law has more")
        print(f"difference    {bound - estimate:.4f} nats")
    else:
        print("Gaussian      -inf: the points lie in a plane of fewer dimensions than d")
    return 0


def read_points(path: Path) -> np.ndarray:
    """The n x d array of floats in an .npy file; `UsageError` says what else it holds."""
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} is not an array written by numpy.save: {error}") from error
    except ValueError as error:  # NumPy takes other files for pickles, and offers to load them
        raise UsageError(
            f"{path} is not an array written by numpy.save, or not one of numbers; read a "
            "table of text with numpy.loadtxt(path, delimiter=',') and save that"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise UsageError(f"{path} holds several arrays (.npz); save one with numpy.save")
    if array.dtype.kind != "f":
        raise UsageError(
            f"{path} holds {array.dtype}, not floating point; the entropy of whole numbers is "
            "another quantity. If they are measurements, save array.astype(float)"
        )
    if array.ndim != 2:
        hint = "; save array[:, None] for points on a line" if array.ndim == 1 else ""
        raise UsageError(f"{path} must be n x d, and has the shape {array.shape}{hint}")
    return np.ascontiguousarray(array, dtype=np.float64)


def gaussian_bound(points: np.ndarray) -> float:
    """Entropy of the Gaussian with the points' covariance, ``log det(2 pi e Sigma) / 2``, in nats.

    It is the most that any law with this covariance has; for unit variances and no correlation it
    is ``d/2 log(2 pi e)``. Minus infinity if the covariance is singular.
    """
    import numpy as np

    n, d = points.shape
    if n <= d:  # the sample covariance has rank n - 1 at most
        return -math.inf
    scale = float(np.abs(points).max()) or 1.0  # whose square might overflow or vanish
    covariance = np.atleast_2d(np.cov(points / scale, rowvar=False))
    spread = np.linalg.eigvalsh(covariance)
    if spread[0] <= spread[-1] * d * np.finfo(np.float64).eps:
        return -math.inf
    return float(0.5 * np.log(2 * np.pi * np.e * spread).sum() + d * math.log(scale))


def runs(arguments: argparse.Namespace) -> int:
    """Print a table of runs, or the same as JSON."""
    project = find_project(arguments.root)
    rows = list(_rows(project))
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    if not rows:
        print("no runs yet; start one with  python -m eae_core run 01 --profile quick")
        return 0
    print_table([list(rows[0]), *([_cell(key, row) for key in row] for row in rows)])
    return 0


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print texts in columns, the first row as their head.

    >>> print_table([["name", "n"], ["digits", "1500"]])
    name    n
    digits  1500
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _cell(key: str, row: dict[str, Any]) -> str:
    """One field of the table, in words."""
    from eae_core.suite.runs_page import spell_bytes, spell_seconds

    value = row[key]
    if isinstance(value, str) or value is None:
        return value or "-"
    return spell_seconds(value) if key == "seconds" else spell_bytes(value)


def _rows(project: Project) -> Iterator[dict[str, Any]]:
    """Every run under _runs/, finished or not, then every committed record."""
    from eae_core.records import RecordError, read_record

    found: list[tuple[Path | None, Path]] = []
    folders = [path for path in project.runs.glob("*-*") if path.is_dir() and path.name[0] != "."]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime):
        path = folder / RECORD
        found.append((path if path.is_file() else None, folder))
    found += [(path, path) for path in sorted(project.results.glob("*/*.json"))]
    for source, place in found:
        try:
            record = read_record(source) if source else None
        except RecordError as error:
            raise SuiteError(f"{place}: {error}") from error
        state = "committed" if source == place else "finished" if record else "unfinished"
        yield _row(record, state, project.show(place))


def _row(record: Record | None, state: str, place: str) -> dict[str, Any]:
    if record is None:
        blank = dict.fromkeys(("experiment", "run", "created", "device"), "")
        return {**blank, "seconds": 0.0, "memory": 0, "state": state, "place": place}
    return {
        "experiment": record.experiment,
        "run": record.run,
        "created": record.created,
        "device": record.device,
        "seconds": record.seconds,
        "memory": record.peak_memory_bytes,
        "state": state,
        "place": place,
    }
