"""Several chapters at once, each in a process of its own, as the verb run makes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

from eae_book.runner.chapter import ChapterError, Plan, Run, find_run
from eae_book.runner.project import Project

MOST = 4  # chapters at once, unless more are asked for: each takes 0.5 to 0.8 GB at quick size
_LOOK = 0.1  # seconds between two looks at the processes
_STOP = signal.SIGTERM if os.name == "nt" else signal.SIGINT  # Windows sends no other to a process


def cores() -> int:
    """How many this process may use, which a container often restricts; macOS does not say."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def usual_jobs(profile: str) -> int:
    """How many chapters at once: quick ones keep one core busy each, others all that there is."""
    return min(MOST, cores()) if profile == "quick" else 1


@dataclass
class _Started:
    planned: Plan
    key: str
    process: subprocess.Popen[bytes]
    said: IO[bytes]  # on stderr


def run_at_once(
    project: Project, plans: Sequence[tuple[Plan, str]], *, jobs: int
) -> Iterator[tuple[Plan, Run | ChapterError]]:
    """Run chapters, `jobs` at a time, and give each as it ends.

    The threads of all together are as many as there are cores, unless OMP_NUM_THREADS is set.
    Stopped (by Ctrl-C, or by whoever asks for no more), it stops the chapters that run; each keeps
    the cells that ran.

    Args:
        project: The checkout.
        plans: Of chapters at their own values, with the keys under which results are found.
        jobs: How many at a time.
    """
    threads = str(max(1, cores() // jobs))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    waiting = list(reversed(plans))
    running: list[_Started] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(project, *waiting.pop(), environment))
            ended = [one for one in running if one.process.poll() is not None]
            for one in ended:
                running.remove(one)
                yield one.planned, _outcome(project, one)
            if not ended:
                time.sleep(_LOOK)
    except KeyboardInterrupt:
        kept = f"{project.show(project.runs)}/"
        raise KeyboardInterrupt(f"stopped; the cells that ran are kept under {kept}") from None
    finally:
        for one in running:
            one.process.send_signal(_STOP)
        for one in running:
            one.process.wait()


def _start(project: Project, planned: Plan, key: str, environment: dict[str, str]) -> _Started:
    said = tempfile.TemporaryFile()  # noqa: SIM115 (closed when its process has ended)
    words = ["run", planned.chapter.id, "--profile", planned.profile, "--no-progress"]
    process = subprocess.Popen(
        [sys.executable, "-m", "eae_book", *words, "--root", str(project.root)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,  # so that Ctrl-C reaches it once, from here
    )
    return _Started(planned, key, process, said)


def _outcome(project: Project, one: _Started) -> Run | ChapterError:
    with one.said:
        one.said.seek(0)
        words = one.said.read().decode(errors="replace").strip()
    chapter = one.planned.chapter
    if one.process.returncode:
        how = words.removeprefix("error: ") or f"ended with status {one.process.returncode}"
        return ChapterError(how if "chapter" in how else f"chapter {chapter.id}: {how}")
    done = find_run(project, one.planned, key=one.key)
    if done is None:
        return ChapterError(f"chapter {chapter.id} changed before its turn: run it again")
    return replace(done, reused=False)
