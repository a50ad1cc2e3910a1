"""The numbers that the papers print, to stand beside ours.

They are Frechet distances on 2048 features of the Inception network, of models of the papers' size,
from one run each. No number of ours is on that scale unless it is called FID-2048.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("scores.csv")


@dataclass(frozen=True)
class PublishedScore:
    """One number of a paper's table."""

    dataset: str
    model: str  #: as :data:`eae_core.models.MODELS` has it
    images: str  #: samples from "standard", "gaussian" or "mixture"; or "reconstruction"
    value: float  #: FID on 2048 features
    source: str  #: key of the bibliography


@cache
def published_scores() -> tuple[PublishedScore, ...]:
    """Every number of table 1 of Ghose et al. (2020), and of MNIST those of Ghosh et al. (2020).

    Source:
        CIFAR-10 and CelebA: the supplement of Ghose et al., table 1; its baselines are those that
        Ghosh et al. had published, not new runs. Samples of the RAE family that one finds called
        N(0, I) elsewhere are of a fitted Gaussian, as the supplement says. MNIST: comments in the
        official configurations of Ghosh et al.; the two numbers under "standard" are for N(0, I).

    Example:
        >>> [p.value for p in published_scores() if p.model == "eae" and p.dataset == "cifar10"]
        [85.26, 80.07, 73.12, 29.77]
    """
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        PublishedScore(row["dataset"], row["model"], images, float(row[images]), row["source"])
        for row in rows
        for images in ("standard", "gaussian", "mixture", "reconstruction")
        if row[images]
    )
