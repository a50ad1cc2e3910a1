"""A Papermill engine: this interpreter's own kernel, in the chapter's folder, its memory watched.

Papermill starts whatever the user's Jupyter calls `python3`, which may be another environment.
This module is imported only when a chapter runs, because Papermill is an optional dependency.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil  # type: ignore[import-untyped]
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.log import logger

from eae_book.checks import REPORT, VARIABLE
from eae_book.runner.processes import ensure_home
from eae_core.data import data_root

ENGINE = "eae_core"
KERNEL = "python3"
PROFILE = ".jupyter-"  # how the folder of a kernel's profile begins, with its runner's number
LARGEST_OUTPUT = 10_000_000  # characters that a cell puts out, pictures included
OVERHEAD = 50  # of each output in a notebook's file
TOO_MUCH = "\n[this cell puts out more than is kept: the rest is left out]\n"


class _ThisInterpreter(AsyncKernelManager):
    """Starts `python3` with `sys.executable`, whatever kernels Jupyter has installed."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, noting the kernel's peak memory and keeping outputs in bounds."""

    def __init__(self, nb_man: Any, **options: Any) -> None:
        super().__init__(nb_man, **options)
        self.on_cell_executed = self._note_memory
        self.on_cell_error = self._note_memory
        self._kept: Counter[int] = Counter()  # characters of output, by cell

    def _note_memory(self, **_: Any) -> None:
        metadata = self.nb_man.nb.metadata.papermill
        pid = getattr(getattr(self.km, "provisioner", None), "pid", None)
        peak = peak_memory(pid) if pid is not None else 0
        metadata["peak_memory_bytes"] = max(metadata.get("peak_memory_bytes", 0), peak)

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Keep an output, or a note in its place once a cell has put out too much."""
        content, room = msg["content"], LARGEST_OUTPUT - self._kept[cell_index]
        if msg["msg_type"] == "stream":
            if room <= 0:
                return None
            self._kept[cell_index] += len(content["text"]) + OVERHEAD
            if len(content["text"]) > room:
                content["text"] = content["text"][:room] + TOO_MUCH
        elif "data" in content:
            self._kept[cell_index] += sum(len(str(item)) for item in content["data"].values())
            if self._kept[cell_index] > LARGEST_OUTPUT:
                content["data"] = {"text/plain": TOO_MUCH.strip()}
        return super().process_message(msg, cell, cell_index)


class InterpreterEngine(NBClientEngine):  # type: ignore[misc]
    """Executes a notebook in `folder` with this interpreter."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        folder: Path,
        kernel_log: Path,
        report_checks: bool = False,
        start_timeout: int = 60,
        **_: Any,
    ) -> None:
        """Run all cells until one fails; the manager keeps the outputs and saves after each.

        What the kernel says outside any cell (of its transport, at a crash) goes to `kernel_log`.
        With `report_checks` a claim that does not hold is printed and stops nothing.
        """
        ensure_home()
        _sweep(kernel_log.parents[1])
        with TemporaryDirectory(
            prefix=f"{PROFILE}{os.getpid()}-", dir=kernel_log.parent
        ) as profile:
            manager = _ThisInterpreter(
                kernel_name=kernel_name, connection_file=str(Path(profile) / "kernel.json")
            )
            client = _Client(
                nb_man, km=manager, startup_timeout=start_timeout, timeout=None, log=logger
            )
            environment = kernel_environment(Path(profile), report_checks=report_checks)
            try:
                with kernel_log.open("wb") as log:
                    client.execute(
                        cwd=str(folder), env=environment, stdout=log, stderr=log, cleanup_kc=True
                    )
            finally:  # stopped while the kernel was starting, nobody else would end it
                process = getattr(manager.provisioner, "process", None)
                if process is not None and process.poll() is None:
                    process.kill()


def _sweep(runs: Path) -> None:
    """Remove the profiles of kernels whose runs were killed."""
    for left in runs.glob(f"*/{PROFILE}*"):
        pid = left.name.removeprefix(PROFILE).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def kernel_environment(profile: Path, *, report_checks: bool = False) -> dict[str, str]:
    """The variables of a kernel: none of a reader's own settings changes a chapter.

    Args:
        profile: An empty folder, in place of the reader's profile of Jupyter and IPython.
        report_checks: Whether a claim that does not hold is printed and stops nothing.
    """
    # A backend set for scripts (MPLBACKEND=agg) would leave the chapter without figures.
    theirs = {"MPLBACKEND", "PYTHONSTARTUP", "PYTHONINSPECT", VARIABLE}
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in theirs and not name.startswith(("JUPYTER_", "IPYTHON"))
    }
    matplotlibrc = profile / "matplotlibrc"
    matplotlibrc.touch()
    environment["MATPLOTLIBRC"] = str(matplotlibrc)
    environment["IPYTHONDIR"] = str(profile / "ipython")
    for kind in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{kind}_DIR"] = str(profile / kind.lower())
    # The kernel starts in the chapter's folder, where a relative path would lead elsewhere.
    environment["EAE_DATA"] = os.path.abspath(data_root())
    if paths := environment.get("PYTHONPATH"):
        environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep)))
    return environment | ({VARIABLE: REPORT} if report_checks else {})


def peak_memory(pid: int) -> int:
    """The largest resident memory of a running process so far, in bytes; 0 if it is gone.

    Linux and Windows keep the peak; elsewhere the present size stands in for it.

    >>> peak_memory(os.getpid()) > 1_000_000
    True
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return next(
            int(line.split()[1]) * 1024  # VmHWM, "high water mark", is given in kB
            for line in status.splitlines()
            if line.startswith("VmHWM:")
        )
    except (OSError, StopIteration):
        pass
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "peak_wset", memory.rss))


papermill_engines.register(ENGINE, InterpreterEngine)
