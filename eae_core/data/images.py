"""Images, or the rows of a table, of which any batch can be had: `images.batch(index)`.

A set that fits the memory lives on the device as bytes (:class:`ImageSet`), a larger one stays in
its file (:class:`MappedSet`). A batch is an index into it: no worker processes, no queue, and the
same order on every machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eae_core.data.catalogue import DATASETS, dataset_info
from eae_core.errors import check_integer

CHANNELS_MOST = 4  # of an array, whose channels stand last
CPU = torch.device("cpu")


def as_values(data: Tensor | NDArray[Any], *, check: bool = True) -> Tensor:
    """Images (n, c, h, w) as uint8, or as float32 in [0, 1]; a table (n, features) as float32.

    Tensors are (n, c, h, w), (n, h, w) or (n, features), arrays (n, h, w, c), (n, h, w) or (n,
    features). Images are whole numbers of 8 or, in an array, 16 bits, truth values, or floats in
    [0, 1]; `check` looks at every number, else shape and type count alone.

    Raises:
        TypeError: numbers of another kind.
        ValueError: another shape, no data, NaN or infinity, images outside [0, 1].
    """
    x = _from_array(data) if isinstance(data, np.ndarray) else data.detach()
    if x.layout != torch.strided or x.is_meta:
        raise TypeError(f"data must be a dense tensor of numbers, got {x.layout} on {x.device}")
    if x.ndim not in (2, 3, 4) or not x.numel():
        forms = "images n x c x h x w (in an array n x h x w x c) or n x h x w, or a table n x d"
        raise ValueError(f"data must be {forms}; got {tuple(x.shape)}")
    if x.is_complex():
        raise TypeError(f"data must be real numbers, got {x.dtype}")
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim == 2 or x.is_floating_point():
        x = x.to(torch.float32)
    elif x.dtype == torch.bool:
        x = x.to(torch.uint8) * 255
    elif x.dtype != torch.uint8:
        raise TypeError(f"images must be uint8 (0 to 255) or floats in [0, 1], got {x.dtype}")
    if check and x.dtype != torch.uint8:
        _check_range(x)
    return x


def as_batch(data: Tensor | NDArray[Any], *, check: bool = False) -> Tensor:
    """The same as float32 in all cases, images in [0, 1]: what a model takes."""
    x = as_values(data, check=check)
    return x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x


def _from_array(data: NDArray[Any]) -> Tensor:
    if data.dtype.kind not in "buif":
        raise TypeError(f"data must be numbers, got an array of {data.dtype}")
    if data.ndim == 4 and data.shape[3] > CHANNELS_MOST:
        raise ValueError(
            f"an array of images is n x h x w x channels, of which 1 to {CHANNELS_MOST}, got "
            f"{data.shape}; give channels first as a tensor, or use numpy.moveaxis(array, 1, -1)"
        )
    if data.dtype.itemsize > 8:  # long doubles, which torch does not know
        data = data.astype(np.float64)
    if data.ndim > 2 and data.dtype == np.uint16:
        data = data / np.float32(65535)
    # What torch.from_numpy wants: this machine's byte order, dense, writable.
    x = torch.from_numpy(np.require(data, data.dtype.newbyteorder("="), ["C", "W"]))
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _check_range(x: Tensor) -> None:
    if bad := int((~x.flatten(1).isfinite()).any(1).sum()):
        raise ValueError(f"{bad} of {len(x)} rows hold NaN, infinity or more than float32 can")
    if x.ndim == 4:
        low, high = map(float, x.aminmax())
        if low < 0 or high > 1:
            raise ValueError(
                f"images of floats must lie in [0, 1], but these reach from {low:g} to {high:g}: "
                "rescale them, for instance (x - low) / (high - low), or give them as uint8"
            )


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images as bytes on a device, with what is needed to say where a result came from.

    >>> images = ImageSet("mine", "train", torch.arange(64).to(torch.uint8).view(4, 1, 4, 4))
    >>> len(images), images.image_shape, images.batch(slice(0, 3)).dtype
    (4, (1, 4, 4), torch.float32)
    """

    name: str
    split: str
    images: Tensor = field(repr=False)  #: (n, c, h, w) of uint8 or in [0, 1], or (n, features)
    labels: Tensor | None = field(default=None, repr=False)  #: int64, (n,)
    checksum: str = ""  #: sha256 of the images' file; by default of images and labels themselves
    stand_in: str = ""  #: what an embedded set stands in for, to be named in figures

    def __post_init__(self) -> None:
        kinds = {4: (torch.uint8, torch.float32), 2: (torch.float32,)}
        if (kind := self.images.dtype) not in kinds.get(self.images.ndim, ()):
            forms = "uint8 or float32 of the shape n x c x h x w, or a float32 table n x features"
            raise ValueError(f"images must be {forms}, got {kind} of {tuple(self.images.shape)}")
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"{len(self)} images need as many labels, got {self.labels.shape}")
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

    @property
    def content(self) -> str:
        """A checksum of the images as they are, without labels."""
        return fingerprint(self.images, None)

    def batch(self, index: Tensor | slice | Sequence[int]) -> Tensor:
        """The images at `index` (b,) as float32 in [0, 1], (b, c, h, w); of a table its rows."""
        rows = self.images[index]
        return rows.to(torch.float32).div_(255) if rows.dtype == torch.uint8 else rows

    def subset(self, limit: int) -> ImageSet:
        """The first `limit` images."""
        check_limit(limit, len(self), f"this set of {self.name}")
        first = self.rows_at(slice(0, limit))
        if self.name in DATASETS and not dataset_info(self.name).embedded:
            return first
        return dataclasses.replace(first, checksum="")  # its own

    def rows_at(self, rows: slice) -> ImageSet:
        """Some of the images, under the checksum of all."""
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(self, images=self.images[rows], labels=labels)

    def to(self, device: str | torch.device) -> ImageSet:
        """The same set on another device."""
        labels = None if self.labels is None else self.labels.to(device)
        return dataclasses.replace(self, images=self.images.to(device), labels=labels)


