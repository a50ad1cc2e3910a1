"""Which generators there are to train: the cells of Tables 2 and 3 of Struminsky et al."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from parts import parts_of

from eae_book.gans.generators import GENERATORS
from eae_book.gans.lee_vae import LeeVAE
from eae_book.gans.unpadded import unpadded_images
from eae_book.records import recorded, stale
from eae_core.data import ImageSet

TABLE_2 = ("mnist", "fashion_mnist")
LAST_DIGIT = 9


@dataclass(frozen=True)
class Sizes:
    """What a profile decides."""

    width: int
    limit: int | None  #: images of a cell, the first ones; None for all
    epochs: int | None  #: None: as many as ``seen`` asks for
    seen: int | None  #: images seen in training, repetitions counted
    batch_size: int = 64
    latent_dim: int = 62
    samples: int = 1000  #: codes behind the entropy
    judged: int = 5000  #: samples behind the Frechet distance


PROFILES = {
    "cpu": Sizes(width=32, limit=12_500, epochs=None, seen=50_000),
    "paper": Sizes(width=64, limit=None, epochs=64, seen=None, samples=10_000, judged=10_000),
}


@dataclass(frozen=True)
class Cell:
    """One model to train and measure."""

    profile: str
    dataset: str
    model: str
    upto: int | None  #: only the classes 0 to this one; None for all
    seed: int
    sizes: Sizes

    @property
    def experiment(self) -> str:
        """Folder of the record."""
        return f"generators-{self.profile}"

    @property
    def run(self) -> str:
        """Name of the record."""
        part = "" if self.upto is None else f"-upto{self.upto}"
        return f"{self.dataset}-{self.model}{part}-seed{self.seed}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything that decides the numbers, besides revisions."""
        names = ("dataset", "model", "upto", "seed")
        return {**{name: getattr(self, name) for name in names}, **asdict(self.sizes)}

    @cached_property
    def images(self) -> ImageSet:
        """What the model is trained on: the first images of the classes."""
        classes = None if self.upto is None else range(self.upto + 1)
        images = unpadded_images(self.dataset, classes=classes)
        limit = self.sizes.limit or len(images)
        return images if limit >= len(images) else images.subset(limit)

    @property
    def epochs(self) -> int:
        """Given, or those that come nearest to the number of images to be seen."""
        if self.sizes.epochs is not None:
            return self.sizes.epochs
        assert self.sizes.seen is not None
        return max(1, round(self.sizes.seen / len(self.images)))

    def state(self, records: Path | None) -> str:
        """What is there: "recorded", "outdated" (of other revisions or sizes) or "new"."""
        found = recorded(self.experiment, records)
        if self.run not in found:
            return "new"
        parts = parts_of(self.experiment, self.parameters)
        return "outdated" if stale(found[self.run], self.parameters, parts) else "recorded"


def planned(arguments: argparse.Namespace) -> list[Cell]:
    """The cells of a command, seed by seed, so that an early stop leaves whole tables."""
    given = ("width", "epochs", "limit", "latent_dim", "samples", "judged")
    changes = {name: getattr(arguments, name) for name in given}
    sizes = replace(
        PROFILES[arguments.profile],
        **{name: value for name, value in changes.items() if value is not None},
    )
    if sizes.epochs is not None:
        sizes = replace(sizes, seen=None)
    cells = [
        Cell(arguments.profile, dataset, model, upto, seed, sizes)
        for seed in arguments.seeds
        for dataset, model, upto in asked(arguments)
    ]
    return list(dict.fromkeys(cells))


def asked(arguments: argparse.Namespace) -> Iterator[tuple[str, str, int | None]]:
    """Data set, model and last class of what a command asks for; None where all classes count."""
    models, datasets = arguments.models, arguments.datasets
    if not arguments.table:
        for dataset in datasets or ["mnist"]:
            for model in models or GENERATORS:
                for upto in arguments.upto or [LAST_DIGIT]:
                    yield dataset, model, None if upto == LAST_DIGIT else upto
    if 2 in arguments.table:
        for dataset in datasets or TABLE_2:
            for model in models or GENERATORS:
                yield dataset, model, None
    if 3 in arguments.table:
        for dataset in datasets or ["mnist"]:
            for upto in arguments.upto or range(LAST_DIGIT + 1):
                yield dataset, LeeVAE.name, None if upto == LAST_DIGIT else upto
