"""The command line of the book: `python -m eae_book VERB`; exit statuses as of `eae`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from eae_book.cli.parser import build_parser
from eae_book.runner.processes import stopped_by_signals
from eae_core.cli import dispatch


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status.

    >>> main(["run", "no such chapter"])
    2
    """
    with stopped_by_signals() as caught:
        try:
            status = dispatch(build_parser(), argv)
        except Exception:
            if not caught:  # what an interrupted import raises is no error of its own
                raise
            print("stopped", file=sys.stderr)
    return 128 + caught[0] if caught else status
