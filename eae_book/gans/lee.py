"""The networks of Lee's collection, with which Struminsky et al. measured the entropy of images.

One generator, which is also the decoder of the variational autoencoder, and one trunk, which ends
in one number (critic) or in mean and spread of a code (encoder). ``width`` is 64 there; it scales
all channels and units. Images are 1 x 28 x 28 in [0, 1].

As there: batch normalisation with scale and shift, epsilon 1e-5 and running moments that keep 0.9
of the old value; leaky ReLU of slope 0.2; weights of deviation 0.02, those of convolutions cut at
two deviations; biases zero, also before a normalisation, where they do nothing.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

REVISION = 1  # 1: as first recorded; see eae_book.revisions

IMAGE_SHAPE = (1, 28, 28)
DEVIATION = 0.02  # of the first weights
SLOPE = 0.2
_SIDE = IMAGE_SHAPE[1] // 4  # of the smallest map: 28 -> 14 -> 7

Normalization = Literal["batch", "layer"]


def lee_generator(latent_dim: int = 62, *, width: int = 64) -> nn.Sequential:
    """Generator or decoder: two dense layers, then 7 -> 14 -> 28 by transposed convolutions.

    Args:
        latent_dim: d.
        width: channels of the last hidden layer; dense layers have 16 and 98 times as many units.

    Returns:
        network from z (n, d) to images (n, 1, 28, 28) in [0, 1]; its last layer is the sigmoid.

    Raises:
        ValueError: a size below 1.

    Source:
        Lee (2017), after Chen et al. (2016), InfoGAN.

    Example:
        >>> sum(p.numel() for p in lee_generator().parameters())
        6640193
    """
    _check_sizes(latent_dim=latent_dim, width=width)
    units, channels = 16 * width, 2 * width
    network = nn.Sequential(
        nn.Linear(latent_dim, units),
        *(_normalize("batch", units), nn.ReLU()),
        nn.Linear(units, channels * _SIDE**2),
        *(_normalize("batch", channels * _SIDE**2), nn.ReLU()),
        nn.Unflatten(1, (channels, _SIDE, _SIDE)),
        # kernel 4, stride 2, padding 1: the side doubles
        nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1),
        *(_normalize("batch", width, maps=True), nn.ReLU()),
        nn.ConvTranspose2d(width, IMAGE_SHAPE[0], 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    _initialize(network)
    return network


def lee_critic(*, width: int = 64, normalization: Normalization = "batch") -> nn.Sequential:
    """Discriminator or critic: images (n, 1, 28, 28) to one logit each, (n, 1).

    Args:
        width: channels of the first convolution.
        normalization: ``"batch"`` as Lee has it, for every objective; ``"layer"`` normalises each
            image by itself, with as many parameters.

    Raises:
        ValueError: width below 1.

    Source:
        Lee (2017), after Chen et al. (2016), InfoGAN.

    Example:
        >>> import torch
        >>> lee_critic(width=2)(torch.rand(3, 1, 28, 28)).shape
        torch.Size([3, 1])
    """
    return _trunk(1, width, normalization)


def lee_encoder(latent_dim: int = 62, *, width: int = 64) -> nn.Sequential:
    """Encoder of the variational autoencoder: images (n, 1, 28, 28) to (n, 2 d).

    Raises:
        ValueError: a size below 1.

    Source:
        Lee (2017).

    Example:
        >>> import torch
        >>> lee_encoder(5, width=2)(torch.rand(3, 1, 28, 28)).shape
        torch.Size([3, 10])
    """
    _check_sizes(latent_dim=latent_dim)
    return _trunk(2 * latent_dim, width, "batch")


def _trunk(outputs: int, width: int, normalization: Normalization) -> nn.Sequential:
    """Convolutions 28 -> 14 -> 7, a dense layer, and the outputs."""
    _check_sizes(width=width)
    units, channels = 16 * width, 2 * width
    network = nn.Sequential(
        nn.Conv2d(IMAGE_SHAPE[0], width, 4, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, channels, 4, stride=2, padding=1),
        *(_normalize(normalization, channels, maps=True), nn.LeakyReLU(SLOPE)),
        nn.Flatten(),
        nn.Linear(channels * _SIDE**2, units),
        *(_normalize(normalization, units), nn.LeakyReLU(SLOPE)),
        nn.Linear(units, outputs),
    )
    _initialize(network)
    return network


def _normalize(kind: Normalization, features: int, *, maps: bool = False) -> nn.Module:
    if kind == "layer":
        return nn.GroupNorm(1, features, eps=1e-5)
    # momentum 0.1 is what Lee calls a decay of 0.9
    layer = nn.BatchNorm2d if maps else nn.BatchNorm1d
    return layer(features, eps=1e-5, momentum=0.1)


def _initialize(network: nn.Sequential) -> None:
    """First weights by torch's global generator."""
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=DEVIATION, a=-2 * DEVIATION, b=2 * DEVIATION)
        elif isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=DEVIATION)
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
