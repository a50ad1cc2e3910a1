"""Train small entropic autoencoders over a grid of batch sizes, neighbours and entropy weights.

One record a run lands in data/results/batch-rewards/, where chapter 06 finds them. A run that has a
record is skipped, so the same command goes on where it was stopped. Networks are small and dense:
the question is what the estimate makes of a code, not how good the images are. Codes of all test
images are judged by statistics that no run is trained on, as they are and after standardising them
exactly; samples by a Frechet distance on the features of a small classifier.

Example:
    python workflow/record_batch_rewards.py                        # 36 runs, 15 minutes on one core
    python workflow/record_batch_rewards.py --plain --batch-sizes 100    # no batch normalisation
    python workflow/record_batch_rewards.py --batch-sizes 400 --epochs 32 --ks 1 --weights 1
    python workflow/record_batch_rewards.py --latent-dim 64 --batch-sizes 100 --ks 1
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from recording import Judge, add_places, is_recorded, new_record, run_script, script_parser, stopped
from scipy import stats
from torch import nn

from eae_book.records import write_record
from eae_book.studies.free_points import standardize
from eae_book.studies.quantiles import normal_quantiles
from eae_core.data import DATASETS, ImageSet, load_images
from eae_core.evaluation import (
    encode_images,
    gaussianity_report,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.models import AE, EAE, Autoencoder, EAEOptions
from eae_core.training import History, TrainOptions, fit

EXPERIMENT = "batch-rewards"
SAMPLE_SEED = 0  # of the random codes, the same for every run
JUDGED = (  # fields of the report that are recorded
    "norm_sd",
    "norm_ks",
    "worst_ks",
    "largest_correlation",
    "sliced_wasserstein",
    "energy_distance",
    "entropy",
    "entropy_gap",
)
QUANTILES = 41  # of the codes, kept in a record


@dataclass(frozen=True)
class Run:
    """Everything that decides the numbers of one run."""

    dataset: str
    limit: int
    hidden: int
    latent_dim: int
    epochs: int
    learning_rate: float
    samples: int
    model: str
    entropy_weight: float
    batch_size: int
    k: int
    seed: int

    @property
    def name(self) -> str:
        """Unique among runs of the likely sizes."""
        what = f"eae-weight{self.entropy_weight:g}" if self.model == "eae" else self.model
        size = f"{self.dataset}{self.limit}-hidden{self.hidden}-d{self.latent_dim}"
        how = f"epochs{self.epochs}-batch{self.batch_size}-k{self.k}"
        return f"{size}-{how}-{what}-seed{self.seed}"


def main(words: list[str] | None = None) -> int:
    """Train, judge and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_batch_rewards", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The runs one after the other; the status of the script."""
    runs = planned(arguments)
    todo = [run for run in runs if not recorded(run, arguments.records)]
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them recorded already", flush=True)
    if not todo:
        return 0
    train = load_images(arguments.dataset, limit=arguments.limit or None)
    judge = Judge.trained_on(train, train=train, test=load_images(arguments.dataset, "test"))
    for number, run in enumerate(todo, start=1):
        print(f"run {number} of {len(todo)}: {run.name}", flush=True)
        if not train_and_record(run, judge, arguments):
            return stopped()
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_batch_rewards", __doc__)
    add = parser.add_argument
    add("--dataset", default="mnist", choices=DATASETS, metavar="NAME", help="default: mnist")
    add("--limit", type=int, default=20_000, help="training images, default: 20000; 0: all")
    add("--batch-sizes", type=int, nargs="+", default=[25, 100, 400], help="default: 25 100 400")
    add("--ks", type=int, nargs="+", default=[1, 2, 5], help="neighbours, default: 1 2 5")
    add("--weights", type=float, nargs="+", default=[0.0, 1.0], help="default: 0 1")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: 0 1 2")
    add("--plain", action="store_true", help="autoencoders without batch normalisation instead")
    add("--latent-dim", type=int, default=16, help="d, default: 16")
    add("--hidden", type=int, default=128, help="units of each hidden layer, default: 128")
    add("--epochs", type=int, default=8, help="default: 8")
    add("--learning-rate", type=float, default=1e-3, help="default: 1e-3")
    add("--samples", type=int, default=10_000, help="drawn to judge a model, default: 10000")
    add("--device", default="cpu", help="auto, cpu (default), cuda or cuda:N")
    add("--note", default="", help="kept in the records")
    add_places(parser)
    return parser.parse_args(words)


def planned(arguments: argparse.Namespace) -> list[Run]:
    """The runs of a command, seed by seed, so that an early stop leaves whole grids."""
    weights = [0.0] if arguments.plain else arguments.weights
    grid = itertools.product(arguments.seeds, arguments.batch_sizes, weights, arguments.ks)
    fixed = ("dataset", "limit", "hidden", "latent_dim", "epochs", "learning_rate", "samples")
    return [
        Run(
            **{name: getattr(arguments, name) for name in fixed},
            model="ae" if arguments.plain else "eae",
            entropy_weight=weight,
            batch_size=batch_size,
            k=k,
            seed=seed,
        )
        for seed, batch_size, weight, k in grid
        if weight > 0 or k == arguments.ks[0]  # without an entropy term k does nothing
    ]


