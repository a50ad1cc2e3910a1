"""The built-in data sets: what each is, how its images are stored, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    """What is known about a data set before any file is read.

    `stored_shape` is height, width, channels of the arrays on disk; `padding` zeros are added on
    each side at load. `train` and `test` count the images of the whole set. `stand_in` says in
    words what an embedded set stands in for, and is empty otherwise. `source` names the class in
    torchvision.datasets, empty for embedded sets; `raw_files` are its files, as globs below
    `<data root>/torchvision`. `draw` makes the images of an embedded set. `revision` counts the
    changes of the preparation that change an image: a record made with another one is stale.
    `content` gives the sha256 of the prepared images of a whole split, where it is the same on
    every machine: another set under this name is then noticed.
    """

    name: str
    title: str
    stored_shape: tuple[int, int, int]
    train: int
    test: int
    padding: int = 0
    stand_in: str = ""
    source: str = ""
    raw_files: tuple[str, ...] = ()
    draw: Draw | None = field(default=None, repr=False)
    revision: int = 1  # 1: as first recorded
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


_IDX_FILES = tuple(
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)

CATALOGUE: dict[str, DatasetInfo] = {
    info.name: info
    for info in (
        DatasetInfo(
            "digits",
            "scikit-learn's handwritten digits",
            (24, 24, 1),
            1_500,
            297,
            padding=4,
            stand_in="scikit-learn digits in place of MNIST",
        ),
        DatasetInfo(
            "mnist",
            "MNIST",
            (28, 28, 1),
            60_000,
            10_000,
            padding=2,
            source="MNIST",
            raw_files=tuple(f"MNIST/raw/{name}" for name in _IDX_FILES),
            content={
                "train": "f323590fab80abce68b33a35fb0a176bed275ab73b934621f7583bd1c7c1b1ba",
                "test": "c544e9053023b30ffd401a9825696f84af6fb1eb822bba5fcffc6992808357c3",
            },
        ),
        DatasetInfo(
            "fashion_mnist",
            "Fashion-MNIST",
            (28, 28, 1),
            60_000,
            10_000,
            padding=2,
            source="FashionMNIST",
            raw_files=tuple(f"FashionMNIST/raw/{name}" for name in _IDX_FILES),
            content={
                "train": "b7820949634d297721c5d98131ddf7987d38371b8ce4939b51d66f2cecc40bfa",
                "test": "808e9818bf78178377232e2582d179bbdcc2212fba07a836cd54cc56d22714ce",
            },
        ),
        DatasetInfo(
            "cifar10",
            "CIFAR-10",
            (32, 32, 3),
            50_000,
            10_000,
            source="CIFAR10",
            raw_files=("cifar-10-python.tar.gz",),
        ),
        DatasetInfo(
            "celeba64",
            "CelebA, 64 x 64",
            (64, 64, 3),
            162_770,
            19_962,
            source="CelebA",
            raw_files=(
                "celeba/img_align_celeba.zip",
                "celeba/list_attr_celeba.txt",
                "celeba/identity_CelebA.txt",
                "celeba/list_bbox_celeba.txt",
                "celeba/list_landmarks_align_celeba.txt",
                "celeba/list_eval_partition.txt",
            ),
        ),
    )
}

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
