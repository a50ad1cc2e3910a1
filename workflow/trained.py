"""Models that the run matrix trained and left on this machine, for scripts that measure them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from recording import is_recorded, one_by_one

from eae_book.borrowed import borrowed_features
from eae_book.records import Record, read_record
from eae_core.data import ImageSet, load_images
from eae_core.evaluation import FeatureExtractor, classifier_features


@dataclass(frozen=True)
class Trained:
    """A model to measure: what is known of its training, and its weights."""

    record: Record
    checkpoint: Path

    @property
    def model(self) -> str:
        """Its name in the matrix; the records of MNIST hold nothing but EAE."""
        return str(self.record.parameters.get("model", "eae"))

    @property
    def dataset(self) -> str:
        """What it was trained on."""
        return str(self.record.parameters["dataset"])

    @property
    def name(self) -> str:
        """Of the record that is to be made."""
        run = self.record.run
        return run if run.startswith(self.dataset) else f"{self.dataset}-{run}"

    @property
    def training(self) -> str:
        """Which training it was, in a word for the record."""
        return f"{self.record.experiment} {self.record.run} {self.record.created}"

    def images(self, *, most: int | None = None) -> tuple[ImageSet, ImageSet]:
        """The images that it was trained on, and at most so many others."""
        train, test = load_images(self.dataset), load_images(self.dataset, "test")
        count = self.record.parameters.get("images") or len(train)
        shown = len(test) if most is None else min(most, len(test))
        return train.subset(min(count, len(train))), test.subset(shown)


def add_matrix(
    parser: argparse.ArgumentParser, *, profiles: list[str], models: list[str], datasets: list[str]
) -> None:
    """The words that say which models of the matrix are meant."""
    add = parser.add_argument
    add("--matrix", type=Path, default=Path("_runs/matrix"), help="default: _runs/matrix")
    add("--profiles", nargs="+", default=profiles, help=f"default: {' '.join(profiles)}")
    add("--models", nargs="+", default=models, help=f"default: {' '.join(models)}")
    add("--datasets", nargs="+", default=datasets, help=f"default: {' '.join(datasets)}")
    add("--runs", nargs="+", default=["*"], metavar="PATTERN", help="names, such as *-w3-*")


def of_matrix(arguments: argparse.Namespace) -> dict[str, Trained]:
    """The models with a record and weights, by name: of two runs of one name the later."""
    latest: dict[str, Trained] = {}
    for profile in arguments.profiles:
        for path in sorted((arguments.matrix / profile).glob("*/record.json")):
            model = Trained(read_record(path), path.with_name("model.safetensors"))
            old = latest.get(model.name)
            newer = old is None or old.record.created < model.record.created
            if model.checkpoint.is_file() and newer:
                latest[model.name] = model
    return latest


def asked_for(model: Trained, arguments: argparse.Namespace) -> bool:
    """Whether a command is about this model."""
    named = any(fnmatchcase(model.record.run, pattern) for pattern in arguments.runs)
    return named and model.model in arguments.models and model.dataset in arguments.datasets


def measure_missing(
    experiment: str,
    models: Iterable[Trained],
    parameters: Callable[[Trained, argparse.Namespace], Mapping[str, Any]],
    measure: Callable[[Trained, argparse.Namespace], object],
    arguments: argparse.Namespace,
) -> int:
    """Measure the models that have no record of these parameters; the status of the script."""
    found = sorted(models, key=lambda model: model.name)
    todo = [
        model
        for model in found
        if not is_recorded(experiment, model.name, parameters(model, arguments), arguments.records)
    ]
    print(f"{len(found)} models, {len(found) - len(todo)} of them recorded already", flush=True)
    return one_by_one(todo, lambda model: measure(model, arguments), dry_run=arguments.dry_run)


def small_network(train: ImageSet, device: str) -> FeatureExtractor:
    """The network that the tables of these images use."""
    if train.labels is not None:
        return classifier_features(train, device=device)
    return borrowed_features(load_images("cifar10"), device=device)
