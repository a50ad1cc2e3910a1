"""Children that never outlive their parent, and signals that end a command in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from eae_book.runner.child import GRACE, end_now

SIGNALS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
ECHO = 1.0  # seconds in which a second signal is the first one's: `timeout` sends it twice


def start(
    entry: str, arguments: Sequence[str], *, log: IO[bytes], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Call a function in a process of its own, which is stopped when this one ends.

    Args:
        entry: `module:function`; it finds the arguments in `sys.argv`.
        arguments: Of its command line.
        log: What it writes goes there.
        environment: All of its variables.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "eae_book.runner.child", entry, *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches this process alone, which then stops its children
    )


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Stop children: each keeps what it has, and has ended when this returns."""
    for process in processes:
        if process.stdin:
            process.stdin.close()  # to a child, its parent's end
    for process in processes:
        try:
            process.wait(GRACE + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Inside the block, SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt`.

    The list holds the signals that came. A signal that this process was started to ignore (by
    `nohup`, or in the background) stays ignored. Whoever sends a second one does not want to wait:
    this process and all that it started end at once.
    """
    caught: list[int] = []
    first = 0.0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if not caught:
            first = time.monotonic()
            caught.append(number)
            raise KeyboardInterrupt
        if time.monotonic() - first > ECHO:
            end_now(128 + number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.getsignal(n) for n in SIGNALS}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, handle)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ensure_home() -> None:
    """Let the temporary folder be the home of a user without one, as containers have them."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