@dataclass(frozen=True, eq=False)
class MappedSet:
    """A set larger than the memory: rows of a file, read when a batch asks for them.

    >>> array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    >>> images = MappedSet("mine", "train", array, np.array([1, 0]), "12ab")
    >>> len(images), images.image_shape, images.batch(slice(0, 1)).flatten()[0] * 255
    (2, (1, 3, 3), tensor(9.))
    """

    name: str
    split: str
    array: NDArray[Any] = field(repr=False)  #: as ``numpy.load(path, mmap_mode="r")`` gives it
    rows: NDArray[np.int64] = field(repr=False)  #: of the array, those of the set, in their order
    checksum: str  #: of the whole array
    device: torch.device = CPU  #: where batches are given
    labels: Tensor | None = None
    stand_in: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height and width; the number of features of a table."""
        return tuple(as_batch(self.array[:1]).shape[1:])

    @property
    def content(self) -> str:
        """A checksum of the images, without labels."""
        return hashlib.sha256(self.checksum.encode() + self.rows.tobytes()).hexdigest()

    def batch(self, index: Tensor | slice | Sequence[int]) -> Tensor:
        """The images at `index` (b,) as float32 in [0, 1], (b, c, h, w); of a table its rows.

        Raises:
            ValueError: NaN or infinity, or images outside [0, 1].
        """
        rows = self.rows[index.cpu().numpy() if isinstance(index, Tensor) else index]
        return as_batch(self.array[rows], check=True).to(self.device)

    def subset(self, limit: int) -> MappedSet:
        """The first `limit` images."""
        check_limit(limit, len(self), f"this set of {self.name}")
        return self.rows_at(slice(0, limit))

    def rows_at(self, rows: slice) -> MappedSet:
        """Some of the images, under the checksum of all."""
        return dataclasses.replace(self, rows=self.rows[rows])

    def to(self, device: str | torch.device) -> MappedSet:
        """The same set, giving batches on another device."""
        return dataclasses.replace(self, device=torch.device(device))


#: a set of which any rows can be had, and parts of it
Images: TypeAlias = ImageSet | MappedSet


def fingerprint(images: Tensor, labels: Tensor | None) -> str:
    """The sha256 of images and labels, with their shapes."""
    digest = hashlib.sha256()
    for array in (images,) if labels is None else (images, labels):
        digest.update(str(tuple(array.shape)).encode())
        digest.update(array.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def check_limit(limit: int | None, available: int, what: str) -> int:
    """How many of the images a limit leaves; None leaves all."""
    if limit is None:
        return available
    if check_integer("limit", limit) > available:
        raise ValueError(f"{what} has {available} images, fewer than the limit of {limit}")
    return limit
