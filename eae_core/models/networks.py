"""The encoder and decoder networks of Ghosh et al. (2020), which the EAE paper says it matches.

Channels double from ``width`` (128 in the papers) over four strided convolutions, each followed by
batch normalisation and ReLU; a linear layer gives the code. The decoder starts from an 8 x 8 map of
``8 * width`` channels, a linear layer without normalisation, and doubles the sides until they are
the image's.

The papers have three shapes of images. Others get networks of the same kind, with 4 x 4 kernels and
images in [-1, 1]: four convolutions, or as many as bring the smaller side to about four, with at
most ``8 * width`` channels; a decoder that starts from a map whose smaller side is about eight and
ends in one a little too large, if need be, of which the middle is the image.

The Keras original has other initial weights, pads its 5 x 5 strided layers on one side more, and
keeps 0.01 of each batch in the running moments, where PyTorch's 0.1 lets short runs evaluate well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

REVISION = 1  # 1: as first recorded; see eae_book.revisions

BATCH_NORM_EPS = 1e-3  # Keras's default
SMALLEST_SIDE = 4


@dataclass(frozen=True)
class Architecture:
    """What differs between the image shapes."""

    kernel: int
    encoder_multipliers: tuple[int, ...]
    decoder_multipliers: tuple[int, ...]
    rescale: bool  # map [0, 1] to [-1, 1] before the first layer
    stem_multiplier: int = 8

    @property
    def padding(self) -> int:
        """On each side of a strided layer."""
        return (self.kernel - 1) // 2

    def cut(self, convolutions: int) -> Architecture:
        """With fewer convolutions: the linear layers stand where those next to the code stood."""
        kept = min(convolutions - 1, len(self.decoder_multipliers))  # and one gives the image
        gone = len(self.decoder_multipliers) - kept
        return replace(
            self,
            encoder_multipliers=self.encoder_multipliers[:convolutions],
            decoder_multipliers=self.decoder_multipliers[gone:],
            stem_multiplier=(self.stem_multiplier, *self.decoder_multipliers)[gone],
        )


def architecture(shape: tuple[int, ...]) -> Architecture:
    """That of the papers for their shapes, one of the same kind for sides of at least 4.

    Example:
        >>> architecture((3, 256, 200)).encoder_multipliers
        (1, 2, 4, 8, 8, 8)
    """
    if shape == (3, 64, 64):  # CelebA; all others are like those of 32 x 32
        return Architecture(5, (1, 2, 4, 8), (4, 2, 1), rescale=False)
    if len(shape) != 3 or shape[0] < 1 or min(shape[1:]) < SMALLEST_SIDE:
        raise ValueError(
            f"no convolutional network for images of shape {shape}: it must be (channels, height, "
            f"width) with sides of at least {SMALLEST_SIDE}; build_dense_model takes any shape"
        )
    side = min(shape[1:])
    halvings = min(int(math.log2(side)), max(4, round(math.log2(side / 4))))
    doublings = max(0, round(math.log2(side / 8)))
    widening = [min(2**i, 8) for i in range(max(halvings, 3))]
    narrowing = [min(2**i, 8) for i in reversed(range(max(doublings, 3)))]
    return Architecture(4, tuple(widening[:halvings]), tuple(narrowing[:doublings]), rescale=True)


class CodeLinear(nn.Linear):
    """The layer that gives the code: in float32 also under autocast.

    bf16 has eight bits of mantissa, and in few dimensions many codes of a batch would coincide.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            # Not by the dtype of the weight: to look at it is a step of spectral normalisation.
            return super().forward(x if x.dtype == torch.float64 else x.float())


class Rescale(nn.Module):
    """[0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


class Middle(nn.Module):
    """The middle (n, c, height, width) of larger maps."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        return x[..., top : top + self.height, left : left + self.width]

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"


def check_sizes(**sizes: int) -> None:
    """Raise ValueError, with its name, for a size below 1."""
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def build_networks(
    image_shape: Sequence[int],
    latent_dim: int,
    *,
    width: int = 128,
    encoder_outputs: int | None = None,
    convolutions: int | None = None,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder: the papers' for their image shapes, of the same kind for others.

    Args:
        image_shape: (channels, height, width); the papers' are (1, 32, 32), (3, 32, 32) and
            (3, 64, 64).
        latent_dim: d, the size of the code.
        width: channels of the first convolution, 128 in the papers.
        encoder_outputs: numbers that the encoder gives for an image, d by default.
        convolutions: at most this many in each network; all by default. Those next to the code are
            left out, so the linear layers read and give larger maps.

    Returns:
        encoder, from ``(n, *image_shape)`` in [0, 1] to (n, d), and decoder, back into [0, 1].

    Source:
        Ghosh et al. (2020), official code; Ghose et al. (2020), section 5.1.

    Example:
        >>> encoder, decoder = build_networks((1, 32, 32), latent_dim=16)
        >>> sum(p.numel() for p in [*encoder.parameters(), *decoder.parameters()])
        22689681
    """
    shape = tuple(image_shape)
    plan = architecture(shape)
    outputs = latent_dim if encoder_outputs is None else encoder_outputs
    check_sizes(latent_dim=latent_dim, width=width, encoder_outputs=outputs)
    if convolutions is not None:
        most = len(plan.encoder_multipliers)
        if not 1 <= convolutions <= most:
            raise ValueError(f"convolutions must be from 1 to {most}, got {convolutions}")
        plan = plan.cut(convolutions)
    return _encoder(plan, shape, outputs, width), _decoder(plan, shape, latent_dim, width)


def _encoder(plan: Architecture, shape: tuple[int, ...], outputs: int, width: int) -> nn.Sequential:
    channels, *sides = shape
    layers: list[nn.Module] = [Rescale()] if plan.rescale else []
    for multiplier in plan.encoder_multipliers:
        out = multiplier * width
        convolution = nn.Conv2d(channels, out, plan.kernel, stride=2, padding=plan.padding)
        layers += [convolution, *_activation(out)]
        # With padding on both sides an odd side is rounded down by an even kernel, up by an odd.
        channels, sides = out, [(side + plan.kernel % 2) // 2 for side in sides]
    return nn.Sequential(*layers, nn.Flatten(), CodeLinear(channels * math.prod(sides), outputs))


def _decoder(
    plan: Architecture, shape: tuple[int, ...], latent_dim: int, width: int
) -> nn.Sequential:
    channels, factor = plan.stem_multiplier * width, 2 ** len(plan.decoder_multipliers)
    stem = [-(-side // factor) for side in shape[1:]]  # rounded up
    kernel, padding = plan.kernel, plan.padding
    layers: list[nn.Module] = [
        nn.Linear(latent_dim, channels * math.prod(stem)),
        nn.Unflatten(1, (channels, *stem)),
    ]
    for multiplier in plan.decoder_multipliers:
        out = multiplier * width
        doubling = nn.ConvTranspose2d(
            channels, out, kernel, stride=2, padding=padding, output_padding=kernel % 2
        )
        layers += [doubling, *_activation(out)]
        channels = out
    # A transposed convolution of stride 1 is a convolution; "same" padding of an even kernel is
    # one wider on the right.
    right = kernel - 1 - padding
    layers += [nn.ZeroPad2d((padding, right) * 2), nn.Conv2d(channels, shape[0], kernel)]
    if any(side * factor != whole for side, whole in zip(stem, shape[1:], strict=True)):
        layers.append(Middle(*shape[1:]))
    return nn.Sequential(*layers, nn.Sigmoid())


def _activation(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS), nn.ReLU()
