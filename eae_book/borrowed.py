"""An evaluation network for images without labels: the classifier of another data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from eae_core.data import ImageSet
from eae_core.evaluation import ClassifierFeatures, classifier_features


@dataclass(frozen=True, eq=False)
class BorrowedFeatures:
    """A classifier of one data set for the images of another, see :func:`borrowed_features`."""

    classifier: ClassifierFeatures
    lender: str  #: the data set that it was trained on

    @property
    def name(self) -> str:
        """By the data set that the classifier was trained on, such as "FD-cifar10"."""
        return f"FD-{self.lender}"

    @cached_property
    def checksum(self) -> str:
        """The sha256 of the classifier's weights and of how images are fed in."""
        text = f"{self.classifier.checksum} antialiased bilinear 32"
        return hashlib.sha256(text.encode()).hexdigest()

    def features(self, x: Tensor) -> Tensor:
        """Features (n, 64) on the CPU of images x (n, c, h, w) in [0, 1], shrunk to 32 x 32."""
        channels = self.classifier.net.channels
        if x.ndim != 4 or x.shape[1] != channels:
            raise ValueError(
                f"{self.name} takes images n x {channels} x h x w, got shape {tuple(x.shape)}"
            )
        small = F.interpolate(x.float(), (32, 32), mode="bilinear", antialias=True)
        return self.classifier.features(small)


def borrowed_features(
    lender: ImageSet,
    *,
    epochs: int = 3,
    seed: int = 0,
    device: str | torch.device = "auto",
    root: str | Path | None = None,
) -> BorrowedFeatures:
    """The features of another data set's classifier, for images that have no labels of their own.

    A thousand images take a second, where Inception takes two minutes on a CPU; it sees no more
    than 32 x 32 pixels. Named by the lender, such as "FD-cifar10", which is a labelled training set
    of 32 x 32 images with as many channels; the rest is as in :func:`classifier_features`.
    """
    classifier = classifier_features(lender, epochs=epochs, seed=seed, device=device, root=root)
    return BorrowedFeatures(classifier, lender.name)
