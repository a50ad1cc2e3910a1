"""What a model makes, as one small picture beside its record.

A sheet is a grid of images, rows of ten, stored as PNG where the images are grey and as lossless
WebP where they have colours. It holds nothing but what a model made, so that it can be published
where the data set cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eae_core.data import Images
from eae_core.evaluation.densities import Density
from eae_core.evaluation.inception import eight_bit
from eae_core.files import replacing
from eae_core.models import Autoencoder
from eae_core.models.using import decode_codes, interpolate, reconstruct, sample_images

COLUMNS = 10
SAMPLE_ROWS = 2  # of each density
PATHS = 2
SUFFIXES = (".png", ".webp")  # of grey and of coloured images


def picture_rows(
    model: Autoencoder, test: Images, densities: Mapping[str, Density], *, seed: int = 0
) -> dict[str, Tensor]:
    """Rows of images that show a model, each (10, c, h, w) in [0, 1], by what they show.

    Two rows of samples of the model's own codes and of each density, one row of reconstructions of
    the first ten test images, and two rows of spherical paths between test images.

    Example:
        >>> from eae_core.data import load_images
        >>> from eae_core.models import build_model
        >>> digits = load_images("digits", "test", limit=10)
        >>> model = build_model("ae", digits.image_shape, latent_dim=2, width=1)
        >>> list(picture_rows(model, digits, {}))
        ['own 1', 'own 2', 'reconstructions', 'path 1', 'path 2']
    """
    if len(test) < COLUMNS:
        raise ValueError(f"a sheet shows {COLUMNS} test images, there are {len(test)}")
    count = COLUMNS * SAMPLE_ROWS
    samples = {"own": sample_images(model, count, seed=seed)}
    for name, density in densities.items():
        samples[name] = decode_codes(model, density.sample(count, seed=seed))
    shown = test.batch(slice(0, COLUMNS))
    starts, ends = shown[:PATHS], shown[PATHS : 2 * PATHS]
    rows = [row for images in samples.values() for row in images.split(COLUMNS)]
    rows += [reconstruct(model, shown), *interpolate(model, starts, ends, steps=COLUMNS)]
    return dict(zip(sheet_names(list(samples)), rows, strict=True))


def sheet_names(densities: Sequence[str]) -> list[str]:
    """What the rows of a sheet show, from above, with samples of these."""
    samples = [f"{name} {number}" for name in densities for number in range(1, SAMPLE_ROWS + 1)]
    return [*samples, "reconstructions", *(f"path {number}" for number in range(1, PATHS + 1))]


def write_sheet(rows: Mapping[str, Tensor], path: str | Path) -> Path:
    """Write rows of images (10, c, h, w) in [0, 1] as one picture; the path that it went to.

    Without a suffix the path gets .png for grey images, .webp for coloured ones.
    """
    grid = torch.stack([row.cpu() for row in rows.values()])  # (rows, columns, c, h, w)
    sheet = grid.movedim(2, 0).transpose(2, 3).flatten(3, 4).flatten(1, 2)  # (c, height, width)
    path = Path(path)
    if path.suffix not in SUFFIXES:
        path = path.with_suffix(SUFFIXES[len(sheet) > 1])
    with replacing(path) as temporary:
        if path.suffix == ".png":
            picture(sheet).save(temporary, format="PNG", optimize=True)
        else:
            picture(sheet).save(temporary, format="WEBP", lossless=True, method=6)
    return path


def picture(image: Tensor) -> Image.Image:
    """An image (c, h, w) in [0, 1], grey or in colours, as Pillow's.

    Example:
        >>> picture(torch.zeros(3, 4, 5)).size
        (5, 4)
    """
    pixels = eight_bit(image.detach()).movedim(0, -1).cpu().numpy()  # (h, w, c)
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if len(image) == 1 else pixels))


def write_grid(images: Tensor, path: str | Path, *, columns: int = COLUMNS) -> Path:
    """Write images (n, c, h, w) as one picture, row by row, as :func:`write_sheet` does."""
    blank = images.new_ones(-len(images) % columns, *images.shape[1:])
    rows = torch.cat([images, blank]).split(columns)
    return write_sheet({str(number): row for number, row in enumerate(rows)}, path)
