"""Measure which distributions each regulariser prefers to a Gaussian, under batch normalisation.

One record a size, n points in d dimensions, lands in data/results/preference/: for every term its
mean and standard deviation on Gaussian batches, how much larger it is on ten other distributions,
in those standard deviations, with standard errors, and the spread of norms that it likes best. A
size that has a record is skipped, so the same command goes on where it was stopped.

Example:
    python workflow/measure_preference.py                     # 6 records, 20 minutes on one core
    python workflow/measure_preference.py --sizes 100 --dims 16 --least 50 --points 5000
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass

import torch
from recording import add_places, is_recorded, new_record, one_by_one, run_script, script_parser

from eae_book.records import write_record
from eae_book.studies.preference import SLICES, Preference, measure
from eae_core.hardware import peak_memory_bytes

EXPERIMENT = "preference"


@dataclass(frozen=True)
class Size:
    """One record."""

    n: int
    d: int
    least: int
    most: int

    @property
    def name(self) -> str:
        """Of the record."""
        return f"n{self.n}-d{self.d}"

    @property
    def parameters(self) -> dict[str, int]:
        """All that decides its numbers."""
        return {**asdict(self), "slices": SLICES}


def main(words: list[str] | None = None) -> int:
    """Measure and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("measure_preference", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The sizes one after the other; the status of the script."""
    sizes = [Size(n, d, *batches(n, arguments)) for n in arguments.sizes for d in arguments.dims]
    todo = [
        size
        for size in sizes
        if not is_recorded(EXPERIMENT, size.name, size.parameters, arguments.records)
    ]
    print(f"{len(sizes)} sizes, {len(sizes) - len(todo)} of them recorded already", flush=True)
    return one_by_one(todo, lambda size: record(size, arguments), dry_run=arguments.dry_run)


def batches(n: int, arguments: argparse.Namespace) -> tuple[int, int]:
    """For every term, and at most where a sign is open: fewer of larger ones, which cost more."""
    least = max(arguments.least, arguments.points // (6 * n))
    return least, max(least, arguments.points // n)


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("measure_preference", __doc__)
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[100, 512], help="n, default: 100 512")
    add("--dims", type=int, nargs="+", default=[16, 64, 128], help="d, default: 16 64 128")
    add("--least", type=int, default=50, help="batches for every term at least, default: 50")
    add("--points", type=int, default=60_000, help="in all batches at most, default: 60000")
    add("--dry-run", action="store_true", help="only say what there is to do")
    add("--note", default="", help="kept in the records")
    add_places(parser)
    return parser.parse_args(words)


def record(size: Size, arguments: argparse.Namespace) -> None:
    """Measure one size and write its record."""
    start = time.perf_counter()
    found = measure(size.n, size.d, least=size.least, most=size.most, on_block=say)
    written = new_record(
        EXPERIMENT,
        size.name,
        parameters=size.parameters,
        metrics={name: rounded(preference) for name, preference in found.items()},
        seconds=time.perf_counter() - start,
        peak_memory_bytes=peak_memory_bytes(torch.device("cpu")),
        device="cpu",
        notes=arguments.note,
    )
    print(f"  recorded in {write_record(written, arguments.records).name}", flush=True)


def say(batches: int, found: dict[str, Preference]) -> None:
    """One line a block."""
    still = [name for name, preference in found.items() if preference.undecided]
    print(f"  {batches} batches, open signs in {', '.join(still) or 'none'}", flush=True)


def rounded(preference: Preference) -> dict[str, object]:
    """As a record holds it, with five digits."""

    def five(value: object) -> object:
        if isinstance(value, dict):
            return {name: five(part) for name, part in value.items()}
        return float(f"{value:.5g}") if isinstance(value, float) else value

    return {name: five(value) for name, value in asdict(preference).items()}


if __name__ == "__main__":
    raise SystemExit(main())
