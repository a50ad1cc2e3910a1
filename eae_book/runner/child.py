"""What a child process runs: a function that is stopped when the parent has ended.

`python -m eae_book.runner.child MODULE:FUNCTION ARGUMENT ...`, with a pipe as stdin of which only
the parent holds the other end. It ends when the parent does, however that happens, on every system.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib import import_module
from typing import NoReturn

GRACE = 10.0  # seconds from the parent's end until this process ends, finished or not


def main() -> None:
    """Call the function that the command line names; it reads `sys.argv` for its arguments."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    module, function = sys.argv.pop(1).split(":")
    sys.exit(getattr(import_module(module), function)())


def _stop_with_parent() -> None:
    while os.read(0, 1024):
        pass
    if os.name == "nt":
        signal.raise_signal(signal.SIGTERM)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(GRACE)
    end_now(1)


def end_now(status: int) -> NoReturn:
    """Kill whatever this process has started, and end it without another word."""
    import psutil  # type: ignore[import-untyped]

    try:
        for process in psutil.Process().children(recursive=True):
            process.kill()
    except psutil.Error:
        pass
    os._exit(status)


if __name__ == "__main__":
    main()
