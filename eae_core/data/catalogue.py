"""The data sets of the book: what each is, how its images are stored, where it comes from."""

import difflib
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set before any file is read.

    `stored_shape` is height, width, channels of the arrays on disk; `padding` zeros are added on
    each side at load. `train` and `test` count the images of the whole set. `stand_in` says in
    words what an embedded set stands in for, and is empty otherwise. `source` names the class in
    torchvision.datasets, empty for embedded sets; `raw_files` are its files, as globs below
    `<data root>/torchvision`.
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

CATALOGUE = {
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
        DatasetInfo(
            "shapes32",
            "drawn colour objects",
            (32, 32, 3),
            10_000,
            2_000,
            stand_in="drawn objects in place of CIFAR-10",
        ),
        DatasetInfo(
            "faces64",
            "drawn faces",
            (64, 64, 3),
            10_000,
            2_000,
            stand_in="drawn faces in place of CelebA",
        ),
    )
}

DATASETS = tuple(CATALOGUE)


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
        near = difflib.get_close_matches(str(name).lower(), DATASETS, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"no data set {name!r}; did you mean {near!r}? There are {', '.join(DATASETS)}"
        )
    return CATALOGUE[name]
