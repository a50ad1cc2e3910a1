"""The built-in data sets: what each is, how its images are stored, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from eae_core.errors import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: (split, number of images) to uint8 (n, height, width, channels) and labels (n,) or None
    Draw = Callable[[Any, int], tuple[NDArray[np.uint8], NDArray[np.int64] | None]]

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before any file is read."""

    name: str
    title: str
    stored_shape: tuple[int, int, int]  #: height, width, channels of the arrays on disk
    train: int  #: images of the whole set
    test: int
    padding: int = 0  #: zeros that are added on each side at load
    stand_in: str = ""  #: what an embedded set stands in for, in words
    source: str = ""  #: the class in torchvision.datasets; empty for embedded sets
    draw: Draw | None = field(default=None, repr=False)  #: makes the images of an embedded set
    revision: int = 1  #: counts changes of an image: records of another one are stale
    #: sha256 of the images of whole splits, where it is the same on every machine
    content: Mapping[Split, str] = field(default_factory=dict, repr=False)

    @property
    def embedded(self) -> bool:
        """Whether the set needs no file and no network."""
        return not self.source

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image as a model sees it."""
        height, width, channels = self.stored_shape
        return channels, height + 2 * self.padding, width + 2 * self.padding

    def count(self, split: Split) -> int:
        """The number of images of a split of the whole set."""
        return self.train if split == "train" else self.test


@cache
def _digits(split: Split, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """scikit-learn's 1,797 digits, enlarged from 8 x 8 to 24 x 24 by bilinear interpolation.

    Enlarging by three puts each new pixel on an old one or a third of the way to the next, so the
    weights are whole thirds, and integers keep the result the same on every machine.
    """
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    rows = slice(0, count) if split == "train" else slice(1_500, 1_500 + count)
    old, third = divmod(np.arange(24), 3)
    whole = np.eye(8, dtype=np.int64)
    thirds = 2 * whole[old] + whole[(old + third - 1).clip(0, 7)]
    levels = thirds @ digits.images[rows].astype(np.int64) @ thirds.T  # 0 ... 16 * 9
    images = (levels * 255 + 72) // 144
    return images.astype(np.uint8)[..., None], digits.target[rows].astype(np.int64)


CATALOGUE: dict[str, DatasetInfo] = {}
DATASETS = CATALOGUE.keys()  # names; it follows what is registered


def register_dataset(info: DatasetInfo) -> None:
    """Make a data set known by its name, to `load_images` and to the command line.

    Raises:
        ValueError: an embedded set without `draw`.
    """
    if info.embedded and info.draw is None:
        raise ValueError(f"{info.name} has neither a source nor a function that draws its images")
    CATALOGUE[info.name] = info


def dataset_info(name: str) -> DatasetInfo:
    """What is known about the data set of this name.

    >>> dataset_info("mnist").image_shape
    (1, 32, 32)
    >>> dataset_info("minst")
    Traceback (most recent call last):
        ...
    ValueError: no data set 'minst'; did you mean 'mnist'? There are digits, mnist, ...
    """
    if name not in CATALOGUE:
        hint = nearest(str(name), DATASETS, count=1)
        known = "" if hint.startswith("possible") else f" There are {', '.join(DATASETS)}"
        raise ValueError(f"no data set {name!r}; {hint}{known}")
    return CATALOGUE[name]


_MNIST: dict[Split, str] = {
    "train": "f323590fab80abce68b33a35fb0a176bed275ab73b934621f7583bd1c7c1b1ba",
    "test": "c544e9053023b30ffd401a9825696f84af6fb1eb822bba5fcffc6992808357c3",
}
_FASHION: dict[Split, str] = {
    "train": "b7820949634d297721c5d98131ddf7987d38371b8ce4939b51d66f2cecc40bfa",
    "test": "808e9818bf78178377232e2582d179bbdcc2212fba07a836cd54cc56d22714ce",
}
_SETS = (
    DatasetInfo("digits", "scikit-learn's handwritten digits", (24, 24, 1), 1_500, 297, padding=4,
                stand_in="scikit-learn digits in place of MNIST", draw=_digits),
    DatasetInfo("mnist", "MNIST", (28, 28, 1), 60_000, 10_000, padding=2,
                source="MNIST", content=_MNIST),
    DatasetInfo("fashion_mnist", "Fashion-MNIST", (28, 28, 1), 60_000, 10_000, padding=2,
                source="FashionMNIST", content=_FASHION),
    DatasetInfo("cifar10", "CIFAR-10", (32, 32, 3), 50_000, 10_000, source="CIFAR10"),
    DatasetInfo("celeba64", "CelebA, 64 x 64", (64, 64, 3), 162_770, 19_962, source="CelebA"),
)  # fmt: skip
for _info in _SETS:
    register_dataset(_info)
