"""Folders that travel: split into parts small enough to be carried, and images without loss."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MIB = 2**20
SHRUNK = ".webp.npz"  # of an array of images in a folder that travels


def pack(files: Iterable[tuple[Path, str]], folder: Path, *, part_mib: float = 15) -> list[Path]:
    """Write files, each under the name that goes with it, as parts of one archive.

    Parts of an earlier archive in the folder are replaced. The names say how many there are, so
    that parts which came in several journeys are known to be complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("part-*"):
        old.unlink()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as archive:
        for path, name in files:
            archive.add(path, name, recursive=False)
    size = int(part_mib * MIB)
    content = stream.getbuffer()
    count = max(1, -(-len(content) // size))
    parts = [folder / f"part-{number}-of-{count}" for number in range(1, count + 1)]
    for number, part in enumerate(parts):
        part.write_bytes(content[number * size : (number + 1) * size])
    return parts


def unpack(folder: Path, into: Path) -> None:
    """Put the files of an archive's parts below a folder; what is there already stays.

    Raises:
        FileNotFoundError: no parts, or not all of them (their numbers are named).
    """
    found = sorted(folder.glob("part-*-of-*"), key=lambda path: int(path.name.split("-")[1]))
    if not found:
        raise FileNotFoundError(f"{folder} holds no parts of an archive (part-1-of-...)")
    count = int(found[0].name.rpartition("-")[2])
    numbers = {int(path.name.split("-")[1]) for path in found}
    if missing := sorted(set(range(1, count + 1)) - numbers):
        raise FileNotFoundError(
            f"{folder} lacks {len(missing)} of the {count} parts of an archive: "
            f"{', '.join(map(str, missing))}"
        )
    content = io.BytesIO(b"".join(path.read_bytes() for path in found))
    with tarfile.open(fileobj=content, mode="r:gz") as archive:
        for member in archive.getmembers():
            if not (into / member.name).exists():
                archive.extract(member, into, filter="data")


def shrink(folder: Path, into: Path) -> None:
    """A prepared data set with its images in lossless WebP, less than six tenths of the bytes."""
    into.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if not path.name.endswith("_images.npy"):
            shutil.copyfile(path, into / path.name)
            continue
        images = np.load(path, mmap_mode="r")
        coded = [_encoded(np.asarray(image)) for image in images]
        np.savez(
            into / f"{path.stem}{SHRUNK}",
            content=np.frombuffer(b"".join(coded), np.uint8),
            sizes=np.array([len(code) for code in coded], np.int32),
            shape=np.array(images.shape),
        )


def grow(folder: Path) -> None:
    """Make the arrays of a data set that :func:`shrink` wrote, beside what they came from."""
    for path in folder.glob(f"*_images{SHRUNK}"):
        target = folder / f"{path.name.removesuffix(SHRUNK)}.npy"
        if target.exists():
            continue
        stored = np.load(path)
        ends = stored["sizes"].cumsum()
        content, shape = stored["content"].tobytes(), tuple(stored["shape"])
        images = np.empty(shape, np.uint8)
        for image, end, size in zip(images, ends, stored["sizes"], strict=True):
            image[...] = _decoded(content[end - size : end], shape[-1])
        np.save(target, images)


def _encoded(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    grey = image.shape[-1] == 1
    Image.fromarray(image[..., 0] if grey else image).save(stream, "WEBP", lossless=True)
    return stream.getvalue()


def _decoded(code: bytes, channels: int) -> NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(code)).convert("RGB")
    return np.asarray(picture)[..., :channels]
