r"""What wants a GPU, as far as a few minutes of one reach; the next call goes on from there.

The benchmarks of the estimator and of training, then the cells of the profile ``paper`` that say
most: EAE, AE, VAE, WAE, RAE-L2 and two-stage VAE on CIFAR-10 and faces, then their other seeds,
then the rest. When time is nearly out, the cells under way write their checkpoints; records, sheets
and what fits of unfinished checkpoints go into the output folder, in parts of at most 15 MiB.
A small network leaves a GPU idle between its kernels, so several cells can run at once (--jobs),
side by side where NVIDIA's MPS runs (`nvidia-cuda-mps-control -d`).

Example:
    python workflow/gpu.py --minutes 9                             # or: make gpu
    python workflow/gpu.py --minutes 9 --carry _gpu                # later, also elsewhere
    python workflow/gpu.py --minutes 9 --profile long --jobs 8 --datasets cifar10 celeba64
    python workflow/gpu.py --keep _gpu                             # records into data/results
    python workflow/gpu.py --pack-data cifar10 --output _gpu-data  # for a machine without a network
    python workflow/gpu.py --minutes 9 --data _gpu-data
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from matrix import MATRIX, Cell, load_cells, pending
from packing import MIB, grow, pack, shrink, unpack

from eae_book.records import results_root
from eae_core.cli.folders import CHECKPOINT
from eae_core.data import data_root
from eae_core.hardware import usable_cores

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ("cifar10", "celeba64")  # the most valuable first
MODELS = ("eae", "ae", "vae", "wae", "rae_l2", "two_stage_vae")
PACKING = 20.0  # seconds, at the end
SPEED = "--dataset cifar10 --width 128 --latent-dim 128 --images 20000 --repeats 3 --compiled"
BENCHMARKS: dict[str, list[str]] = {"entropy_gpu": [], "training_speed": SPEED.split()}


class Clock:
    """The minutes there are."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes - PACKING

    @property
    def left(self) -> float:
        """Seconds until it rings."""
        return max(0.0, self.end - time.monotonic())


def by_value(cells: Sequence[Cell]) -> list[Cell]:
    """The cells, most valuable first: at one seed before at others, the rest of the table last."""

    def place(name: str, names: tuple[str, ...]) -> int:
        return names.index(name) if name in names else len(names)

    def worth(cell: Cell) -> tuple[int, ...]:
        dataset, model = place(cell.dataset, DATASETS), place(cell.model, MODELS)
        later = dataset == len(DATASETS) or model == len(MODELS)
        return later, cell.seed, dataset, model

    return sorted(cells, key=worth)


def pending_in(cells: Sequence[Cell], records: Path | None) -> list[Cell]:
    """Those of these cells that a folder of records does not hold, in their order."""
    found = pending(cells, records)
    return [cell for cell in cells if cell in found]


def run_benchmarks(clock: Clock, records: Path) -> list[str]:
    """Run those that left no record here; what became of each, in a line."""
    said = []
    for name, words in BENCHMARKS.items():
        mark = records / "benchmarks" / f".{name}"
        if mark.exists():
            continue
        command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *words]
        command += ["--write", "--output", str(records)]
        try:
            status = subprocess.run(command, cwd=ROOT, timeout=clock.left, check=False).returncode
        except subprocess.TimeoutExpired:
            said.append(f"benchmark {name}: not measured yet")
            continue
        said.append(f"benchmark {name}: {'measured' if status == 0 else f'failed ({status})'}")
        if status == 0:
            mark.touch()
    return said


