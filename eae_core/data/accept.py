"""What training takes: built-in sets, tensors, arrays, and any torch Dataset or DataLoader.

:func:`as_source` makes one of two kinds of each: an indexed set, which gives the batch at any
indices (:class:`~eae_core.data.ImageSet`, :class:`~eae_core.data.MappedSet`), or a :class:`Stream`,
which gives the batches of an epoch one after another, augmented and by workers if so asked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from eae_core.data.images import CPU, Images, ImageSet, MappedSet, as_batch, as_values

LOOKED_AT = 64  # items of a Dataset whose content goes into its checksum


@dataclass(frozen=True, eq=False)
class Stream(ABC):
    """Batches of an epoch one after another; made by :func:`as_source`."""

    data: Any = field(repr=False)  #: where they come from
    name: str
    split: str
    checksum: str  #: of some items, and of their number
    image_shape: tuple[int, ...]  #: of one item
    length: int  #: items of an epoch
    device: torch.device = CPU  #: where batches are given
    batch_size: int | None = None  #: of the batches that come; None where the caller says it
    workers: int = 0

    def __len__(self) -> int:
        return self.length

    def to(self, device: str | torch.device) -> Stream:
        """The same stream, giving batches on another device."""
        return dataclasses.replace(self, device=torch.device(device))

    @abstractmethod
    def batches(self, order: Tensor, batch_size: int, *, seed: int) -> Iterator[Tensor]:
        """Batches (batch_size, *image_shape) on the device: float32, images in [0, 1].

        n // batch_size of them come, of the items at order (n,); the augmentation follows from the
        seed, another one for each epoch.
        """


#: what training runs on: a set of which any rows can be had, or batches one after another
Source: TypeAlias = Images | Stream


class DatasetStream(Stream):
    """A map-style Dataset.

    Before item i is fetched, the generators of torch, NumPy and Python are set by the seed and i,
    so that the augmentation is the same for any number of workers, and after a resumption.
    """

    def batches(self, order: Tensor, batch_size: int, *, seed: int) -> Iterator[Tensor]:
        loader: DataLoader[Tensor] = DataLoader(
            _Items(self.data, seed, self.image_shape),  # type: ignore[arg-type]
            batch_size=batch_size,
            sampler=order.tolist(),
            drop_last=True,
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator().manual_seed(seed),  # else one is taken from the model's
        )
        for batch in loader:
            yield batch.to(self.device, non_blocking=True)


class LoaderStream(Stream):
    """A DataLoader with its own order, batches, workers and collation.

    The generators of torch, NumPy and Python, and its own if it has one, are set by the seed, so
    that a pass can be had again. The order that is asked for says only how many batches are left:
    those before are passed over.
    """

    def batches(self, order: Tensor, batch_size: int, *, seed: int) -> Iterator[Tensor]:
        if batch_size != self.batch_size:
            found = f"batches of {self.batch_size}, the options say {batch_size}"
            raise ValueError(f"the DataLoader makes {found}: make them equal")
        last = self.length // batch_size
        done = max(0, last - len(order) // batch_size)
        for batch in islice(_passed(self.data, seed), done, last):
            x = _loaded(batch)
            if len(x) != batch_size:
                raise ValueError(
                    f"the DataLoader made a batch of {len(x)} after batches of {batch_size}: give "
                    "it drop_last=True, or a sampler whose batches are equally large"
                )
            yield x.to(self.device, non_blocking=True)


def as_source(
    data: Any,
    *,
    name: str = "own data",
    split: str = "train",
    workers: int = 0,
    checksum: str = "",
) -> Source:
    """Data in any of the forms that training takes.

    Args:
        data: a set of this package; a tensor (n, c, h, w), (n, h, w) or (n, features); an array (n,
            h, w), (n, h, w, c) or (n, features); a torch ``TensorDataset``, a map-style
            ``Dataset``, or a ``DataLoader``, whose order and batches stay its own. Images are
            uint8, or floats in [0, 1]; where an item holds several things, the first counts.
        name: of the data set, in records and checkpoints.
        split: training or test.
        workers: processes that fetch the items of a Dataset; a DataLoader brings its own.
        checksum: by which a run knows its data again. By default a set's own, or that of all data;
            of a Dataset that of 64 items, of a DataLoader that of a batch, for which augmentation
            must draw from the generators of torch, NumPy or Python.

    Raises:
        TypeError: another kind of data, or one without a length.
        ValueError: no data, another shape or range, NaN or infinity.

    Example:
        >>> source = as_source(np.random.default_rng(0).random((20, 8, 8, 3)))
        >>> len(source), source.image_shape, source.batch(torch.arange(4)).shape
        (20, (3, 8, 8), torch.Size([4, 3, 8, 8]))
        >>> stream = as_source(torch.utils.data.Subset(list(source.images), range(5)))
        >>> [batch.shape for batch in stream.batches(torch.arange(5), 2, seed=0)]
        [torch.Size([2, 3, 8, 8]), torch.Size([2, 3, 8, 8])]
    """
    if isinstance(data, ImageSet | MappedSet | Stream):
        return data
    if isinstance(data, TensorDataset):
        data = data.tensors[0]
    if not isinstance(data, Tensor) and hasattr(data, "__array__"):
        data = np.asarray(data)  # a table of pandas
    if isinstance(data, Tensor | np.ndarray):
        return ImageSet(name, split, as_values(data), checksum=checksum)
    wanted = hasattr(data, "__getitem__") or isinstance(data, DataLoader)
    if isinstance(data, str) or not (wanted and hasattr(data, "__len__")):
        raise TypeError(
            f"got {type(data).__name__}; training takes a tensor, an array, a torch Dataset or "
            "DataLoader with a length, or a set of eae_core.data: load_images gives those that "
            "have a name, load_folder and load_array own files"
        )
    try:
        count = len(data)
    except TypeError as error:
        raise TypeError(f"training needs to know how many data there are: {error}") from error
    if not count:
        raise ValueError("there are no data: the set has length 0")
    if isinstance(data, DataLoader):
        first = _loaded(next(_passed(data, 0)))
        size, drawn = len(first), data.dataset if data.batch_sampler is None else data.sampler
        length = min(count, len(drawn) // size) * size  # type: ignore[arg-type]
        shape, known = tuple(first.shape[1:]), checksum or _checksum(first, count)
        return LoaderStream(data, name, split, known, shape, length, batch_size=size)
    items = _Items(data, 0, tuple(_Items(data, 0)[0].shape))
    looked_at = np.unique(np.linspace(0, count - 1, LOOKED_AT).astype(int)).tolist()
    fetched = torch.stack([items[index] for index in looked_at])
    known = checksum or _checksum(fetched, count)
    return DatasetStream(data, name, split, known, tuple(fetched.shape[1:]), count, workers=workers)


class _Items:
    """Items of a Dataset as tensors of one shape, each fetched under a seed of its own."""

    def __init__(self, data: Any, seed: int, shape: tuple[int, ...] | None = None) -> None:
        self.data, self.seed, self.shape = data, seed, shape

    def __getitem__(self, index: int) -> Tensor:
        with _seeded(self.seed, index):
            try:
                item = _first(self.data[index])
            except IndexError as error:
                raise ValueError(
                    f"the set says that it has {len(self.data)} items, but gives no item {index}"
                ) from error
        if not isinstance(item, Tensor):
            item = np.asarray(item)  # also of a picture of Pillow's
        try:
            x = as_batch(item[None])[0]
        except (TypeError, ValueError) as error:
            error.add_note(f"In item {index}; where an item holds several things, the first counts")
            raise
        if self.shape is not None and x.shape != self.shape:
            raise ValueError(
                f"item {index} has the shape {tuple(x.shape)}, item 0 {self.shape}: bring all to "
                "one size, for instance by torchvision.transforms.Resize and CenterCrop"
            )
        return _finite(x, f"item {index}")


def _finite(x: Tensor, what: str) -> Tensor:
    if not x.isfinite().all():
        raise ValueError(f"{what} holds NaN or infinity: leave such data out")
    return x


def _loaded(batch: Any) -> Tensor:
    return _finite(as_batch(_first(batch)), "a batch of the DataLoader")


def _first(item: Any) -> Any:
    """The image of an item, or the images of a batch, that holds other things too."""
    if isinstance(item, Mapping):
        item = tuple(item.values())
    return item[0] if isinstance(item, Sequence) and len(item) else item


def _passed(loader: Any, seed: int) -> Iterator[Any]:
    """One pass of a DataLoader, whose order and augmentation follow from the seed."""
    if loader.generator is not None:
        loader.generator.manual_seed(seed)
    with _seeded(seed):
        batches = iter(loader)
    for number in range(len(loader)):
        with _seeded(seed, number):
            batch = next(batches)
        yield batch


@contextmanager
def _seeded(*seed: int) -> Iterator[None]:
    """Within the block, the CPU's generators of torch, NumPy and Python start from this seed."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    start = np.random.SeedSequence(seed).generate_state(2, np.uint32)
    torch.default_generator.manual_seed(int(start[0]) << 31 | int(start[1]) >> 1)
    np.random.seed(start)  # noqa: NPY002 (what augmentations draw from)
    random.seed(int(start[0]))
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


def _checksum(items: Tensor, count: int) -> str:
    digest = hashlib.sha256(f"{count} {tuple(items.shape)}".encode())
    digest.update(items.cpu().contiguous().numpy().data)
    return digest.hexdigest()
