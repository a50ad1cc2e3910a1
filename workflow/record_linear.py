"""The yardstick of the long runs and of the contest: the error of principal components.

As many components as the code has numbers, fitted to all training images, measured on all test
images. One record a data set and size lands in data/results/linear-code/; all take a minute.

Example:
    python workflow/record_linear.py
    python workflow/record_linear.py --datasets mnist --dims 16
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from recording import add_places, is_recorded, new_record, one_by_one, run_script, script_parser

from eae_book.records import write_record
from eae_book.studies.linear_code import fit_linear_code
from eae_core.data import load_images

EXPERIMENT = "linear-code"
DATASETS = ("mnist", "fashion_mnist", "cifar10", "celeba64")


@dataclass(frozen=True)
class Size:
    """One record."""

    dataset: str
    d: int

    @property
    def name(self) -> str:
        """Of the record."""
        return f"{self.dataset}-d{self.d}"

    @property
    def parameters(self) -> dict[str, object]:
        """What decides its numbers."""
        return {"dataset": self.dataset, "latent_dim": self.d}


def main(words: list[str] | None = None) -> int:
    """Measure and record what has no record."""
    parser = script_parser("record_linear", __doc__)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--dims", type=int, nargs="+", default=[16, 32, 64], help="16 32 64")
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to do")
    add_places(parser)
    arguments = parser.parse_args(words)
    return run_script("record_linear", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The sizes one after the other; the status of the script."""
    sizes = [Size(name, d) for name in arguments.datasets for d in arguments.dims]
    records = arguments.records
    todo = [s for s in sizes if not is_recorded(EXPERIMENT, s.name, s.parameters, records)]
    return one_by_one(todo, lambda size: measure(size, arguments), dry_run=arguments.dry_run)


def measure(size: Size, arguments: argparse.Namespace) -> None:
    """Fit, measure and record."""
    started = time.perf_counter()
    images = load_images(size.dataset)
    linear = fit_linear_code(images, size.d)
    record = new_record(
        EXPERIMENT,
        size.name,
        parameters=size.parameters,
        metrics={
            "reconstruction_error": linear.reconstruction_error(load_images(size.dataset, "test"))
        },
        seeds=[0],
        seconds=round(time.perf_counter() - started, 2),
        data_checksum=images.checksum,
    )
    write_record(record, arguments.records)


if __name__ == "__main__":
    raise SystemExit(main())
