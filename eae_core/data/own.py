"""Own files as a data set: a folder of pictures, or an array of images or of features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from eae_core.data.catalogue import DATASETS, dataset_info
from eae_core.data.images import Images, ImageSet, MappedSet, as_values, check_limit
from eae_core.data.named import data_root, load_images
from eae_core.data.pictures import SUFFIXES, Form, decoded_folder, find_pictures, short_name
from eae_core.data.prepared import remembered_sha256
from eae_core.files import expanded, read_as_numpy

RESIDENT_MOST = 4 * 2**30  # bytes of a set that is loaded whole
TEST_NAMES = ("test", "val", "valid", "validation")  # of folders beside one named train
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_NAMED = 3  # broken files, or arrays of a file, whose names are said


@dataclass(frozen=True)
class NamedData:
    """A set of the catalogue."""

    name: str
    root: Path | None = None
    notes: list[str] = field(default_factory=list)

    def images(self, split: str = "train", limit: int | None = None) -> ImageSet:
        """See :func:`~eae_core.data.load_images`."""
        return load_images(self.name, split, limit=limit, root=self.root)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class OwnData:
    """An array of images or features, and which of its rows are for training and for testing."""

    name: str
    array: NDArray[Any] = field(repr=False)  #: often memory-mapped
    rows: dict[str, NDArray[np.int64]] = field(repr=False)  #: by split: train, test, all
    path: Path  #: of the array's file
    notes: list[str]  #: what was found and left out, a sentence each
    files: list[str] = field(default_factory=list, repr=False)  #: of the rows of "all", if any

    def images(self, split: str = "train", limit: int | None = None) -> Images:
        """A split in a random order that never changes, or its first images; "all" in file order.

        What is larger than `RESIDENT_MOST` stays in its file.

        Raises:
            ValueError: another split, fewer images than the limit, or numbers that are no images.
        """
        if split not in self.rows:
            raise ValueError(f"no split {split!r} of {self.name}; there are {', '.join(self.rows)}")
        rows = self.rows[split]
        rows = rows[: check_limit(limit, len(rows), f"{self.name} {split}")]
        width = 1 if self.array.dtype == np.uint8 and self.array.ndim > 2 else 4
        if len(rows) * self.array[0].size * width > RESIDENT_MOST:
            note = data_root() / ".verified" / "own files.json"
            checksum = remembered_sha256(self.path, note, str(self.path.resolve()))
            return MappedSet(self.name, split, self.array, rows, checksum)
        return ImageSet(self.name, split, as_values(self.array[rows]).contiguous())


#: what :func:`open_data` gives
Data: TypeAlias = NamedData | OwnData


def open_data(
    where: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    test_fraction: float = 0.1,
    channels: int | None = None,
    root: Path | None = None,
    progress: bool = False,
) -> Data:
    """Data by the name of a set, the path of a folder of pictures, or that of an array.

    Args:
        where: the name or path; a name comes first, so that a folder of this name is ``./name``.
        size: height and width of the pictures of a folder, or one number for both.
        test_fraction: of own data, the share that no training sees. Which images it is follows from
            their number alone. A folder that has folders ``train`` and ``test`` (or ``val``) keeps
            that split.
        channels: 1 or 3 of the images of a folder; by default 1 if all are grey, else 3.
        root: the data folder; by default :func:`~eae_core.data.data_root`.
        progress: a bar on stderr while pictures are decoded.

    Raises:
        ValueError: no such set or path, or a size that is missing or of no use.
        OSError: a file that cannot be read, or a data folder that cannot be written.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"the test fraction must lie between 0 and 1, got {test_fraction}")
    path = expanded(where)
    if str(where) in DATASETS or not path.exists():
        try:
            name = dataset_info(str(where)).name
        except ValueError as error:
            raise ValueError(f"{error}; and there is no file or folder of this name") from None
        if size is not None:
            raise ValueError(f"{name} has a size of its own: leave the size out")
        return NamedData(name, root)
    if path.is_dir():
        if size is None:
            raise ValueError(f"the pictures of {where} need one size: say which, such as 64")
        sides = (size, size) if isinstance(size, int) else size
        form = Form(sides, data_root(root), channels, progress)
        return _of_folder(path, form, test_fraction)
    if path.suffix.lower() in (*PACKED, *SUFFIXES):
        raise ValueError(
            f"{where} is neither a folder nor an array: unpack what is packed, and name the folder"
        )
    if size is not None:
        raise ValueError(f"the images of {where} have a size: leave it out")
    return _of_array(path, test_fraction)


