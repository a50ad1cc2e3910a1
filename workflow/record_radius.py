"""Decode points of N(0, I) and, with the same decoder, the same points moved to one radius.

A code that a term has spread onto a shell would be better served by points of a shell. Of each
model of the contest, 10,000 points of N(0, I) are decoded, and once more after each is moved to
the sphere of radius sqrt(d) along its own ray, so the two differ in nothing but the norms. Both
Frechet distances to the test images land in data/results/contest-radius/.

Models come from the folders that workflow/contest.py leaves (_runs/contest/); a model that has a
record is skipped.

Example:
    python workflow/record_radius.py --dry-run
    python workflow/record_radius.py               # 20 seconds a model on one core
    python workflow/record_radius.py --datasets mnist --runs '*-d16-*'
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import torch
from recording import add_work, new_record, run_script, script_parser
from torch.nn.functional import normalize
from trained import (
    Trained,
    add_matrix,
    asked_for,
    measure_missing,
    of_matrix,
    small_network,
)

from eae_book.records import write_record
from eae_core.evaluation.image_metrics import ImageMetrics, decoded
from eae_core.hardware import peak_memory_bytes, resolve_device
from eae_core.training import load_model

EXPERIMENT = "contest-radius"
OF = "models-contest"  # experiment of the trainings


def main(words: list[str] | None = None) -> int:
    """Measure and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_radius", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The models one after the other; the status of the script."""
    asked = [
        model
        for model in of_matrix(arguments).values()
        if asked_for(model, arguments) and model.record.experiment == OF
    ]
    return measure_missing(EXPERIMENT, asked, parameters, measure, arguments)


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_radius", __doc__)
    datasets = ["mnist", "fashion_mnist", "cifar10", "celeba64"]
    add_matrix(parser, profiles=["contest"], models=["ae", "eae"], datasets=datasets)
    parser.set_defaults(matrix=parser.get_default("matrix").parent)
    parser.add_argument("--samples", type=int, default=10_000, help="points, default: 10000")
    add_work(parser)
    return parser.parse_args(words)


def parameters(model: Trained, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is measured, and on how many points."""
    return {
        "dataset": model.dataset,
        "model": model.model,
        "options": model.record.parameters["options"],
        "trained": model.training,
        "samples": arguments.samples,
    }


def measure(trained: Trained, arguments: argparse.Namespace) -> None:
    """Measure one model and write its record."""
    started = time.perf_counter()
    device = resolve_device(arguments.device)
    model = load_model(trained.checkpoint).to(device)
    train, test = trained.images()
    network = small_network(train, arguments.device)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(arguments.samples, model.latent_dim, generator=generator)
    places = {"gaussian": z, "sphere": math.sqrt(model.latent_dim) * normalize(z)}
    compared = ImageMetrics([network], test, 50, 20, 0, None, progress=False)
    metrics = compared.scores({name: decoded(model, codes) for name, codes in places.items()})
    record = new_record(
        EXPERIMENT,
        trained.name,
        parameters=parameters(trained, arguments)
        | {"extractors": {network.name: network.checksum}},
        metrics=metrics,
        seeds=trained.record.seeds,
        seconds=round(time.perf_counter() - started, 2),
        peak_memory_bytes=peak_memory_bytes(device),
        data_checksum=trained.record.data_checksum,
        device=arguments.device,
        notes=arguments.note or test.stand_in,
    )
    path = write_record(record, arguments.records)
    shown = ", ".join(f"{name} {metrics[f'fd_classifier_{name}']:.1f}" for name in places)
    print(f"  Frechet distance: {shown}, recorded as {path.name}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
