"""The encoders that bound a decoder's entropy: a Gaussian posterior of codes for each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from eae_core.errors import check_integer

Mean = Literal["free", "decoder"]
Covariance = Literal["diagonal", "full"]
Start = Literal["prior", "noise", "metric"]


@dataclass(frozen=True, kw_only=True)
class EncoderOptions:
    r"""The family of posteriors, where its fit starts, and how long it takes.

    Every start gives all images the same covariance, and the network learns a factor K(x) to it,
    :math:`L(x) = L_0 K(x)`, that begins as the identity.

    Raises:
        ValueError: an impossible option.

    Example:
        >>> EncoderOptions(mean="known")
        Traceback (most recent call last):
        ...
        ValueError: mean must be one of free, decoder, got 'known'
    """

    mean: Mean = "free"  #: the network's, or the code that the decoder was given
    covariance: Covariance = "diagonal"
    start: Start = "metric"
    #: ``"prior"``: covariance I. ``"noise"``: s^2 I. ``"metric"``: the best constant one of the
    #: family, :math:`s^2 (\mathbb E M)^{-1}`, so that a fit starts where a constant ends.
    width: int = 32  #: channels of the encoder's first convolution
    steps: int = 1000  #: of Adam, each on new images of the decoder
    batch_size: int = 64
    learning_rate: float = 1e-3  #: falls to zero along a half cosine
    metric_samples: int = 256  #: codes that the start ``"metric"`` is averaged over
    seed: int = 0  #: of the weights and of all draws

    def __post_init__(self) -> None:
        for name, kind in (("mean", Mean), ("covariance", Covariance), ("start", Start)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}")
        for name in ("width", "steps", "batch_size", "metric_samples"):
            check_integer(name, getattr(self, name))
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")


class PosteriorEncoder(nn.Module):
    """From images (n, ...) to the mean (n, d) and the scaled factor (n, d, d) of a Gaussian.

    The covariance is s^2 L L^T with L = start @ K(x), K lower triangular with a positive diagonal.
    The last layer begins with zeros for K - I, so that L begins as ``start``.
    """

    start: Tensor

    def __init__(
        self, image_shape: Sequence[int], latent_dim: int, start: Tensor, options: EncoderOptions
    ) -> None:
        super().__init__()
        self.latent_dim, self.mean = latent_dim, options.mean
        self.register_buffer("start", start.float())
        features = 16 * options.width
        self.trunk = _trunk(tuple(image_shape), options.width, features)
        below = latent_dim * (latent_dim - 1) // 2 if options.covariance == "full" else 0
        self.factor_head = nn.Linear(features, latent_dim + below)
        nn.init.zeros_(self.factor_head.weight)
        nn.init.zeros_(self.factor_head.bias)
        self.mean_head = nn.Linear(features, latent_dim) if options.mean == "free" else None

    def forward(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (n, d), L (n, d, d) and log det L (n,); the code serves the decoder-aware mean."""
        d = self.latent_dim
        features = self.trunk(x)
        mean = code if self.mean_head is None else self.mean_head(features)
        numbers = self.factor_head(features)
        log_diagonal = numbers[:, :d]
        factor = torch.diag_embed(log_diagonal.exp())
        if numbers.shape[1] > d:
            row, column = torch.tril_indices(d, d, -1, device=x.device)
            # d of them in a row act together, so each is scaled as in a linear layer.
            factor[:, row, column] = numbers[:, d:] / math.sqrt(d)
        log_det = log_diagonal.sum(1) + self.start.diagonal().log().sum()
        return mean, self.start @ factor, log_det


def _trunk(shape: tuple[int, ...], width: int, features: int) -> nn.Sequential:
    """Image to features: the encoder of Lee's networks without batch normalisation."""
    if len(shape) == 3 and shape[1] % 4 == 0 and shape[2] % 4 == 0:
        sizes = (shape[0], width, 2 * width)
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        inputs = sizes[-1] * (shape[1] // 4) * (shape[2] // 4)
    else:
        layers, inputs = [], math.prod(shape)
    head = [nn.Flatten(), nn.Linear(inputs, features), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, *head)
