"""Children that end with their parent, and signals that end a command in good order."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from eae_book.runner import processes
from eae_book.runner.processes import SIGNALS, start, stop, stopped_by_signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

PARENT = """\
import os, sys, time
from eae_book.runner.processes import start
child = start("signal:pause", [], log=sys.stdout.buffer, environment=os.environ)
print(child.pid, flush=True)
time.sleep(60)
"""


def has_ended(pid, seconds=30):
    """Whether a process ends in time; one that nobody waits for is left as a zombie."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_a_child_does_not_outlive_a_parent_that_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    with parent:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
        assert has_ended(child)


def test_a_child_that_is_stopped_has_ended(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        child = start("signal:pause", [], log=log, environment=os.environ)
        assert child.poll() is None
        stop([child])
    assert child.returncode not in (None, 0)


def test_a_child_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr(processes, "GRACE", -4.9)
    deaf = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(deaf, stdin=subprocess.PIPE) as child:
        stop([child])
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_and_is_remembered(number):
    before = signal.getsignal(number)
    with stopped_by_signals() as caught:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(number)  # at once, as `timeout` does it: the same wish
    assert caught == [number]
    assert signal.getsignal(number) == before


def test_a_second_signal_ends_at_once_whatever_was_started(monkeypatch):
    ended = []
    monkeypatch.setattr(processes, "end_now", ended.append)
    monkeypatch.setattr(processes, "ECHO", 0.0)
    with stopped_by_signals():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)
    assert ended == [128 + signal.SIGTERM]


def test_ending_now_takes_all_children_along():
    program = (
        "import subprocess, sys\nfrom eae_book.runner.processes import end_now\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\nend_now(3)"
    )
    result = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    assert result.returncode == 3
    assert has_ended(int(result.stdout))


def test_what_was_to_be_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup starts a command
    try:
        with stopped_by_signals() as caught:
            signal.raise_signal(signal.SIGHUP)
        assert caught == []
    finally:
        signal.signal(signal.SIGHUP, before)
