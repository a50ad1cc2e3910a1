"""A small classifier whose features compare samples where Inception means nothing.

The EAE paper reports no FID on MNIST because the Inception network is not calibrated for digits.
A classifier trained on the labels of the data set itself is: two Frechet distances are comparable
when they come from the same classifier and the same numbers of samples, and from nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eae_core.data import ImageSet
from eae_core.models.using import evaluation_mode

REVISION = 1  # 1: as first recorded; see eae_book.revisions

FEATURES = 64


class FeatureNet(nn.Module):
    """A classifier of 32 x 32 images; ``features`` is its last hidden layer.

    Args:
        channels: 1 or 3.
        classes: number of labels.
    """

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
        with evaluation_mode(self) as device:
            return torch.cat([self.body(part.to(device)).cpu() for part in x.split(batch_size)])

    def accuracy(self, images: ImageSet, *, batch_size: int = 500) -> float:
        """Share of a labelled set that is classified rightly."""
        labels = _labels(images)
        with evaluation_mode(self) as device:
            right = [
                (self(images.batch(rows).to(device)).argmax(1).cpu() == labels[rows].cpu()).sum()
                for rows in torch.arange(len(images), device=labels.device).split(batch_size)
            ]
        return torch.stack(right).sum().item() / len(images)


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
            loss = nn.functional.cross_entropy(net(images.batch(rows)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.eval()


def _labels(images: ImageSet) -> Tensor:
    if images.labels is None:
        raise ValueError(f"data set {images.name!r} has no labels: a classifier cannot be trained")
    return images.labels
