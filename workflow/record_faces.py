"""Train entropic autoencoders on faces, and keep one record for each setting.

A setting is an entropy weight, a neighbour and whether layers are spectrally normalised. Records,
and a sheet of what the model makes beside each, land in data/results/eae-<dataset>/, where chapter
09 finds them. There are no labels, so no classifier judges: the record holds reconstruction errors
and the report on the code, and with --judge N also distances of N images on the 768 features of
Inception, 0.1 to 0.2 seconds an image on a core. A run that is stopped goes on with the same
command; one that is recorded is skipped.

Example:
    python workflow/record_faces.py --weights 0 0.3 1 3 10 --judge 250
    python workflow/record_faces.py --weights 0 1 --no-spectral-norm --seeds 0 1 2
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

import torch
from recording import add_places, checkpoint_path, end_of, is_recorded, script_parser, stopped

from eae_core import build_model
from eae_core.data import DATASETS, ImageSet, load_images
from eae_core.evaluation import (
    FeatureExtractor,
    encode_images,
    fit_density,
    fit_linear_code,
    inception_features,
    score_model,
    used_dimensions,
)
from eae_core.evaluation.judging import Judges, decoded, rebuilt
from eae_core.evaluation.sheets import picture_rows, write_sheet
from eae_core.models import Autoencoder, EAEOptions, published_options
from eae_core.records import new_record, write_record
from eae_core.training import History, TrainOptions, fit

DECISIVE = (  # words that decide the numbers of every run
    *("dataset", "limit", "test_limit", "latent_dim", "width", "k", "spectral_norm"),
    *("epochs", "batch_size", "learning_rate", "learning_rate_decay", "precision", "judge"),
)


@dataclass(frozen=True)
class Setting:
    """One run."""

    words: argparse.Namespace
    weight: float
    seed: int

    @property
    def experiment(self) -> str:
        """Folder of the record."""
        return f"eae-{self.words.dataset.removesuffix('64')}"

    @property
    def name(self) -> str:
        """A name that tells the likely runs apart."""
        words = self.words
        parts = [f"width{words.width}", f"d{words.latent_dim}", f"weight{self.weight:g}"]
        parts += [f"k{words.k}"] if words.k > 1 else []
        parts += [] if words.spectral_norm else ["free"]
        return "-".join([*parts, *([words.tag] if words.tag else []), f"seed{self.seed}"])

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything that decides the numbers."""
        found = {name: getattr(self.words, name) for name in DECISIVE}
        return found | {"model": "eae", "entropy_weight": self.weight, "seed": self.seed}

    @property
    def options(self) -> EAEOptions:
        """Of the model: the published ones, but for what this script is about."""
        published = published_options("eae", self.words.dataset)
        assert isinstance(published, EAEOptions)
        words = self.words
        return replace(
            published, entropy_weight=self.weight, k=words.k, spectral_norm=words.spectral_norm
        )

    @property
    def is_recorded(self) -> bool:
        """Whether there is a record; one with other parameters under the name is an error."""
        return is_recorded(
            self.experiment,
            self.name,
            self.parameters,
            self.words.records,
            remedy="give these runs a --tag of their own",
        )


