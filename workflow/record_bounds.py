"""Bound the entropy of trained generators by fitted encoders: Table 4 of Struminsky et al.

One record a fit lands in data/results/encoder-bounds/, one for each mean (a free one, or the code
that the decoder was given), covariance, start of the fit and scale; and one a generator and scale
with what the best posteriors could reach without a network. The generators are those of
workflow/record_generators.py, which leaves them in checkpoints/generators-<profile>/ of the data
folder; one that is not there is named and passed over. A fit that has a record is skipped, so the
same command goes on where it was stopped.

The paper writes the noise as N(d(z), s I) with s = 1e-4: a variance of 1e-4 if it means what it
says, s = 1e-2 in the convention of this project, and 1e-4 if it is a slip. Both are recorded; the
start "prior", which a plain encoder has, at the larger of the two only.

Example:
    python workflow/record_bounds.py --dry-run
    python workflow/record_bounds.py                        # 28 records, 12 minutes on one core
    python workflow/record_bounds.py --models gan --scales 1e-4 --starts metric --steps 5000
    python workflow/record_bounds.py --profile paper --width 64 --steps 20000 --device cuda
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from recording import (
    add_work,
    checkpoint_path,
    is_recorded,
    new_record,
    one_by_one,
    run_script,
    script_parser,
)

from eae_book.gans import load_generator
from eae_book.gans.generators import GENERATORS, GeneratorModel
from eae_book.records import write_record
from eae_book.studies.encoder_bounds import fit_encoder_bound
from eae_book.studies.posterior_bounds import posterior_bounds
from eae_book.studies.posterior_encoder import Covariance, EncoderOptions, Mean, Start
from eae_core.data import dataset_info
from eae_core.hardware import peak_memory_bytes, resolve_device

EXPERIMENT = "encoder-bounds"
MEANS: tuple[Mean, ...] = ("free", "decoder")
COVARIANCES: tuple[Covariance, ...] = ("diagonal", "full")
STARTS: tuple[Start, ...] = ("prior", "metric")
SCALES = (1e-2, 1e-4)


@dataclass(frozen=True)
class Bound:
    """One record: a fit, or what the best posteriors reach."""

    generator: str  #: <dataset>-<model>-seed<k>
    scale: float
    options: EncoderOptions | None  #: None for the best posteriors

    @property
    def name(self) -> str:
        """Of the record."""
        scale = f"s{self.scale:g}".replace("e-0", "e-")
        if self.options is None:
            return f"{self.generator}-best-{scale}"
        options = self.options
        return f"{self.generator}-{options.mean}-{options.covariance}-{options.start}-{scale}"


def main(words: list[str] | None = None) -> int:
    """Fit and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_bounds", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The fits one after the other; the status of the script."""
    bounds = list(planned(arguments))
    todo = [bound for bound in bounds if not recorded(bound, arguments)]
    print(f"{len(bounds)} records, {len(bounds) - len(todo)} of them there already", flush=True)
    ready = []
    for bound in todo:
        if generator_path(bound, arguments).is_file():
            ready.append(bound)
        else:
            print(f"{bound.name}: no checkpoint, see workflow/record_generators.py", flush=True)
    return one_by_one(
        ready,
        lambda bound: record(bound, load_generator(generator_path(bound, arguments)), arguments),
        dry_run=arguments.dry_run,
    )


def generator_path(bound: Bound, arguments: argparse.Namespace) -> Path:
    """Where its generator lies."""
    return checkpoint_path(arguments, f"generators-{arguments.profile}", bound.generator)


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_bounds", __doc__)
    add = parser.add_argument
    add("--profile", default="cpu", help="of the generators, default: cpu")
    add("--dataset", default="mnist", help="default: mnist")
    add("--models", nargs="+", default=["gan", "wgan_gp"], choices=GENERATORS, metavar="NAME")
    add("--seeds", type=int, nargs="+", default=[0], help="of the generators, default: 0")
    add("--scales", type=float, nargs="+", default=list(SCALES), help="s, default: 1e-2 1e-4")
    add("--starts", nargs="+", choices=("prior", "noise", "metric"), help="default: as above")
    add("--steps", type=int, default=400, help="of each fit, default: 400")
    add("--width", type=int, default=16, help="of the encoder, default: 16")
    add("--learning-rate", type=float, default=1e-3, help="default: 1e-3")
    add("--samples", type=int, default=1000, help="images behind a bound, default: 1000")
    add("--no-progress", action="store_true", help="show no progress bar")
    add_work(parser)
    return parser.parse_args(words)


