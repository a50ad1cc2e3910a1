"""Pictures, of any kind that cameras and programs write, as pixels of one size.

A folder of them is decoded once and kept in the data folder:

    <root>/own/<folder>-<key>/images.npy   uint8, N x height x width x channels
    <root>/own/<folder>-<key>/meta.json    its checksum, and which files cannot be read

The key follows from the files' names, sizes and time stamps, and from the size of the images.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm.auto import tqdm

from eae_core.data.prepared import META, filled_at_once, is_prepared, seal_folder, verify_folder

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
REVISION = 1  # of the way from a file to pixels; 1: as first recorded
_LARGEST = 8192  # pixels of a side
_AT_ONCE = 256  # pictures in memory while a folder is decoded


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
        if place in seen:  # a link may lead back to where it came from
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for path in (Path(here, name) for name in files if name[0] != "."):
            if path.suffix.lower() in SUFFIXES:
                pictures.append(path.relative_to(folder).as_posix())
            else:
                others[path.suffix or path.name] += 1
    return sorted(pictures), others


def is_grey(path: Path) -> bool:
    """Whether a file holds no colours, by its first bytes; a file that is no picture does not."""
    try:
        with _opened(path) as picture:
            return Image.getmodebase(picture.mode) == "L"
    except PictureError:
        return True


def read_picture(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Pixels (height, width, channels) of a picture, upright, cut about its centre, and resized.

    The largest part of the right proportions is kept. Transparent parts become white, CMYK and
    palettes colours, 16 bits 8. One channel is grey, three are colours.

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


@dataclass(frozen=True)
class Form:
    """What the pictures of a folder are to become, and where that is kept."""

    size: tuple[int, int]  #: height and width
    root: Path  #: the data folder
    channels: int | None = None  #: 1 or 3; by default 1 if all are grey, else 3
    progress: bool = False  #: a bar on stderr

    def __post_init__(self) -> None:
        good = [isinstance(side, int) and 1 <= side <= _LARGEST for side in self.size]
        if len(good) != 2 or not all(good):
            sides = " x ".join(map(str, self.size))
            allowed = f"two whole numbers from 1 to {_LARGEST:,}"
            raise ValueError(f"the size must be {allowed}, got {sides}")


def decoded_folder(folder: Path, names: list[str], form: Form) -> tuple[Path, dict[str, str]]:
    """The file of the pictures' pixels, and of those that cannot be read the reason.

    Raises:
        OSError: the data folder cannot be written.
    """
    digest = hashlib.sha256(f"{form.size} {form.channels} {REVISION}".encode())
    for name in names:
        path = folder / name
        status = path.stat() if path.exists() else path.lstat()  # of a link that leads nowhere
        readable = os.access(path, os.R_OK)
        entry = f"{name}\0{status.st_size} {status.st_mtime_ns} {readable}\n"
        digest.update(entry.encode(errors="surrogateescape"))
    place = form.root / "own" / f"{short_name(folder.resolve().name)}-{digest.hexdigest()[:16]}"
    if not is_prepared(place):
        with warnings.catch_warnings(action="ignore"):  # on damaged metadata, and on large pictures
            _decode(folder, names, form, place)
    verify_folder(place, trust_stamp=True)
    return place / "images.npy", json.loads((place / META).read_text(encoding="utf-8"))["broken"]


def short_name(text: str) -> str:
    """A name for records and folders.

    >>> short_name("My Photos (2024)"), short_name("Ελλάδα")
    ('my-photos-2024', 'own-data')
    """
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._") or "own-data"


def _decode(folder: Path, names: list[str], form: Form, place: Path) -> None:
    """Write images.npy, with zeros in place of broken files, and meta.json."""
    broken: dict[str, str] = {}

    def pixels(name: str) -> NDArray[np.uint8] | int:
        try:
            return read_picture(folder / name, form.size, depth)
        except PictureError as error:
            broken[name] = str(error)
            return 0

    room = len(names) * form.size[0] * form.size[1] * (form.channels or 3)
    with (
        filled_at_once(place, room=room) as scratch,
        tqdm(total=len(names), desc=f"reading {folder.name}", disable=not form.progress) as bar,
        ThreadPoolExecutor() as pool,
    ):
        depth = form.channels or (1 if all(is_grey(folder / name) for name in names) else 3)
        shape = (len(names), *form.size, depth)
        array = np.lib.format.open_memmap(scratch / "images.npy", "w+", np.uint8, shape)
        for start in range(0, len(names), _AT_ONCE):
            found = pool.map(pixels, names[start : start + _AT_ONCE])
            for row, image in enumerate(found, start):
                array[row] = image
                bar.update()
        del array  # written, and closed before it is moved
        more = {"broken": dict(sorted(broken.items()))}
        seal_folder(scratch, place.name, "a folder of pictures", more)