def main(words: list[str] | None = None) -> int:
    """Train what is asked for and not yet recorded."""
    arguments = parse(words)
    return end_of("record_faces", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The settings one after the other; the status of the script."""
    settings = [Setting(arguments, w, s) for s in arguments.seeds for w in arguments.weights]
    for number, setting in enumerate(settings, start=1):
        print(f"run {number} of {len(settings)}: {setting.name}", flush=True)
        if setting.is_recorded:
            print("  is recorded already", flush=True)
        elif not train_and_record(setting):
            return stopped()
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_faces", __doc__)
    add = parser.add_argument
    add("--dataset", default="celeba64", choices=DATASETS, metavar="NAME")
    add("--limit", type=int, default=8000, help="training images, default: 8000")
    add("--test-limit", type=int, default=2000, help="test images, default: 2000")
    add("--weights", type=float, nargs="+", default=[0.0, 1.0], help="default: 0 1")
    add("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    add("--k", type=int, default=1, help="neighbour of the estimate, default: 1")
    add("--spectral-norm", action=argparse.BooleanOptionalAction, default=True)
    add("--latent-dim", type=int, default=32, help="d, default: 32")
    add("--width", type=int, default=6, help="channels of the first layer, default: 6")
    add("--epochs", type=int, default=4, help="default: 4")
    add("--batch-size", type=int, default=100, help="default: 100")
    add("--learning-rate", type=float, default=2e-3, help="default: 2e-3")
    add("--learning-rate-decay", type=float, default=1.0, help="per epoch, default: 1")
    add("--precision", default="32-true", choices=("32-true", "bf16-mixed"))
    add("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    add("--judge", type=int, default=0, metavar="N", help="images for Inception, default: 0, none")
    add("--tag", default="", help="added to the names of the runs")
    add_places(parser, checkpoints=True)
    return parser.parse_args(words)


def train_and_record(setting: Setting) -> bool:
    """Train one model, write its record and its sheet; False if Ctrl-C ended the training."""
    words = setting.words
    train = load_images(words.dataset, limit=words.limit)
    test = load_images(words.dataset, "test", limit=words.test_limit)
    torch.manual_seed(setting.seed)  # the first weights: the same for every entropy weight
    model = build_model(
        "eae", train.image_shape, words.latent_dim, width=words.width, options=setting.options
    )
    options = TrainOptions(
        epochs=words.epochs,
        batch_size=words.batch_size,
        learning_rate=words.learning_rate,
        learning_rate_decay=words.learning_rate_decay,
        seed=setting.seed,
        device=words.device,
        precision=words.precision,
        channels_last=True,
    )
    checkpoint = checkpoint_path(words, setting.experiment, setting.name)
    history = fit(model, train, options, checkpoint=checkpoint)
    if history.interrupted:
        return False
    device = next(model.parameters()).device
    metrics = evaluate(model, history, train.to(device), test.to(device), words.judge)
    record = new_record(
        setting.experiment,
        setting.name,
        parameters=setting.parameters,
        seeds=[setting.seed],
        metrics=metrics,
        curves={term: history.curve(term) for term in ("loss", "reconstruction", "entropy")},
        seconds=history.seconds,
        peak_memory_bytes=history.peak_memory_bytes,
        data_checksum=train.checksum,
        device=words.device,
        notes=train.stand_in,
    )
    path = write_record(record, words.records)
    write_sheet(picture_rows(model, test.to(device), {}), path)
    print(f"  squared error {metrics['reconstruction_error']:.4g}, recorded as {path.name}")
    return True


def evaluate(
    model: Autoencoder, history: History, train: ImageSet, test: ImageSet, judge: int
) -> dict[str, float]:
    """The numbers of one run; entropies in nats, squared errors summed over pixels."""
    linear = fit_linear_code(train, model.latent_dim)
    metrics = {
        **score_model(model, train, test, extractors=[], samples=len(test)).metrics(),
        "used_dimensions": used_dimensions(encode_images(model, test)),
        "linear_error": linear.reconstruction_error(test),
        "final_entropy": history.curve("entropy")[-1],
    }
    if judge:
        extractor = inception_features(device=next(model.parameters()).device)
        metrics |= distances(model, extractor, train, test.subset(judge))
    return metrics


def distances(
    model: Autoencoder, extractor: FeatureExtractor, train: ImageSet, test: ImageSet
) -> dict[str, float]:
    """Frechet and kernel distances of as many made images as there are test images."""
    n, z = len(test), encode_images(model, train)
    judges = Judges([extractor], test, 50, 20, 0, None, progress=False)
    made = {"reconstruction": rebuilt(model, test, n)}
    for law in ("standard", "mixture"):
        made[law] = decoded(model, fit_density(law, z, seed=0).sample(n, seed=0))
    return {"judged_images": n, **judges.real(train.subset(n)), **judges.scores(made)}


if __name__ == "__main__":
    raise SystemExit(main())
