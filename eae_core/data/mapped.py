"""A set larger than the memory: rows of a memory-mapped array, read when a batch asks for them."""

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

from eae_core.data.images import ImageSet, check_limit
from eae_core.data.values import as_batch


@dataclass(frozen=True, eq=False)
class MappedSet:
    """Rows of an array on disk, in place of an :class:`~eae_core.data.ImageSet`.

    Attributes:
        name: of the data set.
        split: "train" or "test".
        array: n x h x w x c, n x h x w or n x features, as ``numpy.load(..., mmap_mode="r")``
            gives it.
        rows: which of its rows belong to the set, in their order.
        checksum: of the whole array.
        device: where batches are given.

    >>> array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    >>> images = MappedSet("mine", "train", array, np.array([1, 0]), "12ab")
    >>> len(images), images.image_shape, images.batch(slice(0, 1)).flatten()[0] * 255
    (2, (1, 3, 3), tensor(9.))
    """

    name: str
    split: str
    array: NDArray[Any] = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    checksum: str
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    labels: Tensor | None = None
    stand_in: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Channels, height and width; the number of features of a table."""
        return tuple(as_batch(self.array[:1]).shape[1:])

    def batch(self, index: Tensor | slice | Sequence[int]) -> Tensor:
        """The images at `index` as float32 in [0, 1], the rows of a table as they are.

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

    @property
    def content(self) -> str:
        """A checksum of the images, without labels."""
        return hashlib.sha256(self.checksum.encode() + self.rows.tobytes()).hexdigest()

    def to(self, device: str | torch.device) -> MappedSet:
        """The same set, giving batches on another device."""
        return dataclasses.replace(self, device=torch.device(device))


#: a set of which any rows can be had, and parts of it
Images: TypeAlias = ImageSet | MappedSet
