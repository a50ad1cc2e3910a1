"""The command line: `eae VERB`, or `python -m eae_core VERB`.

Exit status: 0 done, 1 something that was started failed, 2 the request was wrong and nothing was
started, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from eae_core.cli.parser import build_parser
from eae_core.errors import CommandError, UsageError

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status.

    >>> main(["entropy", "no_such_file.npy"])
    2
    """
    return dispatch(build_parser(), argv)


def dispatch(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the verb that these words choose; errors become one line and an exit status."""
    arguments = parser.parse_args(argv)
    module, function = arguments.call.split(":")
    try:
        # Each verb imports what it needs, so that --help need not wait for torch.
        status: int = getattr(import_module(module), function)(arguments)
        sys.stdout.flush()
        return status
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as interrupt:
        print(f"\n{interrupt or 'stopped'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`| head`) has gone; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def main_script() -> None:
    """The console script `eae`."""
    sys.exit(main())
