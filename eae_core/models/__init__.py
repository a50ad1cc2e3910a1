"""Models: networks, the constraint, one objective a class; :func:`build_model` joins them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from eae_core.models.autoencoders import AE, EAE, AEOptions, Autoencoder, EAEOptions
from eae_core.models.averages import CodeL1Norm, CodeUnitMean
from eae_core.models.constraints import build_constraint
from eae_core.models.layers import CodeConstraint
from eae_core.models.networks import build_networks
from eae_core.models.normalization import CodeBatchNorm
from eae_core.models.supports import CodeBox, CodeSphere

ModelOptions = AEOptions | EAEOptions

MODELS: dict[str, tuple[type[AE] | type[EAE], type[ModelOptions]]] = {
    AE.name: (AE, AEOptions),
    EAE.name: (EAE, EAEOptions),
}

__all__ = [
    "AE",
    "EAE",
    "MODELS",
    "AEOptions",
    "Autoencoder",
    "CodeBatchNorm",
    "CodeBox",
    "CodeConstraint",
    "CodeL1Norm",
    "CodeSphere",
    "CodeUnitMean",
    "EAEOptions",
    "build_constraint",
    "build_model",
    "build_networks",
    "rebuild_model",
]


def build_model(
    name: str,
    image_shape: Sequence[int],
    latent_dim: int,
    *,
    width: int = 128,
    options: ModelOptions | None = None,
) -> Autoencoder:
    """A model with the papers' networks.

    Args:
        name: ``"ae"`` or ``"eae"``.
        image_shape: (channels, height, width), see :func:`build_networks`.
        latent_dim: d, the size of the code.
        width: channels of the first convolution, 128 in the papers.
        options: the model's own options, e.g. ``EAEOptions(entropy_weight=0.5)``.

    Raises:
        ValueError: unknown name (the nearest is named), impossible shape or size.
        TypeError: options of another model.

    Example:
        >>> model = build_model("eae", (1, 32, 32), latent_dim=16, width=8)
        >>> model.config["options"]
        {'entropy_weight': 1.0, 'k': 1}
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown model {name!r}{hint} There are: {', '.join(MODELS)}")
    model_class, options_class = MODELS[name]
    options = options or options_class()
    if not isinstance(options, options_class):
        raise TypeError(
            f"model {name!r} takes {options_class.__name__}, got {type(options).__name__}"
        )
    encoder, decoder = build_networks(image_shape, latent_dim, width=width)
    model = model_class(encoder, decoder, latent_dim, options)  # type: ignore[arg-type]
    model.config = {
        "name": name,
        "image_shape": list(image_shape),
        "latent_dim": latent_dim,
        "width": width,
        "options": _as_written(options),
    }
    return model


def _as_written(options: ModelOptions) -> dict[str, Any]:
    """Options as files hold them, see ``ADDED_LATER``."""
    values = {field: getattr(options, field.name) for field in fields(options)}
    return {
        field.name: value
        for field, value in values.items()
        if "added_later" not in field.metadata or value != field.default
    }


def rebuild_model(config: Mapping[str, Any]) -> Autoencoder:
    """The model that :attr:`Autoencoder.config` describes, with fresh weights.

    Example:
        >>> config = build_model("ae", (3, 32, 32), latent_dim=2, width=1).config
        >>> rebuild_model(config).config == config
        True
    """
    missing = {"name", "image_shape", "latent_dim", "width", "options"} - set(config)
    if missing:
        raise ValueError(f"model config lacks {', '.join(sorted(missing))}")
    if config["name"] not in MODELS:
        raise ValueError(f"unknown model {config['name']!r}; there are {', '.join(MODELS)}")
    options_class = MODELS[config["name"]][1]
    return build_model(
        config["name"],
        config["image_shape"],
        config["latent_dim"],
        width=config["width"],
        options=options_class(**config["options"]),
    )
