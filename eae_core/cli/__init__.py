"""The command line: `eae VERB`, or `python -m eae_core VERB`.

Exit status: 0 done, 1 something that was started failed, 2 the request was wrong and nothing was
started, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from eae_core.cli.parser import build_parser
from eae_core.errors import CommandError, UsageError, printable

FAILED, USAGE, INTERRUPTED = 1, 2, 130
#: packages of the extra `train`, as they are imported
TRAIN_EXTRA = {"PIL", "lightning_fabric", "safetensors", "sklearn", "torchvision", "tqdm"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status."""
    return dispatch(build_parser(), argv)


def dispatch(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Run the verb that these words choose; errors become one line and an exit status."""
    prepare_streams()
    words = sys.argv[1:] if argv is None else list(argv)
    if "" in words:
        return _ended("error: a word is empty: is a variable of the shell not set?", USAGE)
    try:
        arguments = parser.parse_args(words)
    except SystemExit:  # after the help, or words that it explains
        if not _flushed():
            raise SystemExit(FAILED) from None
        raise
    module, function = arguments.call.split(":")
    try:
        # Each verb imports what it needs, so that --help need not wait for torch.
        status: int = getattr(import_module(module), function)(arguments)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _ended(f"error: {error}", USAGE)
    except CommandError as error:
        return _ended(f"error: {error}", FAILED)
    except KeyboardInterrupt as interrupt:
        return _ended(str(interrupt) or "stopped", INTERRUPTED)
    except BrokenPipeError:  # the reader of a pipe (`| head`) has gone
        return _ended("", FAILED)
    except MemoryError as error:
        return _ended(f"error: there is not enough memory: {error or 'ask for less'}", FAILED)
    except (RuntimeError, ValueError) as error:
        said = str(error)
        if "can't allocate memory" in said or "out of memory" in said:  # torch's way to say it
            return _ended("error: there is not enough memory: ask for less", FAILED)
        if "null byte" in said:  # Python's way, for any path
            return _ended("error: a name of a file holds a zero byte", USAGE)
        raise
    except ModuleNotFoundError as error:  # the package alone has the estimators and the losses
        package = (error.name or "").partition(".")[0]
        if package not in TRAIN_EXTRA:
            raise
        said = f"error: this needs {package}, which is not installed: get the extra train, with "
        return _ended(f'{said}pip install ".[train]"  in the folder of the repository', FAILED)
    except OSError as error:  # a full disk, a folder of another user, a name too long
        place = f": {error.filename}" if error.filename and error.strerror else ""
        return _ended(f"error: {error.strerror or error}{place}", FAILED)


def prepare_streams() -> None:
    """Let a closed stream (`>&-`) lead nowhere, and spell out what a terminal's encoding lacks."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _ended(text: str, status: int) -> int:
    """Write the last line of a command that did not end well, and return its status."""
    with suppress(OSError):
        # A terminal shows the ^C that was typed; the line begins below it.
        start = "\n" if status == INTERRUPTED and sys.stderr.isatty() else ""
        if text:
            print(f"{start}{printable(text)}", file=sys.stderr, flush=True)
    _flushed()
    return status


def _flushed() -> bool:
    """Whether all that was printed could be written."""
    try:
        sys.stdout.flush()
    except OSError:  # full, or its reader has gone: keep Python from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def interrupt_on_termination() -> None:
    """Let SIGTERM and SIGHUP (a scheduler, a closed terminal) end a command as Ctrl-C does."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def main_script() -> None:
    """The console script `eae`."""
    interrupt_on_termination()
    sys.exit(main())
