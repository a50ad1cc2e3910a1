"""Dense networks: for tables, and for images where how good they look is not the question."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from eae_core.models.networks import CodeLinear, check_sizes

REVISION = 1  # 1: as first recorded; see eae_book.revisions


def dense_networks(
    shape: Sequence[int],
    latent_dim: int,
    *,
    hidden: int = 128,
    layers: int = 2,
    normalize: bool = True,
    encoder_outputs: int | None = None,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder of linear layers; that of images ends in a sigmoid, that of a table not.

    Args:
        shape: (channels, height, width) of images, or (features,) of a table.
        latent_dim: d.
        hidden: width of the hidden layers, each followed by ReLU.
        layers: how many of them each network has.
        normalize: batch-normalise the hidden layers.
        encoder_outputs: numbers that the encoder gives, d by default.

    Example:
        >>> encoder, decoder = dense_networks((5,), 2, hidden=8)
        >>> decoder[-1]
        Linear(in_features=8, out_features=5, bias=True)
    """
    check_sizes(latent_dim=latent_dim, hidden=hidden, layers=layers, image_shape=min(shape))
    numbers, outputs = math.prod(shape), latent_dim if encoder_outputs is None else encoder_outputs

    def network(inputs: int, outputs: int, last: type[nn.Linear]) -> list[nn.Module]:
        parts: list[nn.Module] = []
        for size in [inputs, *[hidden] * (layers - 1)]:
            norm = [nn.BatchNorm1d(hidden)] if normalize else []
            parts += [nn.Linear(size, hidden), *norm, nn.ReLU()]
        return [*parts, last(hidden, outputs)]

    encoder = nn.Sequential(nn.Flatten(), *network(numbers, outputs, CodeLinear))
    picture = [nn.Unflatten(1, tuple(shape)), nn.Sigmoid()] if len(shape) > 1 else []
    return encoder, nn.Sequential(*network(latent_dim, numbers, nn.Linear), *picture)