def run_cells(cells: Sequence[Cell], clock: Clock, work: Path, jobs: int) -> None:
    """Train and score cells, so many at once, until the clock rings; says what became of each."""
    waiting = list(cells)
    running: dict[Cell, subprocess.Popen[bytes]] = {}
    environment = os.environ | {"OMP_NUM_THREADS": str(max(1, usable_cores() // jobs))}
    try:
        while running or (waiting and clock.left):
            while waiting and len(running) < jobs and clock.left:
                cell = waiting.pop(0)
                running[cell] = start(cell, work, environment)
            time.sleep(0.1)
            if not clock.left:
                stop(running.values())
            for cell in [cell for cell, process in running.items() if process.poll() is not None]:
                status = running.pop(cell).returncode
                what = "recorded" if status == 0 else f"stopped ({status})"
                print(f"{cell.run}: {what}", flush=True)
    finally:
        stop(running.values())


def start(cell: Cell, work: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that trains a cell, or goes on with its checkpoint; what it says is kept there."""
    folder = cell_folder(cell, work)
    folder.mkdir(parents=True, exist_ok=True)
    words = [*cell.command(str(folder), str(work / "records")), "--no-progress"]
    words += ["--resume"] if (folder / CHECKPOINT).exists() else []
    with Path(folder, "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "eae_book", *words]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def stop(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """End trainings in good order, each with a checkpoint, which a Ctrl-C does."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        process.wait()


def cell_folder(cell: Cell, work: Path) -> Path:
    """Where a cell's checkpoint lies."""
    return work / "cells" / f"{cell.run}-{cell.key}"


def write_parts(cells: Sequence[Cell], work: Path, output: Path, limit_mib: float) -> list[str]:
    """Records and sheets, and the checkpoints of these cells as far as they fit; what did not."""
    records = work / "records"
    files = [path for path in sorted(records.rglob("*")) if path.is_file()]
    room = limit_mib * MIB - sum(path.stat().st_size for path in files)
    said = []
    for cell in cells:
        folder = cell_folder(cell, work)
        if not (folder / CHECKPOINT).exists():
            continue
        own = [path for path in (folder / CHECKPOINT, folder / "scores.json") if path.exists()]
        size = sum(path.stat().st_size for path in own)
        if size > room:
            said.append(f"{cell.run}: its checkpoint of {size / MIB:.0f} MiB stays in {work}")
            continue
        room -= size
        files += own
    pack([(path, str(path.relative_to(work))) for path in files], output)
    return said


def keep(output: Path) -> int:
    """Copy the records and sheets of an output folder into data/results."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(output, Path(folder))
        shutil.copytree(
            Path(folder, "records"),
            results_root(),
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(".*"),
        )
    return 0


def pack_data(names: Sequence[str], output: Path) -> int:
    """Prepared data sets, without loss, in parts that fit a narrow way."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            shrink(data_root() / name, Path(folder, name))
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        parts = pack([(path, str(path.relative_to(folder))) for path in paths], output)
    print(f"{len(parts)} parts, {sum(part.stat().st_size for part in parts) / MIB:.0f} MiB")
    return 0


def unpack_data(parts: Path, root: Path) -> None:
    """Put data sets that :func:`pack_data` wrote where they are looked for."""
    unpack(parts, root)
    for folder in root.iterdir():
        if folder.is_dir():
            grow(folder)


def main(words: Sequence[str] | None = None, *, clock: Clock | None = None) -> int:
    """Do what can be done in the time, and leave it in the output folder."""
    description, _, example = (__doc__ or "").partition("Example:")
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example:{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, default=9.0, help="until everything is written (default: 9)")
    add("--profile", default="paper", help="of the matrix (default: paper)")
    add("--datasets", nargs="+", default=(), help="only these (default: all of the profile)")
    add("--models", nargs="+", default=(), help="likewise")
    add("--seeds", nargs="+", type=int, default=(), help="likewise")
    add("--jobs", type=int, default=1, help="cells at once (default: 1)")
    add("--matrix", type=Path, default=MATRIX, help="default: workflow/matrix.yml")
    add("--output", type=Path, default=Path("_gpu"), help="folder of what is made (default: _gpu)")
    add("--limit-mib", type=float, default=60.0, help="of the output folder (default: 60)")
    add("--work", type=Path, default=Path("_runs/gpu"), help="default: _runs/gpu")
    add("--carry", type=Path, help="output folder of an earlier call, to go on from")
    add("--data", type=Path, help="folder of packed data sets, put into the data folder first")
    add("--no-benchmarks", action="store_true", help="only the cells of the matrix")
    add(
        "--keep", type=Path, metavar="DIR", help="copy an output's records to data/results, no more"
    )
    add("--pack-data", nargs="+", metavar="NAME", help="pack data sets into --output, no more")
    arguments = parser.parse_args(words)
    if arguments.keep:
        return keep(arguments.keep)
    if arguments.pack_data:
        return pack_data(arguments.pack_data, arguments.output)
    clock, work = clock or Clock(arguments.minutes), arguments.work
    if arguments.carry:
        unpack(arguments.carry, work)
    if arguments.data:
        unpack_data(arguments.data, data_root())
    said = [] if arguments.no_benchmarks else run_benchmarks(clock, work / "records")
    chosen = {name: getattr(arguments, name) for name in ("datasets", "models", "seeds")}
    cells = by_value(load_cells(arguments.profile, path=arguments.matrix, **chosen))
    todo = pending_in(pending_in(cells, None), work / "records")
    run_cells(todo, clock, work, arguments.jobs)
    left = pending_in(todo, work / "records")
    said += write_parts(left, work, arguments.output, arguments.limit_mib)
    said += [f"{len(left)} of {len(cells)} cells of {arguments.profile}: not measured yet"]
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
