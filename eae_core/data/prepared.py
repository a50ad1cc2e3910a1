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
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eae_core.data.catalogue import DatasetInfo, Split
from eae_core.files import check_writable, replacing

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
        DataCorruptedError: an array is missing, changed, of the wrong shape or type, or of another
            data set.
    """
    arrays = _read_meta(folder, info)
    wanted = [key for key in (f"{split}_images", f"{split}_labels") if key in arrays]
    if f"{split}_images" not in wanted:
        raise DataCorruptedError(f"{folder / META} lists no {split}_images; {_remedy(folder)}")
    _verify(folder, {key: arrays[key] for key in wanted}, trust_stamp=True)
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r")
    if images.dtype != np.uint8 or images.shape[1:] != info.stored_shape:
        raise DataCorruptedError(
            f"{folder / f'{split}_images.npy'} holds {images.dtype} of the shape {images.shape}; "
            f"{info.name} needs uint8 of the shape N x {' x '.join(map(str, info.stored_shape))}"
        )
    if f"{split}_labels" not in wanted:
        return images, None, arrays[f"{split}_images"]
    labels = np.load(folder / f"{split}_labels.npy")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataCorruptedError(
            f"{folder / f'{split}_labels.npy'} holds {labels.dtype} of the shape {labels.shape}; "
            f"needed is one integer for each of the {len(images)} images"
        )
    return images, labels.astype(np.int64), arrays[f"{split}_images"]


def verify_folder(
    folder: Path, info: DatasetInfo | None = None, *, trust_stamp: bool = False
) -> dict[str, str]:
    """Compare every array with its checksum, whatever was remembered; return the checksums."""
    arrays = _read_meta(folder, info)
    _verify(folder, arrays, trust_stamp=trust_stamp)
    return arrays


def remembered_sha256(path: Path, root: Path) -> str:
    """The sha256 of an own file, computed again only if its size or its time stamp has changed."""
    note, place, status = root / ".verified" / "own files.json", str(path.resolve()), path.stat()
    stamp, stamps = [status.st_size, status.st_mtime_ns], _read_stamps(note)
    known = stamps.get(place)
    if isinstance(known, list) and known[:2] == stamp:
        return str(known[2])
    found = file_sha256(path)
    with contextlib.suppress(OSError):
        _write_json(note, stamps | {place: [*stamp, found]})
    return found


def seal_folder(
    folder: Path,
    name: str,
    origin: str,
    *,
    needed: Sequence[str] = ("train_images", "test_images"),
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write meta.json for the arrays in a folder: from then on they are a prepared set."""
    arrays = {}
    for path in sorted(folder.glob("*.npy")):
        array = np.load(path, mmap_mode="r")
        arrays[path.stem] = {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "sha256": file_sha256(path),
        }
    missing = set(needed) - arrays.keys()
    if missing:
        raise DataUnavailableError(f"{folder} lacks {', '.join(sorted(missing))} (.npy files)")
    _write_json(folder / META, {"name": name, "origin": origin, "arrays": arrays, **(more or {})})


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
    scratch = parent / f".{label}.{secrets.token_hex(4)}.part"
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_meta(folder: Path, info: DatasetInfo | None = None) -> dict[str, str]:
    """The sha256 of each array, by its name; those of another set than this one are refused."""
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        arrays = {key: entry["sha256"] for key, entry in meta["arrays"].items()}
        whole = {key: entry["shape"][0] for key, entry in meta["arrays"].items() if info}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataCorruptedError(
            f"{folder / META} is not the description of a prepared set ({error!r}); "
            + _remedy(folder)
        ) from error
    if info is None:
        return arrays
    if meta.get("name", info.name) != info.name:
        raise DataCorruptedError(f"{folder} holds the set {meta['name']!r}, not {info.name!r}")
    for split, expected in info.content.items():
        key = f"{split}_images"
        if whole.get(key) == info.count(split) and arrays[key] != expected:
            raise DataCorruptedError(
                f"{folder} holds other images than those of {info.title}: the sha256 of {key}.npy "
                f"is {arrays[key]}, that of {info.title} {expected}; {_remedy(folder)}"
            )
    return arrays


def _verify(folder: Path, arrays: dict[str, str], *, trust_stamp: bool) -> None:
    note = folder.parent / ".verified" / f"{folder.name}.json"
    stamps = _read_stamps(note)
    fresh = {}
    for key, expected in arrays.items():
        path = folder / f"{key}.npy"
        if not path.is_file():
            raise DataCorruptedError(f"{path} is missing; {_remedy(folder)}")
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, expected]
        if trust_stamp and stamps.get(key) == stamp:
            continue
        found = file_sha256(path)
        if found != expected:
            raise DataCorruptedError(
                f"{path} has changed since it was prepared: its sha256 is {found}, "
                f"{META} says {expected}; {_remedy(folder)}"
            )
        fresh[key] = stamp
    if fresh:
        # In a folder that cannot be written the arrays are compared again next time.
        with contextlib.suppress(OSError):
            _write_json(note, stamps | fresh)


def _read_stamps(note: Path) -> dict[str, Any]:
    try:
        stamps = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _remedy(folder: Path) -> str:
    return f"remove the folder {folder} and prepare the set again"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
