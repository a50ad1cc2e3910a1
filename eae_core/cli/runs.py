"""The verb runs: what was trained here."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from eae_core.cli.folders import CHECKPOINT, RECORD, read_results
from eae_core.cli.tables import print_table, spell_bytes, spell_seconds
from eae_core.errors import UsageError, printable

USUAL = Path("_runs")  # which need not be there yet


def runs(arguments: argparse.Namespace) -> int:
    """Print a table of the runs in a folder, or the same as JSON."""
    if not arguments.folder.is_dir() and arguments.folder != USUAL:
        raise UsageError(f"there is no folder {arguments.folder}")
    rows = list(rows_of(folders(arguments.folder)))
    return show(rows, as_json=arguments.json, none="no runs yet; start one with  eae train")


def folders(root: Path) -> list[tuple[Path | None, Path]]:
    """Folders of runs, the oldest first, each with its record if it is finished."""
    found = [path for path in root.glob("[!.]*") if path.is_dir() and _is_run(path)]
    found.sort(key=lambda path: path.stat().st_mtime)
    records = ((folder / RECORD, folder) for folder in found)
    # os.path: a folder of somebody else's is no reason to list nothing.
    return [(path if os.path.isfile(path) else None, folder) for path, folder in records]


def _is_run(folder: Path) -> bool:
    """Whether a run is, or was meant to be, in a folder: by what it holds, or by its name."""
    return "-" in folder.name or any(os.path.lexists(folder / n) for n in (RECORD, CHECKPOINT))


def rows_of(found: Iterable[tuple[Path | None, Path]]) -> Iterator[dict[str, Any]]:
    """A row for each run; a record that cannot be read is named on stderr and passed over."""
    for source, place in found:
        state = "committed" if source == place else "finished" if source else "unfinished"
        try:
            known = read_results(source) if source else {}
        except (ValueError, OSError) as error:
            print(f"warning: passed over: {printable(str(error))}", file=sys.stderr)
            continue
        yield {
            **{name: known.get(name, "") for name in ("experiment", "run", "created", "device")},
            "seconds": known.get("seconds", 0.0),
            "memory": known.get("peak_memory_bytes", 0),
            "state": state,
            "place": place.as_posix(),
        }


def show(rows: list[dict[str, Any]], *, as_json: bool, none: str) -> int:
    """Print rows in columns or as JSON, or the words for none."""
    if as_json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print(none)
    else:
        print_table([list(rows[0]), *([_cell(key, row[key]) for key in row] for row in rows)])
    return 0


def _cell(key: str, value: Any) -> str:
    """One field of the table, in words."""
    if isinstance(value, str):
        return value or "-"
    return spell_seconds(value) if key == "seconds" else spell_bytes(value)
