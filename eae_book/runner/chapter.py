"""One chapter through Papermill: checked first, in a folder of its own, with a record."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eae_book.checks import FAILS
from eae_book.provenance import Provenance
from eae_book.runner.manifest import Chapter, Manifest, Value
from eae_book.runner.parameters import parameters_cell, read_parameters, resolve
from eae_book.runner.project import Project
from eae_core.cli.folders import RECORD, fresh_folder
from eae_core.errors import CommandError, UsageError, printable, require

if TYPE_CHECKING:
    from eae_book.records import Record

NEEDED = ("papermill", "ipykernel", "nbformat")
KERNEL_LOG = "kernel.log"
KEY = "run_key"
"""The parameter of a run's record that holds the hash of all that decided its outputs."""
LONGEST_MESSAGE = 40  # lines of an error that are shown
DAMAGED = (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError)
"""What a file that is no notebook makes nbformat raise."""


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
    """Whether a reader chose values: a claim that does not hold is then shown and stops nothing."""

    @property
    def values(self) -> dict[str, Value]:
        """Of all parameters in this run."""
        return {**self.defaults, **self.parameters}


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
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        return notebook
    except FileNotFoundError as error:
        raise UsageError(
            f"the manifest names {path.name}, but there is no such notebook"
        ) from error
    except (*DAMAGED, nbformat.ValidationError) as error:
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
    planned = Plan(chapter, profile, notebook, parameters, defaults, own_values=bool(assignments))
    _record(planned, Provenance("", "", {}))  # what cannot be recorded is refused before it runs
    return planned


def run(project: Project, planned: Plan, *, key: str = "", progress: bool = True) -> Run:
    """Execute a chapter into a fresh folder under `_runs/`.

    Args:
        project: The checkout.
        planned: What `plan` returned.
        key: Kept in the record, so that `find_run` can find the result again.
        progress: Show a bar, one step a cell, on stderr.

    Raises:
        ChapterError: A cell failed. The executed part is kept, the message says where.
        KeyboardInterrupt: Likewise kept.
    """
    from eae_book.records import save_record

    chapter, provenance = planned.chapter, Provenance.now()
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
    record = _record(
        planned,
        provenance,
        key=key,
        seconds=round(time.perf_counter() - began, 2),
        peak_memory_bytes=executed.metadata.papermill.get("peak_memory_bytes", 0),
    )
    try:
        save_record(record, finished.record)
    except OSError as error:
        raise ChapterError(f"chapter {chapter.id} ran, but {error}") from error
    failed = tuple(line for line in printed_lines(executed) if line.startswith(FAILS))
    return replace(finished, failed_claims=failed)


def find_run(project: Project, planned: Plan, *, key: str) -> Run | None:
    """The newest finished run with this key, if any; what cannot be read is passed over."""
    from eae_book.records import RecordError, read_record, stale

    chapter = planned.chapter
    for folder in sorted(project.runs.glob(f"{chapter.id}-{planned.profile}-*"), reverse=True):
        found = Run(chapter, planned.profile, folder, reused=True)
        try:
            if stale(read_record(found.record), {KEY: key}):
                continue
            read_notebook(found.notebook)
        except (FileNotFoundError, RecordError, UsageError):  # unfinished, or damaged
            continue
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
    except (DeadKernelError, CellExecutionError, RuntimeError, OSError) as error:
        dead = isinstance(error, DeadKernelError | CellExecutionError)
        reason = "the kernel died (did it run out of memory?)" if dead else printable(str(error))
        raise ChapterError(
            f"chapter {planned.chapter.id}: {reason}\n"
            f"  the cells that ran are kept in {project.show(target)}\n"
            f"  the kernel's own messages are in {project.show(target.with_name(KERNEL_LOG))}"
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
    lines = printable(f"{error.ename}: {str(error.evalue).strip()}").splitlines()
    reason = "\n    ".join(lines[:LONGEST_MESSAGE] + ["..."] * (len(lines) > LONGEST_MESSAGE))
    return (
        f"chapter {planned.chapter.id} failed in cell [{error.exec_count}], "
        f"which begins  {first.strip()}\n"
        f"  {reason}\n"
        f"  the cells that ran are kept in {project.show(target)}"
    )


def _record(
    planned: Plan,
    provenance: Provenance,
    *,
    key: str = "",
    seconds: float = 0.0,
    peak_memory_bytes: int = 0,
) -> Record:
    """The record of a run; `UsageError` if its values cannot stand in one."""
    from eae_book.records import new_record

    chapter, values = planned.chapter, planned.values
    device = values.get("device", "cpu")  # a chapter without the parameter stays on the CPU
    seed = values.get("seed")
    try:
        return new_record(
            "chapters",
            f"{chapter.id}-{planned.profile}".lower(),
            parameters={**values, **({KEY: key} if key else {})},
            metrics={},
            seeds=[seed] if isinstance(seed, int) and not isinstance(seed, bool) else [],
            seconds=seconds,
            peak_memory_bytes=peak_memory_bytes,
            device=device if isinstance(device, str) else "cpu",
            provenance=provenance,
        )
    except ValueError as error:
        raise UsageError(f"chapter {chapter.id}: {error}") from error
