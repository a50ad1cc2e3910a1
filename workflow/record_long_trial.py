"""Which width, batch and learning rate give the lowest error in so much time? For the profile long.

Each trial trains for a number of seconds of the processor, in bf16, and notes the error on 2,000
training images that are held out, after an eighth, a quarter, half and all of that time. The
learning rate falls by a constant factor a step, to a share of what it was. Beside it stands the
error of as many principal components.

Example:
    OMP_NUM_THREADS=1 python workflow/record_long_trial.py
    OMP_NUM_THREADS=1 python workflow/record_long_trial.py --trials mnist-ae-w8-b50-lr0.002-to1-70s
"""

from __future__ import annotations

import re
import sys
import time
from argparse import Namespace
from dataclasses import asdict, dataclass, fields
from itertools import count

import torch
from recording import add_places, is_recorded, new_record, one_by_one, run_script, script_parser
from torch import Tensor

from eae_book.records import Record, write_record
from eae_book.studies.linear_code import fit_linear_code
from eae_core.data import ImageSet, load_images
from eae_core.hardware import freed_memory_kept
from eae_core.models import Autoencoder, build_model, published_options

EXPERIMENT = "long-trial"
HELD_OUT = 2000
LATENT_DIM = {"mnist": 16, "fashion_mnist": 16, "cifar10": 32, "celeba64": 32}
MARKS = (0.125, 0.25, 0.5, 1.0)  # of the time

TRIALS = (
    "cifar10-ae-w16-b100-lr0.001-to1-90s",
    "cifar10-ae-w16-b100-lr0.002-to0.03-90s",
    "cifar10-ae-w8-b100-lr0.002-to0.03-90s",
    "cifar10-ae-w8-b50-lr0.002-to0.03-90s",
    "celeba64-ae-w16-b100-lr0.002-to0.03-100s",
    "celeba64-ae-w8-b100-lr0.002-to0.03-100s",
    "celeba64-ae-w8-b50-lr0.002-to0.03-100s",
    "mnist-ae-w8-b100-lr0.002-to0.03-70s",
    "mnist-ae-w8-b50-lr0.002-to0.03-70s",
)


@dataclass(frozen=True)
class Trial:
    """One way to spend the time."""

    dataset: str
    model: str
    width: int
    batch_size: int
    learning_rate: float
    last_share: float  #: of the learning rate, at the end
    seconds: float  #: of the processor

    @property
    def name(self) -> str:
        """Of the record."""
        return (
            f"{self.dataset}-{self.model}-w{self.width}-b{self.batch_size}"
            f"-lr{self.learning_rate:g}-to{self.last_share:g}-{self.seconds:g}s"
        )

    @classmethod
    def named(cls, name: str) -> Trial:
        """The trial of a record's name.

        Raises:
            ValueError: not such a name.
        """
        found = re.fullmatch(r"(\w+)-(\w+)-w(\d+)-b(\d+)-lr([\d.]+)-to([\d.]+)-([\d.]+)s", name)
        if not found or found[1] not in LATENT_DIM:
            raise ValueError(f"no trial {name!r}; named as, for instance, {TRIALS[0]}")
        kinds = {"int": int, "float": float, "str": str}
        values = zip(fields(cls), found.groups(), strict=True)
        return cls(*(kinds[str(field.type)](text) for field, text in values))


def run_trial(trial: Trial, images: ImageSet) -> tuple[list[float], int]:
    """Errors on the held-out images at the marks, and the number of steps."""
    kept = len(images) - HELD_OUT
    torch.manual_seed(0)
    model = build_model(
        trial.model,
        images.image_shape,
        LATENT_DIM[trial.dataset],
        width=trial.width,
        options=published_options(trial.model, trial.dataset),
    )
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=trial.learning_rate)
    order, place, used = torch.randperm(kept), 0, 0.0
    errors: list[float] = []
    for steps in count(1):
        started = time.process_time()
        if place + trial.batch_size > kept:
            order, place = torch.randperm(kept), 0
        share = min(1.0, used / trial.seconds)
        optimizer.param_groups[0]["lr"] = trial.learning_rate * trial.last_share**share
        x = images.batch(order[place : place + trial.batch_size])
        place += trial.batch_size
        with torch.autocast("cpu", torch.bfloat16):
            loss = model.loss(x.contiguous(memory_format=torch.channels_last))["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        used += time.process_time() - started
        if used >= MARKS[len(errors)] * trial.seconds:
            errors.append(error_of(model, images.batch(slice(kept, None))))
        if len(errors) == len(MARKS):
            return errors, steps
    raise AssertionError("time passes")


def error_of(model: Autoencoder, x: Tensor) -> float:
    """Squared error, summed over pixels and averaged over images x (n, c, h, w)."""
    model.eval()
    with torch.no_grad():
        total = sum((part - model(part)).square().sum().item() for part in x.split(500))
    model.train()
    return float(total / len(x))


def record_trial(trial: Trial, arguments: Namespace) -> None:
    """Run, and write what came out."""
    images = load_images(trial.dataset)
    started = time.perf_counter()
    with freed_memory_kept():
        errors, steps = run_trial(trial, images)
    print(f"  {steps} steps, held-out error {', '.join(f'{error:.2f}' for error in errors)}")
    seconds = time.perf_counter() - started
    write_record(trial_record(trial, images, errors, steps, seconds), arguments.records)


def trial_record(
    trial: Trial, images: ImageSet, errors: list[float], steps: int, seconds: float
) -> Record:
    """What was tried, what came out, and the error of as many principal components."""
    kept = len(images) - HELD_OUT
    linear = fit_linear_code(images.subset(kept), LATENT_DIM[trial.dataset])
    x = images.batch(slice(kept, None))
    linear_error = (x - linear.reconstruct(x)).square().sum().item() / len(x)
    return new_record(
        EXPERIMENT,
        trial.name,
        parameters=asdict(trial) | {"latent_dim": LATENT_DIM[trial.dataset], "images": kept},
        metrics={
            "steps": steps,
            "images_per_second": round(steps * trial.batch_size / trial.seconds, 1),
            "epochs": round(steps * trial.batch_size / kept, 2),
            "held_out_reconstruction": errors[-1],
            "held_out_linear": linear_error,
        },
        curves={"share_of_time": list(MARKS), "held_out_reconstruction": errors},
        seeds=[0],
        seconds=round(seconds, 1),
        data_checksum=images.checksum,
        device="cpu",
        notes="Timed by the processor's clock, on one thread.",
    )


def main(words: list[str] | None = None) -> int:
    """Run the trials that have no record."""
    parser = script_parser("record_long_trial", __doc__)
    parser.add_argument("--trials", nargs="+", default=TRIALS, metavar="NAME")
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to do")
    add_places(parser)
    arguments = parser.parse_args(words)

    def work() -> int:
        trials = [Trial.named(name) for name in arguments.trials]
        root = arguments.records
        todo = [t for t in trials if not is_recorded(EXPERIMENT, t.name, asdict(t), root)]
        return one_by_one(todo, lambda t: record_trial(t, arguments), dry_run=arguments.dry_run)

    return run_script("record_long_trial", work)


if __name__ == "__main__":
    sys.exit(main())
