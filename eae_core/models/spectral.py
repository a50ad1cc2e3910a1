"""Spectral normalisation of whole networks."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class _FullPrecision(nn.Module):
    """A parametrization outside autocast, whose half precision would miss the norm by 1 %."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            normalized: Tensor = self.inner(weight)
        return normalized


def spectrally_normalize(network: nn.Module) -> None:
    r"""Divide the weight of every linear, convolution and transposed convolution by its norm.

    .. math:: W \to W / \sigma(W)

    with the largest singular value of the kernel as a matrix, output channels by everything else,
    estimated by one step of power iteration at every forward pass in training mode. So a linear
    layer changes no distance by more than a factor 1; a convolution may, because a pixel takes part
    in several patches. Biases and batch normalisation stay as they are.

    Args:
        network: changed in place.

    Raises:
        ValueError: it is normalised already, or has no such layer.

    Source:
        Miyato et al. (2018); all layers of both networks, one iteration: code of Ghosh et al.
        (2020).

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> spectrally_normalize(layer)
        >>> for _ in range(50):
        ...     _ = layer.weight
        >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 3)
        1.0
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _LAYERS)]
    if not layers:
        raise ValueError("there is no linear layer or convolution to normalise")
    for layer in layers:
        if torch.nn.utils.parametrize.is_parametrized(layer, "weight"):
            raise ValueError("this network is spectrally normalised already")
        spectral_norm(layer)
        applied = cast(nn.ModuleDict, layer.parametrizations)["weight"]
        cast(nn.ModuleList, applied)[0] = _FullPrecision(cast(nn.ModuleList, applied)[0])
