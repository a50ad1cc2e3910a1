"""Train entropic autoencoders at full size, and keep one record for each entropy weight and seed.

The records, and a small sheet of samples beside each, land in data/results/eae-<dataset>/, where
chapter 05 finds them. A run that is stopped (Ctrl-C, a power cut) goes on where it was when the
same command is given again; one that is already recorded is skipped.

Example:
    python workflow/record_mnist.py --weights 0 0.05 1 --seeds 0 1 2 --epochs 100 --width 128
    python workflow/record_mnist.py --width 32 --epochs 10 --limit 20000     # an hour on a CPU
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from recording import (
    Judge,
    add_places,
    checkpoint_path,
    end_of,
    is_recorded,
    script_parser,
    stopped,
)

from eae_core import build_model, knn_entropy
from eae_core.data import DATASETS, load_images
from eae_core.evaluation import (
    decode_codes,
    encode_images,
    gaussianity_report,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.files import replacing
from eae_core.models import Autoencoder, EAEOptions
from eae_core.records import Record, new_record, write_record
from eae_core.training import History, TrainOptions, fit

SHEET = 8  # samples in a row and in a column of the sheet
SAMPLE_SEED = 0  # of the random codes, the same for every run
DECISIVE = (  # options that decide the numbers of a run
    "dataset",
    "limit",
    "latent_dim",
    "width",
    "k",
    "epochs",
    "batch_size",
    "learning_rate",
    "learning_rate_decay",
    "precision",
    "channels_last",
    "samples",
    "classifier_images",
    "classifier_epochs",
)
REFERENCE_DRAWS = 50  # Gaussian batches behind the reference of the batch entropy


def main(words: list[str] | None = None) -> int:
    """Train what is asked for and not yet recorded."""
    arguments = parse(words)
    return end_of("record_mnist", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The runs one after the other; the status of the script."""
    runs = [(weight, seed) for seed in arguments.seeds for weight in arguments.weights]
    judge: Judge | None = None
    for number, (weight, seed) in enumerate(runs, start=1):
        name = run_name(arguments, weight, seed)
        print(f"run {number} of {len(runs)}: {name}", flush=True)
        if recorded(arguments, name, weight, seed):
            print("  is recorded already (--again trains it anew)", flush=True)
            continue
        judge = judge or judge_for(arguments)
        if not train_and_record(arguments, judge, name, weight, seed):
            return stopped()
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_mnist", __doc__)
    add = parser.add_argument
    add("--dataset", default="mnist", choices=DATASETS, metavar="NAME", help="default: mnist")
    add("--limit", type=int, default=0, help="at most this many training images; 0 (default): all")
    add("--weights", type=float, nargs="+", default=[0.0, 0.05, 1.0], help="default: 0 0.05 1")
    add("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    add("--latent-dim", type=int, default=16, help="d, default: 16")
    add("--width", type=int, default=128, help="channels of the first layer, default: 128")
    add("--k", type=int, default=1, help="neighbour of the estimate, default: 1")
    add("--epochs", type=int, default=100, help="default: 100")
    add("--batch-size", type=int, default=100, help="default: 100")
    add("--learning-rate", type=float, default=5e-4, help="default: 5e-4")
    add("--learning-rate-decay", type=float, default=1.0, help="per epoch, default: 1")
    add("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    add("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    add("--channels-last", action="store_true", help="memory layout that many GPUs prefer")
    add("--samples", type=int, default=10_000, help="drawn to judge a model, default: 10000")
    add("--classifier-images", type=int, default=20_000, help="default: 20000")
    add("--classifier-epochs", type=int, default=2, help="default: 2")
    add("--tag", default="", help="added to the names of the runs")
    add("--note", default="", help="kept in the records")
    add("--again", action="store_true", help="train recorded runs anew and replace their records")
    add_places(parser, checkpoints=True)
    return parser.parse_args(words)


def run_name(arguments: argparse.Namespace, weight: float, seed: int) -> str:
    """A name that tells the runs of one command, and of the likely ones, apart."""
    parts = [
        f"width{arguments.width}",
        f"d{arguments.latent_dim}",
        f"epochs{arguments.epochs}",
        f"limit{arguments.limit}" if arguments.limit else "",
        arguments.tag,
        f"weight{weight:g}",
        f"seed{seed}",
    ]
    return "-".join(part for part in parts if part)


def parameters(arguments: argparse.Namespace, weight: float, seed: int) -> dict[str, object]:
    """Everything that decides the numbers of one run."""
    return {name: getattr(arguments, name) for name in DECISIVE} | {
        "model": "eae",
        "entropy_weight": weight,
        "seed": seed,
    }


def experiment(arguments: argparse.Namespace) -> str:
    """The folder of the records."""
    return f"eae-{arguments.dataset}"


def recorded(arguments: argparse.Namespace, name: str, weight: float, seed: int) -> bool:
    """Whether the run has a record; one with other parameters under its name is an error."""
    if arguments.again:
        return False
    return is_recorded(
        experiment(arguments),
        name,
        parameters(arguments, weight, seed),
        arguments.records,
        remedy="give these runs a --tag of their own, or replace them with --again",
    )


def judge_for(arguments: argparse.Namespace) -> Judge:
    """The images, and a classifier trained always on the same of them."""
    return Judge.trained_on(
        load_images(arguments.dataset, limit=arguments.classifier_images),
        train=load_images(arguments.dataset, limit=arguments.limit or None),
        test=load_images(arguments.dataset, "test"),
        epochs=arguments.classifier_epochs,
    )


def train_and_record(
    arguments: argparse.Namespace, judge: Judge, name: str, weight: float, seed: int
) -> bool:
    """Train one model and write its record; False if Ctrl-C ended the training."""
    torch.manual_seed(seed)  # the initial weights: the same for every entropy weight
    model = build_model(
        "eae",
        judge.train.image_shape,
        arguments.latent_dim,
        width=arguments.width,
        options=EAEOptions(entropy_weight=weight, k=arguments.k),
    )
    options = TrainOptions(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        learning_rate_decay=arguments.learning_rate_decay,
        seed=seed,
        device=arguments.device,
        precision=arguments.precision,
        channels_last=arguments.channels_last,
    )
    checkpoint = checkpoint_path(arguments, experiment(arguments), name)
    history = fit(model, judge.train, options, checkpoint=checkpoint, resume=not arguments.again)
    if history.interrupted:
        return False
    metrics = evaluate(model, history, judge, arguments)
    record = make_record(arguments, judge, name, weight, seed, history, metrics)
    path = write_record(record, arguments.records)
    write_sheet(model, path.with_suffix(".png"))
    shown = ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
    print(f"  {shown}\n  recorded in {path}", flush=True)
    return True


def evaluate(
    model: Autoencoder, history: History, judge: Judge, arguments: argparse.Namespace
) -> dict[str, float]:
    """The numbers of one run; entropies in nats, squared errors summed over pixels."""
    report = gaussianity_report(encode_images(model, judge.test), k=arguments.k)
    generator = torch.Generator().manual_seed(SAMPLE_SEED)
    shape = (arguments.batch_size, arguments.latent_dim)
    batches = [
        knn_entropy(torch.randn(shape, generator=generator, dtype=torch.float64), arguments.k)
        for _ in range(REFERENCE_DRAWS)
    ]
    samples = sample_images(model, arguments.samples, seed=SAMPLE_SEED)
    count = min(arguments.samples, len(judge.test))
    rebuilt = reconstruct(model, judge.test.batch(torch.arange(count)))
    return {
        "reconstruction_error": reconstruction_error(model, judge.test),
        "batch_entropy": history.curve("entropy")[-1],
        "gaussian_batch_entropy_reference": torch.stack(batches).mean().item(),
        "test_entropy": report.entropy,
        "gaussian_entropy_reference": report.gaussian_entropy,
        "frechet_distance_samples": judge.distance(samples),
        "frechet_distance_reconstructions": judge.distance(rebuilt),
        "largest_correlation": report.largest_correlation,
        "worst_ks": report.worst_ks,
        "norm_sd": report.norm_sd,
        "expected_norm_sd": report.expected_norm_sd,
        "classifier_accuracy": judge.classifier.accuracy(judge.test),
    }


def make_record(
    arguments: argparse.Namespace,
    judge: Judge,
    name: str,
    weight: float,
    seed: int,
    history: History,
    metrics: dict[str, float],
) -> Record:
    """The record of one run."""
    return new_record(
        experiment(arguments),
        name,
        parameters=parameters(arguments, weight, seed),
        seeds=[seed],
        metrics=metrics,
        curves={term: history.curve(term) for term in ("loss", "reconstruction", "entropy")},
        seconds=history.seconds,
        peak_memory_bytes=history.peak_memory_bytes,
        data_checksum=judge.train.checksum,
        device=arguments.device,
        notes=arguments.note or judge.train.stand_in,
    )


def write_sheet(model: Autoencoder, path: Path) -> None:
    """Samples of the model, SHEET x SHEET of them, as one small PNG."""
    generator = torch.Generator().manual_seed(SAMPLE_SEED)
    images = decode_codes(model, torch.randn(SHEET**2, model.latent_dim, generator=generator))
    _, channels, height, width = images.shape
    pixels = (images * 255).round().to(torch.uint8).reshape(SHEET, SHEET, channels, height, width)
    sheet = pixels.permute(0, 3, 1, 4, 2).reshape(SHEET * height, SHEET * width, channels)
    with replacing(path) as temporary:
        Image.fromarray(np.squeeze(sheet.numpy())).save(temporary, format="PNG", optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
