"""One picture, of any kind that cameras and programs write, as pixels of a given size."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
REVISION = 1  # of the way from a file to pixels; 1: as first recorded
_GREY = ("1", "L", "LA", "La", "I", "F")  # and I;16 in its byte orders


class PictureError(ValueError):
    """A file that cannot be read as a picture."""


def find_pictures(folder: Path) -> tuple[list[str], Counter[str]]:
    """Pictures below a folder, as sorted relative paths, and a count of other files by suffix.

    Links are followed; one that leads nowhere counts as a file. Hidden files and folders, such as
    the ``._`` files of macOS, count as neither.

    Raises:
        OSError: a folder that cannot be read.
    """
    pictures, others, seen = [], Counter[str](), set()

    def stop(error: OSError) -> None:
        raise error

    for here, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        place = os.path.realpath(here)
        # A link may lead back to where it came from.
        folders[:] = [] if place in seen else sorted(name for name in folders if name[0] != ".")
        for name in [] if place in seen else files:
            path = Path(here, name)
            if name[0] != "." and path.suffix.lower() in SUFFIXES:
                pictures.append(path.relative_to(folder).as_posix())
            elif name[0] != ".":
                others[path.suffix or name] += 1
        seen.add(place)
    return sorted(pictures), others


def is_grey(path: Path) -> bool:
    """Whether a file holds no colours, by its first bytes; a file that is no picture does not."""
    try:
        with _opened(path) as picture:
            return picture.mode in _GREY or picture.mode.startswith("I;16")
    except PictureError:
        return True


def read_picture(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Pixels (height, width, channels) of a picture, upright, cut about its centre, and resized.

    The largest part of the right proportions is kept. Transparent parts become white, CMYK and
    palettes colours, 16 bits 8.

    Args:
        path: of the file.
        size: height and width.
        channels: 1 for grey, 3 for colours.

    Raises:
        PictureError: the file is no picture, is cut short, or holds numbers of no known range.
    """
    height, width = size
    with _opened(path) as picture:
        picture.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at half its size
        upright = _eight_bits(ImageOps.exif_transpose(picture))
        if "A" in upright.getbands() or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
        upright = upright.convert("L" if channels == 1 else "RGB")
        fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
        return np.asarray(fitted).reshape(height, width, channels)


def _eight_bits(picture: Image.Image) -> Image.Image:
    if not picture.mode.startswith(("I", "F")):
        return picture
    levels = np.asarray(picture)
    if picture.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise PictureError(f"pixels of mode {picture.mode}, whose range is not known")
    return Image.fromarray(((levels.astype(np.uint32) + 128) // 257).astype(np.uint8))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise PictureError("it is no ordinary file")
        with Image.open(path, formats=FORMATS) as picture:
            yield picture
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"it is none of {', '.join(FORMATS)}") from error
    except Exception as error:  # each decoder fails in its own way
        reason = getattr(error, "strerror", None) or str(error)  # without the path
        raise PictureError(reason or type(error).__name__) from error


@contextmanager
def no_warnings() -> Iterator[None]:
    """Without Pillow's remarks, on damaged metadata and on large pictures, of which nobody dies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
