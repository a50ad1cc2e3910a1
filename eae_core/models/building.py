"""All models by name, with the papers' networks and the published weights."""

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

# The published weights in this package's convention, by data set, where they are not those for
# MNIST, which are the defaults; eae_book.published.weights computes them, and a test holds it
# against this table.
_CIFAR10: dict[str, dict[str, Any]] = {
    "ae_l2": {"decoder_l2": 0.003072},
    "eae": {"decoder_l2": 0.003072},
    "rae": {"latent_weight": 0.48},
    "rae_l2": {"latent_weight": 0.048, "decoder_l2": 0.003072},
    "rae_gp": {"latent_weight": 0.0432, "gradient_penalty": 0.0},
    "rae_sn": {"latent_weight": 1.44},
    "vae": {"beta": 0.072},
    "cv_vae": {"beta": 0.0027},
    "wae": {"mmd_weight": 18.432},
}
_CELEBA: dict[str, dict[str, Any]] = {
    "ae_l2": {"decoder_l2": 0.012288, "decoder_l2_stem": True},
    "eae": {"spectral_norm": True},
    "rae": {"latent_weight": 0.0384},
    "rae_l2": {"latent_weight": 0.0384, "decoder_l2": 0.0012288, "decoder_l2_stem": True},
    "rae_gp": {"latent_weight": 0.0384, "gradient_penalty": 1.92e-05},
    "rae_sn": {"latent_weight": 0.9216},
    "vae": {"beta": 0.27072},
    "cv_vae": {"beta": 0.03},
    "wae": {"mmd_weight": 2000.0, "input_noise": 0.01},
}
_PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    **{name: {} for name in ("mnist", "fashion_mnist", "digits")},
    **dict.fromkeys(("cifar10", "shapes32"), _CIFAR10),
    **dict.fromkeys(("celeba64", "celeba", "faces64"), _CELEBA),
}


def find_model(name: str) -> tuple[type[Autoencoder], type[ModelOptions]]:
    """The class of a model and that of its options; ValueError names the nearest known."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; {nearest(name, MODELS)}")
    return MODELS[name]


def published_options(name: str, dataset: str) -> ModelOptions:
    """Options of a model with the published weights for a data set, in our convention.

    They are those of RAE's code at its latent dimensions (16, 128 and 64); Fashion-MNIST takes
    MNIST's, and each stand-in those of the set it stands in for. For EAE the paper names L2 on
    CIFAR-10 and spectral normalisation on CelebA without strengths: L2 is that of RAE-L2, the
    entropy weight 1.

    Example:
        >>> published_options("vae", "cifar10")
        VAEOptions(beta=0.072)
    """
    options_class = find_model(name)[1]
    if dataset not in _PUBLISHED:
        hint = nearest(dataset, _PUBLISHED)
        raise ValueError(f"no weights are published for the data set {dataset!r}; {hint}")
    return options_class(**_PUBLISHED[dataset].get(name, {}))


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
    model_class = find_model(name)[0]
    options = model_class.own_options(options)
    # Numbers of NumPy's too, which JSON could not hold.
    image_shape, latent_dim, width = [*map(index, image_shape)], index(latent_dim), index(width)
    outputs = model_class.encoder_outputs_per_dim * latent_dim
    if len(image_shape) > 1:
        networks = build_networks(
            image_shape, latent_dim, width=width, encoder_outputs=outputs, convolutions=convolutions
        )
    elif convolutions is not None:
        raise ValueError("a table has no convolutions: leave their number out")
    else:
        networks = dense_networks(
            image_shape, latent_dim, hidden=8 * width, encoder_outputs=outputs
        )
    model = model_class(*networks, latent_dim, options)
    model.config = {
        "name": name,
        "image_shape": image_shape,
        "latent_dim": latent_dim,
        "width": width,
        "options": {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in asdict(options).items()
        },
    }
    if convolutions is not None:
        model.config["convolutions"] = convolutions
    return model


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
    The arguments are those of these two functions, and so are the errors.

    Example:
        >>> model = build_dense_model("eae", (3, 16, 16), latent_dim=2, hidden=8)
        >>> model.latent_dim
        2
    """
    model_class = find_model(name)[0]
    networks = dense_networks(
        image_shape,
        latent_dim,
        hidden=hidden,
        layers=layers,
        normalize=normalize,
        encoder_outputs=model_class.encoder_outputs_per_dim * latent_dim,
    )
    return model_class(*networks, latent_dim, options)


def rebuild_model(config: Mapping[str, Any]) -> Autoencoder:
    """The model that :attr:`Autoencoder.config` describes, with fresh weights.

    ValueError if an entry is missing, or the model or an option of it is unknown here.
    """
    missing = {"name", "image_shape", "latent_dim", "width", "options"} - set(config)
    if missing:
        raise ValueError(f"model config lacks {', '.join(sorted(missing))}")
    options_class = find_model(config["name"])[1]
    known = [field.name for field in fields(options_class)]
    if unknown := [name for name in config["options"] if name not in known]:
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
