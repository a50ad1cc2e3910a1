"""Evaluation networks, and a small classifier for where Inception means nothing.

The EAE paper reports no FID on MNIST because the Inception network is not calibrated for digits.
A classifier trained on the labels of the data set itself is: two Frechet distances are comparable
when they come from the same classifier and the same numbers of samples, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eae_core.data import ImageSet
from eae_core.data.images import fingerprint
from eae_core.evaluation.tensor_cache import cached_tensors, data_folder, tensors_checksum
from eae_core.hardware import resolve_device
from eae_core.models.using import in_batches

REVISION = 1  # 1: as first recorded; see eae_book.revisions

FEATURES = 64


class FeatureExtractor(Protocol):
    """An evaluation network. Numbers compare only if name, checksum and numbers of images agree."""

    @property
    def name(self) -> str:
        """What a Frechet distance on these features is called, such as "FID-768"."""

    @property
    def checksum(self) -> str:
        """The sha256 of all that decides the features: weights, and how images are fed in."""

    def features(self, x: Tensor) -> Tensor:
        """Features (n, p) on the CPU of images x (n, c, h, w) in [0, 1]."""


class FeatureNet(nn.Module):
    """A classifier of 32 x 32 images of so many channels; ``features`` is its last hidden layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.channels = channels
        self.body = nn.Sequential(
            *self._block(channels, 16),
            *self._block(16, 32),
            *self._block(32, 64),
            nn.Flatten(),  # (n, 64 * 4 * 4)
            nn.Linear(64 * 4 * 4, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    @staticmethod
    def _block(channels: int, out: int) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, out, 3, stride=2, padding=1)
        return [convolution, nn.BatchNorm2d(out), nn.ReLU()]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, c, 32, 32)."""
        logits: Tensor = self.head(self.body(x))
        return logits

    def features(self, x: Tensor, *, batch_size: int = 500) -> Tensor:
        """Features (n, 64) of images in [0, 1], on the CPU."""
        return in_batches(self, self.body, x.split(batch_size))

    def accuracy(self, images: ImageSet, *, batch_size: int = 500) -> float:
        """Share of a labelled set that is classified rightly."""
        batches = map(images.batch, torch.arange(len(images)).split(batch_size))
        found = in_batches(self, lambda x: self(x).argmax(1), batches)
        return (found == _labels(images).cpu()).double().mean().item()


def train_classifier(
    images: ImageSet, *, epochs: int = 2, batch_size: int = 100, seed: int = 0
) -> FeatureNet:
    """Train the classifier on labelled images of 32 x 32; the same seed gives the same net."""
    labels = _labels(images)
    if images.image_shape[1:] != (32, 32):
        raise ValueError(f"the classifier takes 32 x 32 images, got {images.image_shape}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FeatureNet(images.image_shape[0], int(labels.max()) + 1).to(images.images.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator).to(labels.device)
        for rows in order.split(batch_size):
            if len(rows) < 2:
                continue  # batch normalisation needs two
            loss = F.cross_entropy(net(images.batch(rows)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def _labels(images: ImageSet) -> Tensor:
    if images.labels is None:
        raise ValueError(f"data set {images.name!r} has no labels: a classifier cannot be trained")
    return images.labels


@dataclass(frozen=True, eq=False)
class ClassifierFeatures:
    """The 64 features of the project's classifier, see :func:`classifier_features`."""

    net: FeatureNet
    name: str = "FD-classifier"

    @cached_property
    def checksum(self) -> str:
        """The sha256 of the classifier's weights."""
        return tensors_checksum(self.net.state_dict())

    def features(self, x: Tensor) -> Tensor:
        """Features (n, 64) on the CPU of images x (n, c, 32, 32) in [0, 1]."""
        return self.net.features(x)


def classifier_features(
    images: ImageSet,
    *,
    epochs: int = 2,
    seed: int = 0,
    device: str | torch.device = "auto",
    root: str | Path | None = None,
) -> ClassifierFeatures:
    """The features of a classifier of the data set itself, trained once and kept on disk.

    It lies in ``classifiers/`` in the data folder, under a key of images, labels, epochs and seed,
    so that all models of a data set have the same evaluation network. Weights trained on another
    device differ in their last digits: copy that folder to compare across machines.

    Args:
        images: a labelled training set of 32 x 32 images, on any device.
        epochs: of training.
        seed: of the weights and of the order.
        device: where features are computed, and the classifier trained if it is not on disk.
        root: the data folder; by default :func:`eae_core.data.data_root`.

    Example:
        >>> import tempfile
        >>> from eae_core.data import load_images
        >>> digits = load_images("digits", limit=300)
        >>> network = classifier_features(digits, epochs=1, root=tempfile.mkdtemp())
        >>> network.name, network.features(digits.batch(slice(0, 5))).shape
        ('FD-classifier', torch.Size([5, 64]))
    """
    device = resolve_device(device)
    key = {
        "kind": "classifier 2",  # change it with the network or its training
        "data": fingerprint(images.images, _labels(images)),
        "epochs": epochs,
        "seed": seed,
    }
    weights = cached_tensors(
        data_folder(root, "classifiers"),
        f"{images.name}-{len(images)}",
        key,
        lambda: train_classifier(images.to(device), epochs=epochs, seed=seed).state_dict(),
    )
    net = FeatureNet(images.image_shape[0], len(weights["head.bias"]))
    net.load_state_dict(weights)
    return ClassifierFeatures(net.to(device).eval())


def extract_features(
    extractors: Sequence[FeatureExtractor], batches: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Features of batches of images by every extractor, by its name; only features are kept.

    Example:
        >>> net = ClassifierFeatures(FeatureNet(1, 10))
        >>> features = extract_features([net], [torch.rand(5, 1, 32, 32)] * 2)
        >>> features["FD-classifier"].shape
        torch.Size([10, 64])
    """
    names = [extractor.name for extractor in extractors]
    if len(set(names)) < len(names):
        raise ValueError(f"extractors must have different names, got {', '.join(names)}")
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for x in batches:
        if not x.isfinite().all():
            raise ValueError("images hold NaN or infinity: has the model diverged?")
        for extractor in extractors:
            parts[extractor.name].append(extractor.features(x))
    if extractors and not parts[names[0]]:
        raise ValueError("there are no images to take features of")
    return {name: torch.cat(rows) for name, rows in parts.items()}
