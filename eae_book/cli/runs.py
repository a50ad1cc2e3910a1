"""The verb runs of the book: everything under _runs/, and the committed records."""

from __future__ import annotations

import argparse

from eae_book.runner.project import find_project
from eae_core.cli.runs import folders, rows_of, show


def runs(arguments: argparse.Namespace) -> int:
    """Print a table of runs, or the same as JSON."""
    project = find_project(arguments.root)
    found = folders(project.runs)
    found += [(path, path) for path in sorted(project.results.glob("*/*.json"))]
    rows = list(rows_of(found))
    for row in rows:
        row["place"] = project.show(project.root / row["place"])
    none = "no runs yet; start one with  python -m eae_book run 01 --profile quick"
    return show(rows, as_json=arguments.json, none=none)
