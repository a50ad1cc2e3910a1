"""Let free points follow each regulariser alone, under batch normalisation: where do they end?

One record a size, n points in d dimensions, lands in data/results/settled-points/: for every term,
and for a Gaussian sample, the statistics of the points after the last step. A size that has a
record is skipped, so the same command goes on where it was stopped.

Example:
    python workflow/measure_settled_points.py                 # 2 records, 5 minutes on one core
    python workflow/measure_settled_points.py --dims 8 --steps 100
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass

import torch
from recording import add_places, is_recorded, new_record, one_by_one, run_script, script_parser

from eae_book.records import write_record
from eae_book.studies.free_points import standardize
from eae_book.studies.preference import SLICES, study_terms
from eae_book.studies.settled_points import describe, settle
from eae_core.hardware import peak_memory_bytes

EXPERIMENT = "settled-points"


@dataclass(frozen=True)
class Size:
    """One record."""

    n: int
    d: int
    steps: int
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Of the record."""
        return f"n{self.n}-d{self.d}"

    @property
    def parameters(self) -> dict[str, object]:
        """All that decides its numbers."""
        return {**asdict(self), "seeds": list(self.seeds), "slices": SLICES}


def main(words: list[str] | None = None) -> int:
    """Measure and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("measure_settled_points", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The sizes one after the other; the status of the script."""
    seeds = tuple(arguments.seeds)
    sizes = [Size(arguments.points, d, arguments.steps, seeds) for d in arguments.dims]
    todo = [
        size
        for size in sizes
        if not is_recorded(EXPERIMENT, size.name, size.parameters, arguments.records)
    ]
    print(f"{len(sizes)} sizes, {len(sizes) - len(todo)} of them recorded already", flush=True)
    return one_by_one(todo, lambda size: record(size, arguments), dry_run=arguments.dry_run)


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("measure_settled_points", __doc__)
    add = parser.add_argument
    add("--points", type=int, default=100, help="n, default: 100")
    add("--dims", type=int, nargs="+", default=[16, 64], help="d, default: 16 64")
    add("--steps", type=int, default=600, help="of Adam, default: 600")
    add("--seeds", type=int, nargs="+", default=[0, 1], help="default: 0 1")
    add("--dry-run", action="store_true", help="only say what there is to do")
    add("--note", default="", help="kept in the records")
    add_places(parser)
    return parser.parse_args(words)


def record(size: Size, arguments: argparse.Namespace) -> None:
    """Settle points by every term and write the record."""
    start = time.perf_counter()
    metrics: dict[str, dict[str, list[float]]] = {}
    for name, term in {"Gaussian": None, **study_terms(size.n, size.d)}.items():
        for seed in size.seeds:
            if term is None:
                generator = torch.Generator().manual_seed(seed)
                z = standardize(torch.randn(size.n, size.d, generator=generator))
            else:
                z = settle(term, size.n, size.d, steps=size.steps, seed=seed)
            for field, value in asdict(describe(z)).items():
                values = metrics.setdefault(name, {}).setdefault(field, [])
                values.append(float(f"{value:.5g}"))
        spread = ", ".join(f"{value:.2f}" for value in metrics[name]["norm_spread"])
        print(f"  {name}: norm spread {spread}", flush=True)
    written = new_record(
        EXPERIMENT,
        size.name,
        parameters=size.parameters,
        seeds=list(size.seeds),
        metrics=metrics,
        seconds=time.perf_counter() - start,
        peak_memory_bytes=peak_memory_bytes(torch.device("cpu")),
        device="cpu",
        notes=arguments.note,
    )
    print(f"  recorded in {write_record(written, arguments.records).name}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
