"""Several chapters at once, each in a process of its own, as the verb run makes it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

from eae_book.runner.chapter import ChapterError, Plan, Run, find_run
from eae_book.runner.processes import start, stop
from eae_book.runner.project import Project

MOST = 4  # chapters at once, unless more are asked for: each takes 0.5 to 0.8 GB at quick size
_INTERVAL = 0.1  # seconds between two looks at the processes


def usual_jobs(profile: str) -> int:
    """How many chapters at once: quick ones keep one core busy each, others all that there is."""
    from eae_core.hardware import usable_cores  # torch is imported late, for quick refusals

    return min(MOST, usable_cores()) if profile == "quick" else 1


@dataclass
class _Started:
    planned: Plan
    key: str
    process: subprocess.Popen[bytes]
    log: IO[bytes]


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
    from eae_core.hardware import usable_cores

    threads = str(max(1, usable_cores() // jobs))
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
                time.sleep(_INTERVAL)
    except KeyboardInterrupt:
        kept = f"{project.show(project.runs)}/"
        raise KeyboardInterrupt(f"stopped; the cells that ran are kept under {kept}") from None
    finally:
        stop([one.process for one in running])


def _start(project: Project, planned: Plan, key: str, environment: dict[str, str]) -> _Started:
    log = tempfile.TemporaryFile()  # noqa: SIM115 (closed when its process has ended)
    arguments = ["run", planned.chapter.id, "--profile", planned.profile, "--no-progress"]
    arguments += ["--root", str(project.root)]
    process = start("eae_book.cli:main", arguments, log=log, environment=environment)
    return _Started(planned, key, process, log)


def _outcome(project: Project, one: _Started) -> Run | ChapterError:
    with one.log:
        one.log.seek(0)
        text = one.log.read().decode(errors="replace").strip()
    stop([one.process])  # it has ended; this closes the pipe
    chapter = one.planned.chapter
    if one.process.returncode:
        reason = text.removeprefix("error: ") or f"ended with status {one.process.returncode}"
        return ChapterError(reason if "chapter" in reason else f"chapter {chapter.id}: {reason}")
    done = find_run(project, one.planned, key=one.key)
    if done is None:
        return ChapterError(f"chapter {chapter.id} changed before its turn: run it again")
    return replace(done, reused=False)
