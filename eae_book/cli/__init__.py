"""The command line of the book: `python -m eae_book VERB`; exit statuses as of `eae`."""

from __future__ import annotations

from collections.abc import Sequence

from eae_book.cli.parser import build_parser
from eae_core.cli import dispatch


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status.

    >>> main(["run", "no such chapter"])
    2
    """
    return dispatch(build_parser(), argv)
