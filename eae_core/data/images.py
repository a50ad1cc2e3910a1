"""Data sets by name, whole and on the device: `load_images("mnist").batch(index)`.

A set of images is small beside a modern memory, so it lives on the device as bytes, and a batch is
an index into it: no worker processes, no queue, and the same order on every machine.
"""

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from eae_core.data.catalogue import DATASETS, SPLITS, DatasetInfo, Split, dataset_info
from eae_core.data.prepared import (
    DataUnavailableError,
    open_split,
    seal_folder,
    verify_folder,
)
from eae_core.files import expanded


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images as bytes on a device, with what is needed to say where a result came from.

    Attributes:
        name: name of the data set.
        split: "train" or "test".
        images: N x channels x height x width, uint8 or floats in [0, 1]; or a table, floats of
            any range, N x features.
        labels: int64, N, or None.
        checksum: sha256 of the file the images came from; computed from the images and labels
            themselves where none is given.
        stand_in: for embedded sets what they stand in for, to be named in figures; else empty.
    """

    name: str
    split: str
    images: Tensor = field(repr=False)
    labels: Tensor | None = field(default=None, repr=False)
    checksum: str = ""
    stand_in: str = ""

    def __post_init__(self) -> None:
        kinds = {4: (torch.uint8, torch.float32), 2: (torch.float32,)}
        if self.images.dtype not in kinds.get(self.images.ndim, ()):
            raise ValueError(
                "images must be uint8 or float32 of the shape N x channels x height x width, or a "
                f"float32 table N x features, got {self.images.dtype} of the shape "
                f"{tuple(self.images.shape)}"
            )
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"{len(self.images)} images need as many labels, "
                f"got the shape {tuple(self.labels.shape)}"
            )
        if not self.checksum and self.images.device.type != "meta":
            object.__setattr__(self, "checksum", fingerprint(self.images, self.labels))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height and width; the number of features of a table."""
        return tuple(self.images.shape[1:])

    @property
    def device(self) -> torch.device:
        """Where the images are, and batches will be."""
        return self.images.device

    def batch(self, index: Tensor | slice | Sequence[int]) -> Tensor:
        """The images at `index` as float32 in [0, 1]: batch x channels x height x width.

        The rows of a table as they are.

        >>> images = load_images("digits", limit=100)
        >>> images.batch(slice(0, 8)).shape, images.batch(torch.tensor([5, 3])).dtype
        (torch.Size([8, 1, 32, 32]), torch.float32)
        """
        rows = self.images[index]
        return rows.to(torch.float32).div_(255) if rows.dtype == torch.uint8 else rows

    def subset(self, limit: int) -> "ImageSet":
        """The first `limit` images."""
        check_limit(limit, len(self), f"this set of {self.name}")
        images = self.images[:limit]
        labels = None if self.labels is None else self.labels[:limit]
        checksum = self.checksum
        if self.name not in DATASETS or dataset_info(self.name).embedded:
            checksum = fingerprint(images, labels)
        return dataclasses.replace(self, images=images, labels=labels, checksum=checksum)

    def rows_at(self, rows: slice) -> "ImageSet":
        """Some of the images, under the checksum of all."""
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(self, images=self.images[rows], labels=labels)

    @property
    def content(self) -> str:
        """A checksum of the images as they are, without labels."""
        return fingerprint(self.images, None)

    def to(self, device: str | torch.device) -> "ImageSet":
        """The same set on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        return dataclasses.replace(self, images=self.images.to(device), labels=labels)


def data_root() -> Path:
    """Where data sets lie: EAE_DATA if set; data/cache in a checkout; else ./data/cache.

    Raises:
        DataUnavailableError: EAE_DATA begins with the home of a user who has none.
    """
    if chosen := os.environ.get("EAE_DATA"):
        try:
            return Path(chosen).expanduser().absolute()
        except RuntimeError as error:
            raise DataUnavailableError(
                f"EAE_DATA is {chosen!r}, but there is no home: {error}"
            ) from error
    above = Path(__file__).resolve().parents[2]
    return (above if (above / "pyproject.toml").is_file() else Path.cwd()) / "data" / "cache"


def load_images(
    name: str,
    split: Split = "train",
    *,
    limit: int | None = None,
    device: str | torch.device = "cpu",
    root: str | Path | None = None,
    download: bool = True,
) -> ImageSet:
    """Load a data set, or its first images, onto a device.

    Embedded sets (digits, and what `register_dataset` added) always work. The others are read from
    prepared arrays in `root/<name>`, made on first use from torchvision's files in
    `root/torchvision` or from a download. MNIST-like images are padded with zeros to 32 x 32.

    Args:
        name: one of `DATASETS`.
        split: "train" or "test".
        limit: number of images to take, from the beginning; None for all.
        device: where the images are put.
        root: the data folder; by default `data_root()`.
        download: whether a missing set may be downloaded.

    Raises:
        ValueError: unknown name or split, or a limit below 1 or above the size of the set.
        DataUnavailableError: the set is neither on disk nor to be had; says what to put where.
        DataCorruptedError: a file is not what it should be; says which.

    >>> images = load_images("digits", "test", limit=50)
    >>> len(images), images.image_shape, images.stand_in
    (50, (1, 32, 32), 'scikit-learn digits in place of MNIST')
    """
    info = dataset_info(name)
    if split not in SPLITS:
        raise ValueError(f"no split {split!r} of {name}; there are {' and '.join(SPLITS)}")
    if info.embedded:
        stored, numbers, checksum = *_embedded(info, split, limit), ""
    else:
        folder = prepare(name, root=root, download=download)
        stored, numbers, checksum = open_split(info, split, folder)
    count = check_limit(limit, len(stored), f"{name} {split}")
    # A copy in memory: the arrays may be memory-mapped and read-only.
    images = torch.from_numpy(np.array(stored[:count].transpose(0, 3, 1, 2), order="C"))
    images = F.pad(images, (info.padding,) * 4)
    labels = None if numbers is None else torch.from_numpy(numbers[:count].copy())
    checksum = checksum or fingerprint(images, labels)
    return ImageSet(name, split, images, labels, checksum, info.stand_in).to(device)


def prepare(name: str, *, root: str | Path | None = None, download: bool = True) -> Path:
    """Make sure that the prepared arrays of a set are on disk; return their folder.

    For an embedded set there is nothing to do, and the folder need not exist.

    Raises:
        DataUnavailableError, DataCorruptedError, OSError: as `load_images`.
    """
    info, folder = dataset_info(name), _root(root) / name
    if not info.embedded:
        from eae_core.data.sources import prepare_folder  # only here is torchvision needed

        prepare_folder(info, _root(root), download=download)
    return folder


def verify(name: str, *, root: str | Path | None = None) -> dict[str, str]:
    """Compare every prepared array with its checksum again; return the sha256 of each.

    Raises:
        DataUnavailableError: the set is not there.
        DataCorruptedError: an array is missing or has changed.
    """
    return verify_folder(prepare(name, root=root, download=False), dataset_info(name))


def seal(name: str, *, root: str | Path | None = None, origin: str = "put there by hand") -> None:
    """Write meta.json for arrays that were put into `root/<name>` by hand."""
    seal_folder(_root(root) / dataset_info(name).name, name, origin)


def fingerprint(images: Tensor, labels: Tensor | None) -> str:
    """The sha256 of images and labels, with their shapes."""
    digest = hashlib.sha256()
    for array in (images,) if labels is None else (images, labels):
        digest.update(str(tuple(array.shape)).encode())
        digest.update(array.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _root(root: str | Path | None) -> Path:
    return data_root() if root is None else expanded(root)


def check_limit(limit: int | None, available: int, what: str) -> int:
    if limit is None:
        return available
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer):
        raise TypeError(f"limit must be a whole number, got {limit!r}")
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if limit > available:
        raise ValueError(f"{what} has {available} images, fewer than the limit of {limit}")
    return limit


def _embedded(
    info: DatasetInfo, split: Split, limit: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Images (N x height x width x channels) and labels of a set that needs no files."""
    count = check_limit(limit, info.count(split), f"{info.name} {split}")
    if info.name == "digits":
        images, labels = _digits()
        start = 0 if split == "train" else info.train
        return images[start : start + count], labels[start : start + count]
    if info.draw is None:
        raise ValueError(f"the embedded set {info.name} has no function that draws its images")
    return info.draw(split, count)  # only what is asked for


@cache
def _digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """scikit-learn's 1,797 digits, enlarged from 8 x 8 to 24 x 24 by bilinear interpolation.

    Enlarging by three puts each new pixel on an old one or a third of the way to the next, so the
    weights are whole thirds, and integers keep the result the same on every machine.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    thirds = np.zeros((24, 8), np.int64)
    for row in range(24):
        old, third = divmod(row, 3)
        neighbour = min(max(old + third - 1, 0), 7)
        thirds[row, old] += 2
        thirds[row, neighbour] += 1
    levels = thirds @ digits.images.astype(np.int64) @ thirds.T  # 0 ... 16 * 9
    images = (levels * 255 + 72) // 144
    return images.astype(np.uint8)[..., None], digits.target.astype(np.int64)