def recorded(run: Run, root: Path | None) -> bool:
    """Whether the run has a record; one with other parameters under its name is an error."""
    return is_recorded(EXPERIMENT, run.name, asdict(run), root)


def _images(images: ImageSet, count: int) -> torch.Tensor:
    return images.batch(torch.arange(count))


def dense_model(run: Run, image_shape: tuple[int, ...]) -> Autoencoder:
    """Two hidden layers each way; the seed alone decides the first weights."""
    pixels, d, units = torch.Size(image_shape).numel(), run.latent_dim, run.hidden

    def hidden(inputs: int) -> list[nn.Module]:
        return [nn.Linear(inputs, units), nn.BatchNorm1d(units), nn.ReLU()]

    torch.manual_seed(run.seed)
    encoder = nn.Sequential(nn.Flatten(), *hidden(pixels), *hidden(units), nn.Linear(units, d))
    output = [nn.Linear(units, pixels), nn.Sigmoid(), nn.Unflatten(1, image_shape)]
    decoder = nn.Sequential(*hidden(d), *hidden(units), *output)
    if run.model == "ae":
        return AE(encoder, decoder, d)
    return EAE(encoder, decoder, d, EAEOptions(entropy_weight=run.entropy_weight, k=run.k))


def train_and_record(run: Run, judge: Judge, arguments: argparse.Namespace) -> bool:
    """Train one model and write its record; False if Ctrl-C ended the training."""
    model = dense_model(run, judge.train.image_shape)
    options = TrainOptions(
        epochs=run.epochs,
        batch_size=run.batch_size,
        learning_rate=run.learning_rate,
        seed=run.seed,
        device=arguments.device,
    )
    history = fit(model, judge.train, options)
    if history.interrupted:
        return False
    z = encode_images(model, judge.test)
    metrics = judge_codes(z) | judge_images(model, judge, run)
    record = new_record(
        EXPERIMENT,
        run.name,
        parameters=asdict(run),
        seeds=[run.seed],
        metrics=metrics,
        curves=curves(history) | quantile_curves(z),
        seconds=history.seconds,
        peak_memory_bytes=history.peak_memory_bytes,
        data_checksum=judge.train.checksum,
        device=arguments.device,
        notes=arguments.note or judge.train.stand_in,
    )
    path = write_record(record, arguments.records)
    shown = ", ".join(f"{key} {value:.4g}" for key, value in metrics.items())
    print(f"  {shown}\n  recorded in {path.name} after {history.seconds:.0f} s", flush=True)
    return True


def curves(history: History) -> dict[str, list[float]]:
    """Means of the terms by epoch; a plain autoencoder has no entropy."""
    terms = ("loss", "reconstruction", "entropy")
    return {term: history.curve(term) for term in terms if term in history.epochs[0]}


def quantile_curves(z: torch.Tensor) -> dict[str, list[float]]:
    """Quantiles of the codes, standardised exactly, beside those of N(0, I) and of its norm."""
    z = standardize(z.double())
    axes = normal_quantiles(z, points=QUANTILES)
    # A norm has a place in its law, and that place is a number of N(0, 1) if the law is right.
    share = torch.from_numpy(stats.chi2(z.shape[1]).cdf(z.square().sum(1).numpy()))
    score = torch.special.ndtri(share.clamp(1e-12, 1 - 1e-12))
    norms = normal_quantiles(score[:, None], points=QUANTILES)
    found = {
        "expected_quantiles": axes.expected,
        "lowest_axis_quantiles": axes.observed.min(1),
        "highest_axis_quantiles": axes.observed.max(1),
        "norm_score_quantiles": norms.observed[:, 0],
    }
    return {name: values.round(4).tolist() for name, values in found.items()}


def judge_codes(z: torch.Tensor) -> dict[str, float]:
    """Statistics of the codes; entropies in nats and with k = 1, whatever was trained with."""
    reports = {"": gaussianity_report(z), "standardized_": gaussianity_report(standardize(z))}
    return {
        f"{prefix}{field}": getattr(report, field)
        for prefix, report in reports.items()
        for field in JUDGED
    }


def judge_images(model: Autoencoder, judge: Judge, run: Run) -> dict[str, float]:
    """Squared error of the test images, and Frechet distances to them."""
    rebuilt = reconstruct(model, _images(judge.test, min(run.samples, len(judge.test))))
    samples = sample_images(model, run.samples, seed=SAMPLE_SEED)
    return {
        "reconstruction_error": reconstruction_error(model, judge.test),
        "frechet_distance_samples": judge.distance(samples),
        "frechet_distance_reconstructions": judge.distance(rebuilt),
    }


if __name__ == "__main__":
    raise SystemExit(main())
