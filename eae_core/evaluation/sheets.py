"""What a model makes, as one small picture beside its record.

A sheet is a grid of images, rows of ten, stored as PNG where the images are grey and as lossless
WebP where they have colours. It holds nothing but what a model made, so that it can be published
where the data set cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eae_core.data import ImageSet
from eae_core.evaluation.codes import decode_codes, interpolate, reconstruct, sample_images
from eae_core.evaluation.densities import Density
from eae_core.files import replacing
from eae_core.models import Autoencoder

COLUMNS = 10
SAMPLE_ROWS = 2  # of each law


def picture_rows(
    model: Autoencoder, test: ImageSet, densities: Mapping[str, Density], *, seed: int = 0
) -> dict[str, Tensor]:
    """Rows of images that show a model, each (10, c, h, w) in [0, 1], by what they show.

    Two rows of samples of the model's own law and of each density, one row of reconstructions of
    the first ten test images, and two rows of spherical paths between test images.

    Raises:
        ValueError: fewer than ten test images.

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
    rows = {
        f"{name} {number}": row
        for name, images in samples.items()
        for number, row in enumerate(images.split(COLUMNS), start=1)
    }
    shown = test.batch(slice(0, COLUMNS))
    rows["reconstructions"] = reconstruct(model, shown)
    paths = interpolate(model, shown[0:2], shown[2:4], steps=COLUMNS)  # (2, 10, c, h, w)
    return rows | {f"path {number}": path for number, path in enumerate(paths, start=1)}


def write_sheet(rows: Mapping[str, Tensor], path: str | Path) -> Path:
    """Write rows of ten images as one picture; the path it went to, with its right suffix.

    Args:
        rows: (10, c, h, w) each, in [0, 1].
        path: where to; the suffix becomes .png for grey images and .webp for coloured ones.
    """
    grid = torch.stack([row.detach().cpu().clamp(0, 1) for row in rows.values()])
    pixels = (grid * 255).round().to(torch.uint8)  # (rows, columns, c, h, w)
    count, columns, channels, height, width = pixels.shape
    sheet = pixels.permute(0, 3, 1, 4, 2).reshape(count * height, columns * width, channels)
    path = Path(path).with_suffix(".png" if channels == 1 else ".webp")
    with replacing(path) as temporary:
        picture = Image.fromarray(np.ascontiguousarray(sheet.numpy().squeeze()))
        if channels == 1:
            picture.save(temporary, format="PNG", optimize=True)
        else:
            picture.save(temporary, format="WEBP", lossless=True, method=6)
    return path


def read_sheet(path: str | Path, image_shape: tuple[int, int, int]) -> Tensor:
    """The images of a sheet, (rows, 10, c, h, w) in [0, 1].

    Raises:
        ValueError: a file that is no picture, or one whose size does not fit the images.

    Example:
        >>> import tempfile
        >>> rows = {"first": torch.rand(10, 1, 4, 4), "second": torch.zeros(10, 1, 4, 4)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     back = read_sheet(write_sheet(rows, Path(folder) / "sheet"), (1, 4, 4))
        >>> back.shape, bool((back[0] - rows["first"]).abs().max() <= 0.5 / 255)
        (torch.Size([2, 10, 1, 4, 4]), True)
    """
    channels, height, width = image_shape
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except OSError as error:
        raise ValueError(f"{path} is not a sheet of images: {error}") from error
    if pixels.shape[0] % height or pixels.shape[1] != COLUMNS * width:
        raise ValueError(
            f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, which are not rows of "
            f"{COLUMNS} images of {width} x {height}"
        )
    grid = torch.from_numpy(pixels.reshape(-1, height, COLUMNS, width, channels).copy())
    return grid.permute(0, 2, 4, 1, 3).float() / 255
