"""All models by name, with the papers' networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from operator import index
from typing import Any

import numpy as np

from eae_core.errors import nearest
from eae_core.models.autoencoders import AE, Autoencoder, ModelOptions
from eae_core.models.dense import dense_networks
from eae_core.models.entropic import EAE
from eae_core.models.networks import build_networks
from eae_core.models.regularized import AEL2, RAE, RAEGP, RAEL2, RAESN
from eae_core.models.two_stage import TwoStageVAE
from eae_core.models.variational import CVVAE, VAE
from eae_core.models.wasserstein import WAE

_ALL: tuple[type[Autoencoder], ...] = (
    *(AE, AEL2, EAE, RAE, RAEL2, RAEGP, RAESN),
    *(VAE, CVVAE, WAE, TwoStageVAE),
)
#: name to model and its options
MODELS: dict[str, tuple[type[Autoencoder], type[ModelOptions]]] = {
    model.name: (model, model.options_class) for model in _ALL
}


def build_model(
    name: str,
    image_shape: Sequence[int],
    latent_dim: int,
    *,
    width: int = 128,
    options: ModelOptions | None = None,
    convolutions: int | None = None,
) -> Autoencoder:
    """A model with the papers' networks; one for a table of numbers with dense ones.

    Args:
        name: ``"eae"``, or another key of ``MODELS``.
        image_shape: (channels, height, width), see :func:`build_networks`, or (features,) of a
            table, whose :func:`dense_networks` have ``8 * width`` hidden units.
        latent_dim: d, the size of the code.
        width: channels of the first convolution, 128 in the papers.
        options: the model's own, e.g. ``EAEOptions(entropy_weight=0.5)``; by default those
            published for MNIST, see :func:`published_options`.
        convolutions: fewer than in the papers, see :func:`build_networks`.

    Raises:
        ValueError: unknown name (the nearest is named), impossible shape or size.
        TypeError: options of another model.

    Example:
        >>> model = build_model("eae", (1, 32, 32), latent_dim=16, width=8)
        >>> model.latent_dim, model.config["options"]["entropy_weight"]
        (16, 1.0)
    """
    model_class, options_class = find_model(name)
    options = options_class() if options is None else options
    if type(options) is not options_class:
        raise TypeError(
            f"model {name!r} takes {options_class.__name__}, got {type(options).__name__}"
        )
    # Numbers of NumPy's too, which JSON could not hold.
    image_shape, latent_dim, width = [*map(index, image_shape)], index(latent_dim), index(width)
    outputs = model_class.encoder_outputs_per_dim * latent_dim
    if len(image_shape) > 1:
        encoder, decoder = build_networks(
            image_shape, latent_dim, width=width, encoder_outputs=outputs, convolutions=convolutions
        )
    elif convolutions is not None:
        raise ValueError("a table has no convolutions: leave their number out")
    else:
        encoder, decoder = dense_networks(
            image_shape, latent_dim, hidden=8 * width, encoder_outputs=outputs
        )
    model = model_class(encoder, decoder, latent_dim, options)
    model.config = {
        "name": name,
        "image_shape": list(image_shape),
        "latent_dim": latent_dim,
        "width": width,
        "options": {name: _plain(value) for name, value in asdict(options).items()},
    }
    if convolutions is not None:
        model.config["convolutions"] = convolutions
    return model


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


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
    """A model of :func:`build_model` with :func:`dense_networks`, for images of any shape.

    Seconds on a processor where the papers' networks take hours. It has no ``config``, so that its
    weights cannot be kept in a checkpoint; an L2 penalty on its decoder needs ``decoder_l2_stem``.

    Args:
        name: key of ``MODELS``.
        image_shape: (channels, height, width), or (features,).
        latent_dim: d.
        hidden: see :func:`dense_networks`, also for the next two.
        layers: of them.
        normalize: them.
        options: the model's own.

    Raises:
        ValueError: unknown name (the nearest is named), or a size below 1.
        TypeError: options of another model.

    Example:
        >>> model = build_dense_model("eae", (3, 16, 16), latent_dim=2, hidden=8)
        >>> model.latent_dim
        2
    """
    model_class = find_model(name)[0]
    outputs = model_class.encoder_outputs_per_dim * latent_dim
    encoder, decoder = dense_networks(
        image_shape,
        latent_dim,
        hidden=hidden,
        layers=layers,
        normalize=normalize,
        encoder_outputs=outputs,
    )
    return model_class(encoder, decoder, latent_dim, options)


def find_model(name: str) -> tuple[type[Autoencoder], type[ModelOptions]]:
    """The class of a model and that of its options; ValueError names the nearest known."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; {nearest(name, MODELS)}")
    return MODELS[name]


def rebuild_model(config: Mapping[str, Any]) -> Autoencoder:
    """The model that :attr:`Autoencoder.config` describes, with fresh weights.

    Raises:
        ValueError: an entry is missing, or the model or an option of it is unknown here.
    """
    missing = {"name", "image_shape", "latent_dim", "width", "options"} - set(config)
    if missing:
        raise ValueError(f"model config lacks {', '.join(sorted(missing))}")
    options_class = find_model(config["name"])[1]
    known = [field.name for field in fields(options_class)]
    unknown = [name for name in config["options"] if name not in known]
    if unknown:
        raise ValueError(
            f"this version's model {config['name']!r} has no option {', '.join(unknown)}; it has "
            f"{', '.join(known) or 'none'}"
        )
    return build_model(
        config["name"],
        config["image_shape"],
        config["latent_dim"],
        width=config["width"],
        options=options_class(**config["options"]),
        convolutions=config.get("convolutions"),
    )