def planned(arguments: argparse.Namespace) -> Iterator[Bound]:
    """The records of a command: first what the best posteriors reach, which takes seconds."""
    generators = [
        f"{arguments.dataset}-{model}-seed{seed}"
        for seed, model in itertools.product(arguments.seeds, arguments.models)
    ]
    for generator, scale in itertools.product(generators, arguments.scales):
        yield Bound(generator, scale, None)
    for generator, scale in itertools.product(generators, arguments.scales):
        starts = arguments.starts or (STARTS if scale == max(SCALES) else STARTS[1:])
        for start, mean, covariance in itertools.product(starts, MEANS, COVARIANCES):
            options = EncoderOptions(
                mean=mean,
                covariance=covariance,
                start=start,
                width=arguments.width,
                steps=arguments.steps,
                learning_rate=arguments.learning_rate,
            )
            yield Bound(generator, scale, options)


def parameters(bound: Bound, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything that decides the numbers."""
    return {
        "generator": bound.generator,
        "profile": arguments.profile,
        "scale": bound.scale,
        "samples": arguments.samples,
        **(asdict(bound.options) if bound.options else {}),
    }


def recorded(bound: Bound, arguments: argparse.Namespace) -> bool:
    """Whether a record of these parameters is there already."""
    return is_recorded(EXPERIMENT, bound.name, parameters(bound, arguments), arguments.records)


def record(bound: Bound, model: GeneratorModel, arguments: argparse.Namespace) -> None:
    """Measure one bound and write its record."""
    device = resolve_device(arguments.device)
    model = model.to(device).eval()
    started = time.perf_counter()
    measure = measured_best if bound.options is None else measured_fit
    metrics, curves = measure(bound, model, device, arguments)
    found = new_record(
        EXPERIMENT,
        bound.name,
        parameters=parameters(bound, arguments),
        metrics=metrics,
        curves=curves,
        seeds=[int(bound.generator.rpartition("seed")[2])],
        seconds=round(time.perf_counter() - started, 2),
        peak_memory_bytes=peak_memory_bytes(device),
        device=arguments.device,
        notes=arguments.note or dataset_info(arguments.dataset).stand_in,
    )
    path = write_record(found, arguments.records)
    shown = metrics.get("bound", metrics.get("entropy"))
    print(f"  {shown:.6g} nats, recorded as {path.name}", flush=True)


def measured_best(
    bound: Bound, model: GeneratorModel, device: torch.device, arguments: argparse.Namespace
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The entropy, and the best bounds of the four families and of damped posteriors."""
    found = posterior_bounds(
        model.decode,
        model.latent_dim,
        samples=arguments.samples,
        scale=bound.scale,
        device=device,
        progress=not arguments.no_progress,
    )
    metrics = {
        "entropy": found.full,
        "standard_error": found.standard_error,
        "diagonal": found.diagonal,
        "constant_full": found.constant_full,
        "constant_diagonal": found.constant_diagonal,
        "tightest": found.tightest.bound,
        "tightest_standard_error": found.tightest.standard_error,
        "tightest_damping": found.tightest.damping,
    }
    columns = ("damping", "bound", "standard_error")
    return metrics, {name: [getattr(s, name) for s in found.sampled] for name in columns}


def measured_fit(
    bound: Bound, model: GeneratorModel, device: torch.device, arguments: argparse.Namespace
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The bound of a fitted encoder."""
    found = fit_encoder_bound(
        model.decode,
        model.latent_dim,
        model.config["image_shape"],
        bound.options,
        scale=bound.scale,
        samples=arguments.samples,
        device=device,
        progress=not arguments.no_progress,
    )
    metrics = {
        "bound": found.bound,
        "standard_error": found.standard_error,
        "median": float(found.values.median()),
        "misfit": found.misfit,
        "start": found.start,
    }
    return metrics, found.curve


if __name__ == "__main__":
    raise SystemExit(main())
