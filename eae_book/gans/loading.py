"""Trained generators from their checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from eae_book.gans.generators import GENERATORS, GeneratorModel, rebuild_generator
from eae_core.training.checkpoints import CheckpointError, load_model, read_checkpoint


def load_generator(path: str | Path) -> GeneratorModel:
    """The generator of a checkpoint, in evaluation mode, in float32 on the CPU.

    Args:
        path: what :func:`eae_book.gans.fit_adversarial`, or for ``"lee_vae"``
            :func:`eae_core.training.fit`, was given as ``checkpoint``.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: no checkpoint of this package and version, or of something else than a
            model of :func:`eae_book.gans.build_generator`.

    Example:
        >>> import tempfile
        >>> from eae_book.gans import AdversarialOptions, build_generator, fit_adversarial
        >>> from eae_book.gans import unpadded_images
        >>> model = build_generator("wgan", latent_dim=2, width=1)
        >>> path = Path(tempfile.mkdtemp()) / "wgan.safetensors"
        >>> options = AdversarialOptions(epochs=1, batch_size=10, progress=False)
        >>> images = unpadded_images("digits", limit=20)
        >>> history = fit_adversarial(model, images, options, checkpoint=path)
        >>> load_generator(path).name
        'wgan'
    """
    config = read_checkpoint(path).config
    if config.get("name") not in GENERATORS:
        raise CheckpointError(f"{path} holds no generator but {config.get('name')!r}")
    try:
        model = rebuild_generator(config)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} holds a model that cannot be rebuilt: {error}") from error
    return cast(GeneratorModel, load_model(path, model=model))
