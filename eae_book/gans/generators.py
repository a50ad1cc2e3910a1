"""The generators of Struminsky et al. by name, with Lee's networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeAlias

from eae_book.gans.gan import GAN, AdversarialModel
from eae_book.gans.lee import IMAGE_SHAPE, lee_critic, lee_encoder, lee_generator
from eae_book.gans.lee_vae import LeeVAE
from eae_book.gans.wasserstein_gan import WGAN, WGANGP, CorrectedWGANGP
from eae_core.errors import nearest
from eae_core.models.autoencoders import ModelOptions

GeneratorModel: TypeAlias = AdversarialModel | LeeVAE

#: name to model
GENERATORS: dict[str, type[GeneratorModel]] = {
    model.name: model for model in (GAN, WGAN, WGANGP, CorrectedWGANGP, LeeVAE)
}


def build_generator(
    name: str, *, latent_dim: int = 62, width: int = 64, options: ModelOptions | None = None
) -> GeneratorModel:
    """A model of images 1 x 28 x 28 in [0, 1] with Lee's networks.

    Every one has ``decode(z)``, from codes (n, d) to images (n, 1, 28, 28), ``latent_dim``,
    ``name`` and a JSON-able ``config``. In evaluation mode, in which training leaves it, ``decode``
    treats each code by itself.

    Args:
        name: ``"gan"``, ``"wgan"``, ``"wgan_gp"``, ``"wgan_gp_corrected"``, trained by
            :func:`eae_book.gans.adversarial.fit_adversarial`, or ``"lee_vae"``, an autoencoder.
        latent_dim: d.
        width: 64 in Lee's networks; scales channels and units.
        options: the model's own, e.g. ``WGANOptions(clip=0.02)``; by default Lee's.

    Raises:
        ValueError: unknown name (the nearest is named), or a size below 1.
        TypeError: options of another model.

    Source:
        Struminsky et al. (2018), section 3.2; Lee (2017).

    Example:
        >>> model = build_generator("wgan", width=4)
        >>> model.config["options"], model.latent_dim
        ({'clip': 0.01}, 62)
    """
    model_class = find_generator(name)
    generator = lee_generator(latent_dim, width=width)
    model: GeneratorModel
    if issubclass(model_class, AdversarialModel):
        corrected = model_class is CorrectedWGANGP
        critic = lee_critic(width=width, normalization="layer" if corrected else "batch")
        model = model_class(generator, critic, latent_dim, options)
    else:
        encoder = lee_encoder(latent_dim, width=width)
        model = model_class(encoder, generator, latent_dim, options)
    model.config = {
        "name": name,
        "image_shape": list(IMAGE_SHAPE),
        "latent_dim": latent_dim,
        "width": width,
        "options": asdict(model.options),
    }
    return model


def find_generator(name: str) -> type[GeneratorModel]:
    """The class of a generator.

    Raises:
        ValueError: unknown name; the nearest is named.

    Example:
        >>> find_generator("wgan-gp")
        Traceback (most recent call last):
        ...
        ValueError: unknown generator 'wgan-gp'; did you mean 'wgan_gp' or 'wgan' or 'gan'?
    """
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; {nearest(name, GENERATORS)}")
    return GENERATORS[name]


def rebuild_generator(config: Mapping[str, Any]) -> GeneratorModel:
    """The model that a ``config`` of :func:`build_generator` describes, with fresh weights.

    Raises:
        ValueError: an entry is missing, or the model is unknown here.
        TypeError: the model has no such option.

    Example:
        >>> config = build_generator("gan", latent_dim=2, width=1).config
        >>> rebuild_generator(config).config == config
        True
    """
    missing = {"name", "latent_dim", "width", "options"} - set(config)
    if missing:
        raise ValueError(f"model config lacks {', '.join(sorted(missing))}")
    return build_generator(
        config["name"],
        latent_dim=config["latent_dim"],
        width=config["width"],
        options=find_generator(config["name"]).options_class(**config["options"]),
    )
