"""A Papermill engine: this interpreter's own kernel, in the chapter's folder, its memory watched.

Papermill starts whatever the user's Jupyter calls `python3`, which may be another environment.
This module is imported only when a chapter runs, because Papermill is an optional dependency.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.log import logger

from eae_book.checks import REPORT, VARIABLE

ENGINE = "eae_core"
KERNEL = "python3"


class _ThisInterpreter(AsyncKernelManager):
    """Starts `python3` with `sys.executable`, whatever kernels Jupyter has installed."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, noting the kernel's peak memory after each cell."""

    def __init__(self, nb_man: Any, **options: Any) -> None:
        super().__init__(nb_man, **options)
        self.on_cell_executed = self._note_memory
        self.on_cell_error = self._note_memory

    def _note_memory(self, **_: Any) -> None:
        metadata = self.nb_man.nb.metadata.papermill
        pid = getattr(getattr(self.km, "provisioner", None), "pid", None)
        peak = peak_memory(pid) if pid is not None else 0
        metadata["peak_memory_bytes"] = max(metadata.get("peak_memory_bytes", 0), peak)


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
        client = _Client(
            nb_man,
            kernel_manager_class=_ThisInterpreter,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            timeout=None,
            log=logger,
        )
        # A backend set for scripts (MPLBACKEND=agg) would leave the chapter without figures.
        ours = {"MPLBACKEND", VARIABLE}
        environment = {k: v for k, v in os.environ.items() if k not in ours}
        environment |= {VARIABLE: REPORT} if report_checks else {}
        with kernel_log.open("wb") as log:
            client.execute(cwd=str(folder), env=environment, stdout=log, stderr=log)


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
