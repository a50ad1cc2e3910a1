"""One chapter through Papermill: checked first, in a folder of its own, with a record."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eae_book.checks import FAILS
from eae_book.runner.manifest import Chapter, Manifest, Value
from eae_book.runner.parameters import parameters_cell, read_parameters, resolve
from eae_book.runner.project import Project
from eae_core.cli.folders import RECORD, fresh_folder
from eae_core.errors import CommandError, UsageError, require

NEEDED = ("papermill", "ipykernel", "nbformat")
KERNEL_LOG = "kernel.log"
KEY = "key"
"""The file that marks a finished run: the hash of all that decided its outputs."""


@dataclass(frozen=True)
class Plan:
    """A run that has passed every check."""

    chapter: Chapter
    profile: str
    notebook: Any
    parameters: Mapping[str, Value]
    """What replaces values of the parameters cell."""
    defaults: Mapping[str, Value]
    own_values: bool = False
    """Whether a reader chose values: a claim that does not hold is then told and stops nothing."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    chapter: Chapter
    profile: str
    folder: Path
    reused: bool
    failed_claims: tuple[str, ...] = ()
    """Lines of claims that do not hold at a reader's values."""

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.folder / f"{self.chapter.name}.ipynb"

    @property
    def record(self) -> Path:
        """What was run, where, how long and with how much memory."""
        return self.folder / RECORD


class ChapterError(CommandError):
    """A cell failed; the message names it and the partly executed notebook."""


def read_notebook(path: Path) -> Any:
    """The notebook at `path`; `UsageError` if it is missing or is not one."""
    require(NEEDED, extra="book")
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError as error:
        raise UsageError(
            f"the manifest names {path.name}, but there is no such notebook"
        ) from error
    except (OSError, ValueError, AttributeError, nbformat.ValidationError) as error:
        raise UsageError(f"{path} is not a notebook: {error}") from error


def plan(
    manifest: Manifest,
    chapter: Chapter,
    *,
    profile: str = "cpu",
    assignments: Mapping[str, str] | None = None,
) -> Plan:
    """Check a request completely before anything runs; `UsageError` says what is wrong with it."""
    notebook = read_notebook(manifest.notebook(chapter))
    try:
        defaults = read_parameters(parameters_cell(notebook)["source"])
    except UsageError as error:
        raise UsageError(f"{manifest.notebook(chapter).name}: {error}") from error
    parameters = resolve(chapter, defaults, profile=profile, assignments=assignments)
    return Plan(chapter, profile, notebook, parameters, defaults, own_values=bool(assignments))


def run(project: Project, planned: Plan, *, key: str = "", progress: bool = True) -> Run:
    """Execute a chapter into a fresh folder under `_runs/`.

    Args:
        project: The checkout.
        planned: What `plan` returned.
        key: Kept beside the result, so that `find_run` can find it again.
        progress: Show a bar, one step a cell, on stderr.

    Raises:
        ChapterError: A cell failed. The executed part is kept, the message says where.
        KeyboardInterrupt: Likewise kept.
    """
    chapter = planned.chapter
    folder = fresh_folder(project.runs, f"{chapter.id}-{planned.profile}")
    finished = Run(chapter, planned.profile, folder, reused=False)
    began = time.perf_counter()
    try:
        executed = _execute(project, planned, finished.notebook, progress=progress)
    except KeyboardInterrupt:
        # The abandoned kernel's death is ours: its client need not report it as the process ends.
        for name in ("asyncio", "papermill"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        raise KeyboardInterrupt(
            f"stopped; the cells that ran are kept in {project.show(finished.notebook)}"
        ) from None
    seconds = time.perf_counter() - began
    _write_record(planned, finished.record, executed, seconds=seconds)
    if key:
        (folder / KEY).write_text(f"{key}\n", encoding="ascii")
    failed = tuple(line for line in printed_lines(executed) if line.startswith(FAILS))
    return replace(finished, failed_claims=failed)


def find_run(project: Project, planned: Plan, *, key: str) -> Run | None:
    """The newest finished run with this key, if there is one."""
    chapter = planned.chapter
    for folder in sorted(project.runs.glob(f"{chapter.id}-{planned.profile}-*"), reverse=True):
        found = Run(chapter, planned.profile, folder, reused=True)
        marker = folder / KEY
        complete = all(path.is_file() for path in (marker, found.notebook, found.record))
        if complete and marker.read_text(encoding="ascii").strip() == key:
            return found
    return None


def _execute(project: Project, planned: Plan, target: Path, *, progress: bool) -> Any:
    """Papermill's part; an error in a cell becomes `ChapterError`."""
    import papermill
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from eae_book.runner import kernel

    logging.getLogger("papermill").setLevel(logging.ERROR)
    # disable=None: no bar where stderr is a file, which would fill with its redrawings.
    bar = {"desc": f"chapter {planned.chapter.id}", "leave": False, "disable": None}
    try:
        return papermill.execute_notebook(
            copy.deepcopy(planned.notebook),  # it writes into what it is given
            str(target).replace("{", "{{").replace("}", "}}"),  # it formats the path
            parameters=dict(planned.parameters),
            engine_name=kernel.ENGINE,
            kernel_name=kernel.KERNEL,
            language="python",
            progress_bar=bar if progress else False,
            folder=project.manifest.parent,
            kernel_log=target.with_name(KERNEL_LOG),
            report_checks=planned.own_values,
        )
    except papermill.PapermillExecutionError as error:
        raise ChapterError(_failure(project, planned, target, error)) from error
    except (DeadKernelError, CellExecutionError) as error:
        raise ChapterError(
            f"chapter {planned.chapter.id}: the kernel died (did it run out of memory?)\n"
            f"  the cells that ran are kept in {project.show(target)}\n"
            f"  the kernel's last words are in {project.show(target.with_name(KERNEL_LOG))}"
        ) from error


def printed_lines(executed: Any) -> Iterator[str]:
    """What the cells of an executed notebook printed on stdout, line by line."""
    for cell in executed["cells"]:
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream" and output["name"] == "stdout":
                yield from "".join(output["text"]).splitlines()


def _failure(project: Project, planned: Plan, target: Path, error: Any) -> str:
    """Which cell failed, how, and where to look."""
    first = next((line for line in error.source.splitlines() if line.strip()), "")
    reason = (str(error.evalue).strip().splitlines() or [""])[-1]
    return (
        f"chapter {planned.chapter.id} failed in cell [{error.exec_count}], "
        f"which begins  {first.strip()}\n"
        f"  {error.ename}: {reason}\n"
        f"  the cells that ran are kept in {project.show(target)}"
    )


def _write_record(planned: Plan, path: Path, executed: Any, *, seconds: float) -> None:
    """Leave `record.json` beside the executed notebook."""
    from eae_core.records import RecordError, new_record, record_text

    parameters = {**planned.defaults, **planned.parameters}
    device = parameters.get("device", "cpu")  # a chapter without the parameter stays on the CPU
    seed = parameters.get("seed")
    try:
        record = new_record(
            "chapters",
            f"{planned.chapter.id}-{planned.profile}".lower(),
            parameters=parameters,
            metrics={},
            seeds=[seed] if isinstance(seed, int) and not isinstance(seed, bool) else [],
            seconds=round(seconds, 2),
            peak_memory_bytes=executed.metadata.papermill.get("peak_memory_bytes", 0),
            device=device if isinstance(device, str) else "cpu",
        )
        path.write_text(record_text(record), encoding="utf-8")
    except RecordError as error:
        raise CommandError(f"the chapter ran, but cannot be recorded: {error}") from error
