"""All models with dense networks: seconds on a processor where the papers' take hours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from eae_core.models.autoencoders import Autoencoder, ModelOptions
from eae_core.models.building import find_model

REVISION = 1  # 1: as first recorded; see eae_core.revisions


def build_dense_model(
    name: str,
    image_shape: Sequence[int],
    latent_dim: int,
    *,
    hidden: int = 128,
    layers: int = 2,
    normalize: bool = True,
    options: ModelOptions | None = None,
) -> Autoencoder:
    """A model of :func:`~eae_core.models.build_model` with dense networks, two hidden layers each.

    For experiments on codes and objectives, where how good the images are is not the question. An
    L2 penalty on the decoder needs ``decoder_l2_stem``, because all layers are linear ones. Such a
    model has no ``config``, so that its weights cannot be kept in a checkpoint.

    Args:
        name: key of ``MODELS``.
        image_shape: (channels, height, width), any.
        latent_dim: d.
        hidden: width of the hidden layers, each followed by ReLU.
        layers: how many of them encoder and decoder have.
        normalize: batch-normalise the hidden layers.
        options: the model's own; by default those published for MNIST.

    Raises:
        ValueError: unknown name (the nearest is named), or a size below 1.
        TypeError: options of another model.

    Example:
        >>> import torch
        >>> model = build_dense_model("eae", (3, 16, 16), latent_dim=2, hidden=8)
        >>> model(torch.rand(5, 3, 16, 16)).shape
        torch.Size([5, 3, 16, 16])
    """
    model_class = find_model(name)[0]
    sizes = {"latent_dim": latent_dim, "hidden": hidden, "layers": layers}
    for label, value in {**sizes, "image_shape": min(image_shape)}.items():
        if value < 1:
            raise ValueError(f"{label} must be at least 1, got {value}")
    pixels = math.prod(image_shape)

    def network(inputs: int, outputs: int) -> list[nn.Module]:
        pairs = [(inputs, hidden)] + [(hidden, hidden)] * (layers - 1)
        parts: list[nn.Module] = []
        for a, b in pairs:
            norm = [nn.BatchNorm1d(b)] if normalize else []
            parts += [nn.Linear(a, b), *norm, nn.ReLU()]
        return [*parts, nn.Linear(hidden, outputs)]

    outputs = model_class.encoder_outputs_per_dim * latent_dim
    encoder = nn.Sequential(nn.Flatten(), *network(pixels, outputs))
    shaped = nn.Unflatten(1, tuple(image_shape))
    decoder = nn.Sequential(*network(latent_dim, pixels), shaped, nn.Sigmoid())
    return model_class(encoder, decoder, latent_dim, options)  # type: ignore[call-arg]
