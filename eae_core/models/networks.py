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
from dataclasses import dataclass, replace

from torch import Tensor, nn

REVISION = 1  # 1: as first recorded; see eae_core.revisions

BATCH_NORM_EPS = 1e-3  # Keras's default


@dataclass(frozen=True)
class Architecture:
    """What differs between the image shapes."""

    kernel: int
    encoder_multipliers: tuple[int, ...]
    decoder_multipliers: tuple[int, ...]
    rescale: bool  # map [0, 1] to [-1, 1] before the first layer
    stem_multiplier: int = 8
    stem_side: int = 8  # of the decoder's first map

    def cut(self, convolutions: int) -> Architecture:
        """With fewer convolutions: the linear layers stand where those next to the code stood."""
        kept = min(convolutions - 1, len(self.decoder_multipliers))  # and one gives the image
        gone = len(self.decoder_multipliers) - kept
        stem = (self.stem_multiplier, *self.decoder_multipliers)[gone]
        return replace(
            self,
            encoder_multipliers=self.encoder_multipliers[:convolutions],
            decoder_multipliers=self.decoder_multipliers[gone:],
            stem_multiplier=stem,
            stem_side=self.stem_side * 2**gone,
        )


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
    convolutions: int | None = None,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder and decoder for one of the three image shapes.

    Args:
        image_shape: (channels, height, width): (1, 32, 32), (3, 32, 32) or (3, 64, 64).
        latent_dim: d, the size of the code.
        width: channels of the first convolution, 128 in the papers.
        encoder_outputs: numbers that the encoder gives for an image, d by default; 2 d where it
            gives mean and spread.
        convolutions: at most this many in the encoder, and in the decoder with the last one, which
            gives the image; all by default. Those next to the code are left out, so the linear
            layers read and give larger maps.

    Returns:
        encoder, from ``(n, *image_shape)`` in [0, 1] to (n, d), and decoder, back into [0, 1].

    Raises:
        ValueError: another shape, a size below 1, or more convolutions than there are.

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
    most = len(plan.encoder_multipliers)
    if convolutions is not None:
        if not 1 <= convolutions <= most:
            raise ValueError(f"convolutions must be from 1 to {most}, got {convolutions}")
        plan = plan.cut(convolutions)
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
    channels, side = plan.stem_multiplier * width, plan.stem_side
    layers: list[nn.Module] = [
        nn.Linear(latent_dim, channels * side**2),
        nn.Unflatten(1, (channels, side, side)),
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
