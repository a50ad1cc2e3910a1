"""MNIST-like sets as the papers on generators take them: 28 x 28, both splits in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from eae_core.data.catalogue import SPLITS
from eae_core.data.images import ImageSet, fingerprint
from eae_core.data.named import load_images

REVISION = 1  # 1: as first recorded; see eae_book.revisions

SIDE = 28


def unpadded_images(
    name: str,
    *,
    classes: Sequence[int] | None = None,
    limit: int | None = None,
    root: str | Path | None = None,
) -> ImageSet:
    """Grey images of 28 x 28 pixels, training images first, then test images.

    :func:`load_images` pads them to 32 x 32; the border, which is zero, is cut off again. MNIST and
    Fashion-MNIST have 70,000 images.

    Args:
        name: a grey set: ``"mnist"``, ``"fashion_mnist"``, or the embedded ``"digits"``.
        classes: keep only images with these labels; by default all.
        limit: keep the first so many of what is left, in the order of the set; by default all.
        root: the data folder, see :func:`load_images`.

    Returns:
        a set with split ``"all"``, whose checksum is that of its own images and labels.

    Raises:
        ValueError: unknown name, coloured images, a class that the set does not have, or a limit
            below 1 or above the number of images.
        DataUnavailableError, DataCorruptedError: as :func:`load_images`.

    Example:
        >>> images = unpadded_images("digits", classes=[0, 1], limit=300)
        >>> len(images), images.image_shape, images.split
        (300, (1, 28, 28), 'all')
    """
    parts = [load_images(name, split, root=root) for split in SPLITS]
    channels, height, width = parts[0].image_shape
    if channels != 1 or min(height, width) < SIDE:
        raise ValueError(
            f"{name} has images of shape {parts[0].image_shape}; grey ones of at least {SIDE} x "
            f"{SIDE} have mnist, fashion_mnist and digits"
        )
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    images = torch.cat([part.images[..., top : top + SIDE, left : left + SIDE] for part in parts])
    known = [part.labels for part in parts if part.labels is not None]
    labels = torch.cat(known) if len(known) == len(parts) else None
    if classes is not None:
        kept = _of_classes(labels, classes, name)
        images, labels = images[kept], None if labels is None else labels[kept]
    whole = dataclasses.replace(
        parts[0], split="all", images=images.contiguous(), labels=labels, checksum=""
    )
    chosen = whole if limit is None else whole.subset(limit)
    return dataclasses.replace(chosen, checksum=fingerprint(chosen.images, chosen.labels))


def _of_classes(labels: Tensor | None, classes: Sequence[int], name: str) -> Tensor:
    """Which images (N,) have one of these labels."""
    if labels is None:
        raise ValueError(f"{name} has no labels here, so no classes can be chosen")
    known = labels.unique().tolist()
    if odd := [label for label in classes if label not in known]:
        raise ValueError(f"{name} has no class {odd[0]}; there are {', '.join(map(str, known))}")
    if not classes:
        raise ValueError(f"no class is chosen; {name} has {', '.join(map(str, known))}")
    return torch.isin(labels, torch.tensor(sorted(set(classes))))