def load_folder(
    folder: str | Path, size: int | tuple[int, int], split: str = "train", **options: Any
) -> Images:
    """The pictures of a folder and of those below it (PNG, JPEG, WebP, BMP, TIFF), as one split.

    They are turned upright, cut about their centres and resized; grey if all are grey. Files that
    cannot be read are left out with a warning that counts and names them. The splits are "train",
    "test" and "all"; the options, ``test_fraction``, ``root`` and ``progress``, and the errors are
    those of :func:`open_data`.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> for level in range(20):
    ...     Image.new("L", (30, 20), 10 * level).save(folder / f"{level}.png")
    >>> images = load_folder(folder, 16, root=folder / "cache")
    >>> len(images), images.image_shape
    (18, (1, 16, 16))
    """
    data = open_data(Path(folder), size=size, **options)
    for note in data.notes:
        if note.startswith("left out"):
            warnings.warn(note, stacklevel=2)
    return data.images(split)


def load_array(path: str | Path, split: str = "train", **options: Any) -> Images:
    """Images or a table from a file of NumPy's, as one split; larger than the memory, if .npy.

    An .npz file holds one array, or one called ``images``. Images are (n, h, w) or (n, h, w, c) of
    whole numbers of 8 or 16 bits or of floats in [0, 1]; tables are (n, features). The splits and
    errors are those of :func:`load_folder`, the option is ``test_fraction``.
    """
    return open_data(Path(path), **options).images(split)


def _of_folder(folder: Path, form: Form, test_fraction: float) -> OwnData:
    names, others = find_pictures(folder)
    if not names:
        kinds = ", ".join(SUFFIXES)
        raise ValueError(f"{folder} holds no pictures ({kinds}), but {others.total()} other files")
    path, broken = decoded_folder(folder, names, form)
    good = np.array([row for row, name in enumerate(names) if name not in broken], np.int64)
    if not len(good):
        raise ValueError(f"none of the {len(names)} pictures of {folder} can be read: {broken}")
    files, label = [names[row] for row in good], short_name(folder.resolve().name)
    parts = [name.split("/")[0].lower() for name in files]
    given = "train" in parts and not {*parts}.isdisjoint(TEST_NAMES)
    if not given and len(good) < 2:
        raise ValueError(f"{label} has one picture that can be read: a split needs two")
    array = np.load(path, mmap_mode="r")
    rows = _split(good, test_fraction, parts if given else None)
    notes = [_counts(array, rows, given=given)]
    if broken:
        shown = [f"{name}: {why}" for name, why in list(broken.items())[:_NAMED]]
        shown += [f"and {len(broken) - _NAMED} more"] if len(broken) > _NAMED else []
        count = f"{len(broken)} of {len(names)} pictures ({'; '.join(shown)})"
        notes.append(f"left out, for they cannot be read: {count}")
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(_NAMED))
        notes.append(f"passed over: {others.total()} of other kinds ({kinds})")
    if unused := len(good) - len(rows["train"]) - len(rows["test"]):
        notes.append(f"left out, for they lie beside the folders train and test: {unused} pictures")
    return OwnData(label, array, rows, path, notes, files)


def _of_array(path: Path, test_fraction: float) -> OwnData:
    array = _read_array(path)
    if array.ndim not in (2, 3, 4) or len(array) < 2:
        forms = "images n x h x w or n x h x w x channels, or a table n x features, n at least 2"
        raise ValueError(f"{path} must hold {forms}, and has the shape {array.shape}")
    rows = _split(np.arange(len(array)), test_fraction)
    notes = [_counts(array, rows, given=False)]
    return OwnData(short_name(path.stem), array, rows, path, notes)


def _read_array(path: Path) -> NDArray[Any]:
    """The one array of an .npy file, memory-mapped, or of an .npz file."""
    with read_as_numpy(path):
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    with found:
        names = found.files
        if "images" not in names and len(names) != 1:
            some = ", ".join(names[:_NAMED]) + (", ..." if names[_NAMED:] else "")
            raise ValueError(f"{path} holds {some or 'no array'}: keep one, or call one images")
        with read_as_numpy(path):
            array: NDArray[Any] = found["images" if "images" in names else names[0]]
        return array


def _split(
    good: NDArray[Any], test_fraction: float, parts: Sequence[str] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Rows by split: those in folders of its name, else a share drawn by the number of rows."""
    order = torch.randperm(len(good), generator=torch.Generator().manual_seed(0)).numpy()
    count = min(max(round(test_fraction * len(good)), 1), len(good) - 1)
    train, test = order[count:], order[:count]
    if parts is not None:
        train = np.array([row for row in order if parts[row] == "train"])
        test = np.array([row for row in order if parts[row] in TEST_NAMES])
    return {"train": good[train], "test": good[test], "all": good}


def _counts(array: NDArray[Any], rows: dict[str, NDArray[np.int64]], *, given: bool) -> str:
    shape = " x ".join(map(str, as_values(array[:1], check=False).shape[1:]))
    how = "by its folders" if given else "drawn by their number, the same each time"
    sizes = [f"{len(rows[split]):,} for {split}" for split in ("train", "test")]
    return f"{' and '.join(sizes)} of {shape}, split {how}"
