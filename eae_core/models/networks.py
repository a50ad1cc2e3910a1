"""The encoder and decoder networks of Ghosh et al. (2020), which the EAE paper says it matches.

Channels double from ``width`` (128 in the papers) over four strided convolutions, each followed by
batch normalisation and ReLU; a linear layer gives the code. The decoder starts from an 8 x 8 map of
``8 * width`` channels, a linear layer without normalisation, and doubles
the side until the image's.

Differences from the Keras original, none of which changes a shape or a parameter count: PyTorch's
default initialisation; 5 x 5 strided layers padded symmetrically; running moments with momentum 0.1
where Keras's 0.99 keeps 0.01 of each batch, so that short runs evaluate well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

STEM_SIDE = 8  # side of the decoder's first map
BATCH_NORM_EPS = 1e-3  # Keras's default


@dataclass(frozen=True)
class Architecture:
    """What differs between the image shapes."""

    kernel: int
    encoder_multipliers: tuple[int, ...]
    decoder_multipliers: tuple[int, ...]
    rescale: bool  # map [0, 1] to [-1, 1] before the first layer


_SMALL = Architecture(4, (1, 2, 4, 8), (4, 2), rescale=True)
_FACES = Architecture(5, (1, 2, 4, 8), (4, 2, 1), rescale=False)
ARCHITECTURES: dict[tuple[int, int, int], Architecture] = {
    (1, 32, 32): _SMALL,  # MNIST, Fashion-MNIST, padded
    (3, 32, 32): _SMALL,  # CIFAR-10
    (3, 64, 64): _FACES,  # CelebA
}


class Rescale(nn.Module):
    """[0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


def build_networks(
    image_shape: Sequence[int],
    latent_dim: int,
    *,
    width: int = 128,
    encoder_outputs: int | None = None,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder for one of the three image shapes.

    Args:
        image_shape: (channels, height, width): (1, 32, 32), (3, 32, 32) or (3, 64, 64).
        latent_dim: d, the size of the code.
        width: channels of the first convolution, 128 in the papers.
        encoder_outputs: numbers that the encoder gives for an image, d by default; 2 d where it
            gives mean and spread.

    Returns:
        encoder, from ``(n, *image_shape)`` in [0, 1] to (n, d), and decoder, back into [0, 1].

    Raises:
        ValueError: another shape, or a size below 1.

    Source:
        Ghosh et al. (2020), official code; Ghose et al. (2020), section 5.1.

    Example:
        >>> encoder, decoder = build_networks((1, 32, 32), latent_dim=16)
        >>> parameters = [*encoder.parameters(), *decoder.parameters()]
        >>> sum(p.numel() for p in parameters)
        22689681
    """
    shape = tuple(image_shape)
    if shape not in ARCHITECTURES:
        known = ", ".join(map(str, ARCHITECTURES))
        raise ValueError(
            f"no network for images of shape {shape} (channels, height, width); there are {known}"
        )
    outputs = latent_dim if encoder_outputs is None else encoder_outputs
    sizes = {"latent_dim": latent_dim, "width": width, "encoder_outputs": outputs}
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    plan = ARCHITECTURES[shape]
    return _encoder(plan, shape, outputs, width), _decoder(plan, shape, latent_dim, width)


def _encoder(plan: Architecture, shape: tuple[int, ...], outputs: int, width: int) -> nn.Sequential:
    channels, side, _ = shape
    layers: list[nn.Module] = [Rescale()] if plan.rescale else []
    for multiplier in plan.encoder_multipliers:
        out = multiplier * width
        padding = (plan.kernel - 1) // 2
        layers += [
            nn.Conv2d(channels, out, plan.kernel, stride=2, padding=padding),
            *_activation(out),
        ]
        channels, side = out, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, outputs))


def _decoder(
    plan: Architecture, shape: tuple[int, ...], latent_dim: int, width: int
) -> nn.Sequential:
    channels = 8 * width
    layers: list[nn.Module] = [
        nn.Linear(latent_dim, channels * STEM_SIDE**2),
        nn.Unflatten(1, (channels, STEM_SIDE, STEM_SIDE)),
    ]
    odd = plan.kernel % 2
    padding = (plan.kernel - 1) // 2
    for multiplier in plan.decoder_multipliers:
        out = multiplier * width
        layers += [
            nn.ConvTranspose2d(
                channels, out, plan.kernel, stride=2, padding=padding, output_padding=odd
            ),
            *_activation(out),
        ]
        channels = out
    # A transposed convolution of stride 1 is a convolution; "same" padding of an even kernel is
    # one wider on the right.
    left, right = padding, plan.kernel - 1 - padding
    return nn.Sequential(
        *layers,
        nn.ZeroPad2d((left, right, left, right)),
        nn.Conv2d(channels, shape[0], plan.kernel),
        nn.Sigmoid(),
    )


def _activation(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS), nn.ReLU()
