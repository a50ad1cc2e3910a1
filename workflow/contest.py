"""Which term makes a code from which N(0, I) draws the best images? One contest, one budget.

Every term trains the same network on the same images for the same number of steps. Its weight is
chosen among five, in steps of the square root of ten, by the Frechet distance of samples from
N(0, I) to training images that are held out; while the best weight stands at an end, the end moves
on. Then three seeds with the weight chosen are scored on the test images. A weight counts the
standard deviation of the term on Gaussian batches of the same size (records of the experiment
"preference"), so all start from the same five.

Trials land in data/results/models-contest-trials/, the rest in data/results/models-contest/. What
has a valid record is not run again, and a training that was stopped goes on from its checkpoint,
so the same command goes on where it was.

Example:
    python workflow/contest.py mnist             # d = 16, n = 100; two hours on a core
    python workflow/contest.py mnist --terms knn sigreg
    python workflow/contest.py mnist --latent-dim 64 --dry-run
    python workflow/contest.py celeba64 --terms knn pin  # four minutes a run on a core
    python workflow/contest.py cifar10 --jobs 8  # wants a GPU, which has room for several
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from matrix import Cell
from recording import add_places, run_script, script_parser

from eae_book.records import Record, recorded
from eae_book.studies.contest_entries import enter

STEP = 10**0.5
GRID = (-2, -1, 0, 1, 2)  # exponents of STEP
FURTHEST = 6
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Entry:
    """What takes part: words of `train`, and what its weight is called and measured in."""

    words: Mapping[str, object]
    unit: str | None  # the term whose spread on Gaussian batches is 1; None for plain numbers
    model: str = "eae"
    weight: str = "entropy-weight"


TERMS: dict[str, Entry] = {
    "knn": Entry({}, "knn_entropy"),
    "pin": Entry({"radial-weight": 20}, "entropy_radial"),
    **{
        name: Entry({"regularizer": name}, name)
        for name in (
            *("sigreg", "visreg", "wristband", "sliced_wasserstein", "cramer_wold"),
            *("mmd", "energy", "koleo", "covariance", "radial"),
        )
    },
    "sphere": Entry({}, None, model="sphere_encoder", weight="noise"),
}
#: what is changed in the pin, at the weight that was chosen for it
VARIANTS: dict[str, Mapping[str, object]] = {
    "pin-5": {"radial-weight": 5},
    "pin-60": {"radial-weight": 60},
    "pin-k2": {"radial-weight": 20, "k": 2},
    "pin-decorrelated": {"regularizer": "pinned_decorrelated"},
    "pin-whitened": {"regularizer": "pinned_whitened"},
    "pin-slices": {"regularizer": "pinned_slices"},
    "pin-coverage": {"regularizer": "pinned_coverage"},
}
SIZES: dict[str, dict[str, Any]] = {
    "mnist": {"epochs": 3, "limit": 20_000, "learning-rate-decay": 0.4},
    "fashion_mnist": {"epochs": 3, "limit": 20_000, "learning-rate-decay": 0.4},
    "cifar10": {"epochs": 12, "limit": 20_000, "learning-rate-decay": 0.79, "width": 32},
    "celeba64": {
        "epochs": 8,
        "limit": 14_000,
        "learning-rate-decay": 0.71,
        "networks": ["cifar10"],
    },
}
LARGE_CODE = 16  # above it networks of width 8 are as wide as the others, and train for longer
#: a process of `train` that knows what is in no package
TRAIN = (
    "import sys; from eae_book.studies.contest_entries import enter; from eae_book.cli import "
    "main; enter(); sys.exit(main())"
)
COMMON = {"learning-rate": 0.002, "precision": "bf16-mixed", "channels-last": True}


@dataclass(frozen=True)
class Setting:
    """What is the same for all terms."""

    dataset: str
    d: int
    n: int
    records: Path | None

    @property
    def chosen_by(self) -> str:
        """The figure of a trial by which a weight is chosen."""
        return f"fd_{SIZES[self.dataset].get('networks', ['classifier'])[0]}_standard"

    def unit(self, entry: Entry) -> float:
        """The standard deviation of a term on Gaussian batches of this size.

        Raises:
            ValueError: it is not recorded.
        """
        if entry.unit is None:
            return 1.0
        name = f"n{self.n}-d{self.d}"
        record = recorded("preference", self.records).get(name)
        if record is None or entry.unit not in record.metrics:
            raise ValueError(
                f"no record of preference/{name} has the spread of {entry.unit}: python "
                f"workflow/measure_preference.py --sizes {self.n} --dims {self.d}"
            )
        return float(record.metrics[entry.unit]["deviation"])

    def size(self) -> dict[str, Any]:
        """Words that say how long is trained: larger batches take as many steps."""
        found = {"width": 8, **SIZES[self.dataset]}
        longer = max(1, round(self.n / 100))
        if self.d > LARGE_CODE and found["width"] == 8:
            found["width"], longer = 32, 3 * longer
        found["epochs"] *= longer
        found["learning-rate-decay"] = round(found["learning-rate-decay"] ** (1 / longer), 4)
        return found

    def cell(self, term: str, exponent: int | None, seed: int, *, trial: bool) -> Cell:
        """One training; exponent None has no term, and the term "ae" no batch norm either."""
        words = {**COMMON, **self.size(), "latent-dim": self.d, "batch-size": self.n}
        words |= {"samples": 2000, "score-on": "held-out"} if trial else {"samples": 10_000}
        model = "ae" if term == "ae" else "eae"
        if term == "ae":
            words |= {"normalize-code": False}
        elif exponent is None:
            words["entropy-weight"] = 0
        else:
            entry = TERMS["pin" if term in VARIANTS else term]
            weight = STEP**exponent / self.unit(entry)
            words |= {**VARIANTS.get(term, entry.words), entry.weight: float(f"{weight:.3g}")}
            model = entry.model
        parts = [f"d{self.d}-n{self.n}", *([term] if term != "ae" else [])]
        variant = "-".join([*parts, *([f"c{exponent}"] if trial else [])])
        profile = "contest-trials" if trial else "contest"
        return Cell(profile, self.dataset, model, variant, seed, tuple(sorted(words.items())))


def main(words: list[str] | None = None) -> int:
    """Run what has no record; the status of the script."""
    enter()
    parser = script_parser("contest", __doc__)
    parser.add_argument("dataset", choices=SIZES)
    parser.add_argument("--latent-dim", type=int, default=16, help="d (16)")
    parser.add_argument("--batch-size", type=int, default=100, help="n (100)")
    parser.add_argument("--terms", nargs="+", choices=TERMS, default=list(TERMS), help="all")
    parser.add_argument("--variants", action="store_true", help="those of the pin too")
    parser.add_argument("--dry-run", action="store_true", help="only say what comes next")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once (1)")
    add_places(parser)
    arguments = parser.parse_args(words)
    arguments.free = BoundedSemaphore(arguments.jobs)
    return run_script("contest", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """Trials and seeds of each term, as many at once as there may be."""
    setting = Setting(
        arguments.dataset, arguments.latent_dim, arguments.batch_size, arguments.records
    )

    def take_part(term: str) -> None:
        best, names = None, [term]
        if term in TERMS:
            best = choose(setting, term, arguments)
            print(f"{term}: weight {'not chosen yet' if best is None else f'c{best}'}", flush=True)
            if best is None:
                return
            names += VARIANTS if term == "pin" and arguments.variants else ()
        cells = [setting.cell(name, best, seed, trial=False) for name in names for seed in SEEDS]
        at_once(lambda cell: train(cell, arguments), cells, arguments.jobs)

    at_once(take_part, ["none", "ae", *arguments.terms], arguments.jobs)
    return 0


def choose(setting: Setting, term: str, arguments: argparse.Namespace) -> int | None:
    """The exponent of the best weight; None where a dry run has no trials to choose from."""
    tried: dict[int, float] = {}
    while exponents := next_exponents(tried):
        cells = [setting.cell(term, exponent, 0, trial=True) for exponent in exponents]
        records = at_once(lambda cell: train(cell, arguments), cells, arguments.jobs)
        for exponent, cell, record in zip(exponents, cells, records, strict=True):
            if record is None:
                return None
            tried[exponent] = float(record.metrics[setting.chosen_by])
            print(f"  {cell.run}: {tried[exponent]:.1f}", flush=True)
    return min(tried, key=tried.__getitem__)


def next_exponents(tried: Mapping[int, float]) -> tuple[int, ...]:
    """The five of the grid, then one beyond an end as long as the best of those tried is the end.

    Example:
        >>> next_exponents({})
        (-2, -1, 0, 1, 2)
        >>> next_exponents({-2: 9.0, -1: 8.0, 0: 7.0, 1: 6.0, 2: 5.0})
        (3,)
        >>> next_exponents({-2: 9.0, -1: 8.0, 0: 7.0, 1: 6.0, 2: 6.5})
        ()
    """
    if not tried:
        return GRID
    best = min(tried, key=tried.__getitem__)
    if best == max(tried) < FURTHEST:
        return (best + 1,)
    return (best - 1,) if best == min(tried) > -FURTHEST else ()


def at_once(work: Callable[[Any], Any], items: Sequence[Any], jobs: int) -> list[Any]:
    """The results of some work, in the order of the items; one after the other for one job."""
    if jobs == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max(1, len(items))) as threads:
        return list(threads.map(work, items))


def train(cell: Cell, arguments: argparse.Namespace) -> Record | None:
    """The record of a cell, from a process that trains it where there is none."""
    records = recorded(cell.experiment, arguments.records)
    if not (reasons := cell.reasons(records)):
        return records[cell.run]
    if arguments.dry_run:
        print(f"  {cell.run}: {'; '.join(reasons)}")
        return None
    folder = Path("_runs") / "contest" / f"{cell.run}-{cell.key}"
    words = cell.command(str(folder), str(arguments.records) if arguments.records else "")
    words += ["--no-progress", *(["--resume"] if (folder / "model.safetensors").exists() else [])]
    with arguments.free:
        done = subprocess.run([sys.executable, "-c", TRAIN, *words], stdout=subprocess.DEVNULL)
    if done.returncode > 128 or done.returncode < 0:  # a signal
        raise KeyboardInterrupt
    if done.returncode:
        raise RuntimeError(f"{cell.run} failed; its words: {' '.join(words)}")
    return recorded(cell.experiment, arguments.records)[cell.run]


if __name__ == "__main__":
    sys.exit(main())
