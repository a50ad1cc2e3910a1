"""Prepared arrays: the form in which data sets lie on disk, ready to be memory-mapped.

    <root>/<name>/{train,test}_images.npy     uint8, N x height x width x channels
    <root>/<name>/{train,test}_labels.npy     integers, N; absent where there are no labels
    <root>/<name>/meta.json                   name, origin; shape, dtype and sha256 of each array

meta.json is written last, so its presence says that the set is complete. The checksum of an array
is compared once; <root>/.verified/<name>.json remembers size and time stamp of what was compared.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eae_core.data.catalogue import DatasetInfo, Split
from eae_core.files import check_writable, write_json

META = "meta.json"


class DataUnavailableError(FileNotFoundError):
    """A data set is neither on disk nor to be had over the network."""


class DataCorruptedError(ValueError):
    """A file of a data set is not what it should be."""


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a complete prepared set."""
    return (folder / META).is_file()


def open_split(
    info: DatasetInfo, split: Split, folder: Path
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None, str]:
    """Images (memory-mapped, read-only), labels and the sha256 of the images' file.

    Raises:
        DataCorruptedError: as :func:`verify_folder`, or an array has the wrong shape or type.
    """
    of_images, of_labels = f"{split}_images", f"{split}_labels"
    arrays = verify_folder(folder, info, only=(of_images, of_labels), trust_stamp=True)
    if of_images not in arrays:
        raise DataCorruptedError(f"{folder / META} lists no {of_images}: {_remedy(folder)}")
    images = np.load(folder / f"{of_images}.npy", mmap_mode="r")
    if images.dtype != np.uint8 or images.shape[1:] != info.stored_shape:
        needed = f"uint8 of the shape N x {' x '.join(map(str, info.stored_shape))}"
        raise DataCorruptedError(
            f"{of_images} in {folder} is {images.dtype} {images.shape}; {info.name} needs {needed}"
        )
    if of_labels not in arrays:
        return images, None, arrays[of_images]
    labels = np.load(folder / f"{of_labels}.npy")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        needed = f"one integer for each of the {len(images)} images"
        raise DataCorruptedError(
            f"{of_labels} in {folder} is {labels.dtype} {labels.shape}; needed is {needed}"
        )
    return images, labels.astype(np.int64), arrays[of_images]


def verify_folder(
    folder: Path,
    info: DatasetInfo | None = None,
    *,
    only: Container[str] | None = None,
    trust_stamp: bool = False,
) -> dict[str, str]:
    """Compare arrays, `only` some or all, with their checksums; return the checksums of all.

    `trust_stamp` passes over files whose size and time stamp are those of the last comparison.

    Raises:
        DataCorruptedError: an array is missing or has changed, or the set is not that of `info`.
    """
    arrays = _read_meta(folder, info)
    note = folder.parent / ".verified" / f"{folder.name}.json"
    for key in arrays if only is None else [key for key in arrays if key in only]:
        path = folder / f"{key}.npy"
        if not path.is_file():
            raise DataCorruptedError(f"{path} is missing: {_remedy(folder)}")
        found = remembered_sha256(path, note, key, trust_stamp=trust_stamp)
        if found != arrays[key]:
            raise DataCorruptedError(
                f"{path} has changed since it was prepared: its sha256 is {found}, {META} says "
                f"{arrays[key]}; {_remedy(folder)}"
            )
    return arrays


def remembered_sha256(path: Path, note: Path, key: str, *, trust_stamp: bool = True) -> str:
    """The sha256 of a file, computed again only if its size or its time stamp has changed."""
    try:
        stamps = dict(json.loads(note.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # there is none, or it is damaged
        stamps = {}
    status = path.stat()
    stamp, known = [status.st_size, status.st_mtime_ns], stamps.get(key)
    if trust_stamp and isinstance(known, list) and known[:-1] == stamp:
        return str(known[-1])
    found = file_sha256(path)
    with contextlib.suppress(OSError):  # a folder that cannot be written: computed again next time
        write_json(stamps | {key: [*stamp, found]}, note)
    return found


def seal_folder(
    folder: Path, name: str, origin: str, more: Mapping[str, Any] | None = None
) -> None:
    """Write meta.json for the arrays in a folder: from then on they are a prepared set."""
    arrays = {}
    for path in sorted(folder.glob("*.npy")):
        array, checksum = np.load(path, mmap_mode="r"), file_sha256(path)
        form = {"shape": list(array.shape), "dtype": str(array.dtype)}
        arrays[path.stem] = {**form, "sha256": checksum}
    content = {"name": name, "origin": origin, "arrays": arrays, **(more or {})}
    write_json(content, folder / META)


@contextlib.contextmanager
def filled_at_once(folder: Path, *, room: int = 0) -> Iterator[Path]:
    """A temporary folder whose files move to `folder` once the block has succeeded, meta.json last.

    Files that lie in `folder` already and have other names stay as they are.
    """
    with scratch_folder(folder.parent, folder.name, room=room) as scratch:
        yield scratch
        if is_prepared(folder):  # another process was faster; both made the same
            return
        folder.mkdir(exist_ok=True)
        for path in sorted(scratch.iterdir(), key=lambda path: path.name == META):
            os.replace(path, folder / path.name)


@contextlib.contextmanager
def scratch_folder(parent: Path, label: str, *, room: int = 0) -> Iterator[Path]:
    """A new folder below `parent` that goes when the block ends.

    Raises:
        OSError: `parent` cannot be written, or has not so many bytes of room.
    """
    check_writable(parent, room=room)
    with TemporaryDirectory(".part", f".{label}.", parent, ignore_cleanup_errors=True) as scratch:
        yield Path(scratch)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_meta(folder: Path, info: DatasetInfo | None) -> dict[str, str]:
    """The sha256 of each array, by its name; those of another set than this one are refused."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        arrays = {key: entry["sha256"] for key, entry in meta["arrays"].items()}
        counts = {key: entry["shape"][0] for key, entry in meta["arrays"].items() if info}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataCorruptedError(
            f"{folder / META} is no description of a prepared set ({error!r}): {_remedy(folder)}"
        ) from error
    if info is None:
        return arrays
    if meta.get("name", info.name) != info.name:
        raise DataCorruptedError(f"{folder} holds the set {meta['name']!r}, not {info.name!r}")
    for split, expected in info.content.items():
        key = f"{split}_images"
        if counts.get(key) == info.count(split) and arrays[key] != expected:
            raise DataCorruptedError(
                f"{folder} holds other images than those of {info.title}: the sha256 of {key}.npy "
                f"is {arrays[key]} instead of {expected}; {_remedy(folder)}"
            )
    return arrays


def _remedy(folder: Path) -> str:
    return f"remove the folder {folder} and prepare the set again"
