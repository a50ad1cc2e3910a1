"""A folder of pictures as one array of pixels, decoded once and kept in the data folder.

    <root>/own/<folder>-<key>/images.npy   uint8, N x height x width x channels
    <root>/own/<folder>-<key>/meta.json    its checksum, and which files cannot be read

The key follows from the files' names, sizes and time stamps, and from the size of the images.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from eae_core.data import pictures, prepared

_NAMED = 3  # broken files whose names are said
_LARGEST = 8192  # pixels of a side
_AT_ONCE = 256  # pictures in memory while a folder is decoded


@dataclass(frozen=True, eq=False)
class DecodedFolder:
    """The pixels of a folder's pictures, and what became of its other files."""

    label: str  #: a short name
    array: NDArray[np.uint8]  #: (n, height, width, channels), memory-mapped
    rows: NDArray[np.int64]  #: of the array, those that are pictures
    names: list[str]  #: their files
    broken: dict[str, str]  #: pictures that cannot be read, and why
    others: Counter[str]  #: other files, by suffix
    path: Path  #: of the array

    def notes(self) -> list[str]:
        """What was left out, a sentence each."""
        notes = []
        if self.broken:
            shown = "; ".join(f"{name}: {why}" for name, why in list(self.broken.items())[:_NAMED])
            more = f"; and {len(self.broken) - _NAMED} more" if len(self.broken) > _NAMED else ""
            count = f"{len(self.broken)} of {len(self.names) + len(self.broken)} pictures"
            notes.append(f"left out, for they cannot be read: {count} ({shown}{more})")
        if self.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.others.most_common(_NAMED))
            notes.append(f"passed over: {self.others.total()} of other kinds ({kinds})")
        return notes


def decoded_folder(
    folder: Path,
    size: tuple[int, int],
    root: Path,
    *,
    channels: int | None = None,
    progress: bool = False,
) -> DecodedFolder:
    """The pictures of a folder, from ``root / "own"`` if they were decoded before.

    Raises:
        ValueError: no pictures, or none that can be read.
        OSError: the data folder cannot be written.
    """
    sides = " x ".join(map(str, size))
    if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= _LARGEST for side in size):
        raise ValueError(f"the size must be two whole numbers from 1 to {_LARGEST:,}, got {sides}")
    names, others = pictures.find_pictures(folder)
    if not names:
        raise ValueError(
            f"{folder} holds no pictures ({', '.join(pictures.SUFFIXES)}); it has {others.total()} "
            "files of other kinds"
        )
    label = short_name(folder.resolve().name)
    place = root / "own" / f"{label}-{_key(folder, names, size, channels)[:16]}"
    if not prepared.is_prepared(place):
        _decode(folder, names, size, channels, place, progress=progress)
    prepared.verify_folder(place, trust_stamp=True)
    broken = json.loads((place / prepared.META).read_text(encoding="utf-8"))["broken"]
    rows = np.array([row for row, name in enumerate(names) if name not in broken], np.int64)
    if not len(rows):
        raise ValueError(f"none of the {len(names)} pictures of {folder} can be read: {broken}")
    path = place / "images.npy"
    array = np.load(path, mmap_mode="r")
    return DecodedFolder(label, array, rows, [names[row] for row in rows], broken, others, path)


def short_name(text: str) -> str:
    """A name for records and folders.

    >>> short_name("My Photos (2024)"), short_name("Ελλάδα")
    ('my-photos-2024', 'own-data')
    """
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._") or "own-data"


def _key(folder: Path, names: list[str], size: tuple[int, int], channels: int | None) -> str:
    digest = hashlib.sha256(f"{size} {channels} {pictures.REVISION}".encode())
    for name in names:
        path = folder / name
        status = path.stat() if path.exists() else path.lstat()  # of a link that leads nowhere
        readable = os.access(path, os.R_OK)
        entry = f"{name}\0{status.st_size} {status.st_mtime_ns} {readable}\n"
        digest.update(entry.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _decode(
    folder: Path,
    names: list[str],
    size: tuple[int, int],
    channels: int | None,
    place: Path,
    *,
    progress: bool,
) -> None:
    """Write images.npy, with zeros in place of broken files, and meta.json."""
    broken: dict[str, str] = {}
    room = len(names) * size[0] * size[1] * (channels or 3)

    def pixels(name: str) -> NDArray[np.uint8] | None:
        try:
            return pictures.read_picture(folder / name, size, depth)
        except pictures.PictureError as error:
            broken[name] = str(error)
            return None

    with (
        pictures.no_warnings(),
        prepared.filled_at_once(place, room=room) as scratch,
        tqdm(total=len(names), desc=f"reading {folder.name}", disable=not progress) as bar,
        ThreadPoolExecutor() as pool,
    ):
        grey = channels is None and all(pictures.is_grey(folder / name) for name in names)
        depth = channels or (1 if grey else 3)
        shape = (len(names), *size, depth)
        array = np.lib.format.open_memmap(scratch / "images.npy", "w+", np.uint8, shape)
        for start in range(0, len(names), _AT_ONCE):
            found = pool.map(pixels, names[start : start + _AT_ONCE])
            for row, image in enumerate(found, start):
                if image is not None:
                    array[row] = image
                bar.update()
        del array  # written, and closed before it is moved
        more = {"broken": dict(sorted(broken.items()))}
        prepared.seal_folder(
            scratch, place.name, "a folder of pictures", needed=["images"], more=more
        )
