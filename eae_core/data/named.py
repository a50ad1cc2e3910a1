"""Data sets by name, whole and on the device: `load_images("mnist").batch(index)`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from eae_core.data.catalogue import SPLITS, Split, dataset_info
from eae_core.data.images import ImageSet, check_limit
from eae_core.data.prepared import DataUnavailableError, open_split, seal_folder, verify_folder
from eae_core.files import expanded


def data_root(root: str | Path | None = None) -> Path:
    """Where data sets lie: root; else EAE_DATA; else data/cache in a checkout or right here.

    Raises:
        DataUnavailableError: EAE_DATA begins with the home of an unknown user.
    """
    if root is not None:
        return expanded(root)
    if chosen := os.environ.get("EAE_DATA"):
        try:
            return expanded(chosen).absolute()
        except ValueError as error:
            raise DataUnavailableError(f"EAE_DATA is {chosen!r}, but {error}") from error
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
        ValueError: unknown name or split, or an impossible limit.
        DataUnavailableError: the set is neither on disk nor to be had; says what to put where.
        DataCorruptedError: a file is not what it should be; says which.

    >>> images = load_images("digits", "test", limit=50)
    >>> len(images), images.image_shape, images.stand_in
    (50, (1, 32, 32), 'scikit-learn digits in place of MNIST')
    """
    info = dataset_info(name)
    if split not in SPLITS:
        raise ValueError(f"no split {split!r} of {name}; there are {' and '.join(SPLITS)}")
    if info.draw is not None:
        count = check_limit(limit, info.count(split), f"{name} {split}")
        stored, numbers, checksum = *info.draw(split, count), ""  # only what is asked for
    else:
        folder = prepare(name, root=root, download=download)
        stored, numbers, checksum = open_split(info, split, folder)
        count = check_limit(limit, len(stored), f"{name} {split}")
    # A copy in memory: the arrays may be memory-mapped and read-only.
    images = torch.from_numpy(np.array(stored[:count].transpose(0, 3, 1, 2), order="C"))
    images = F.pad(images, (info.padding,) * 4)
    labels = None if numbers is None else torch.from_numpy(numbers[:count].copy())
    return ImageSet(name, split, images, labels, checksum, info.stand_in).to(device)


def prepare(name: str, *, root: str | Path | None = None, download: bool = True) -> Path:
    """Make sure that the prepared arrays of a set are on disk; return their folder.

    For an embedded set there is nothing to do, and the folder need not exist.

    Raises:
        DataUnavailableError, DataCorruptedError, OSError: as `load_images`.
    """
    info, root = dataset_info(name), data_root(root)
    if not info.embedded:
        from eae_core.data.sources import prepare_folder  # only here is torchvision needed

        prepare_folder(info, root, download=download)
    return root / name


def verify(name: str, *, root: str | Path | None = None) -> dict[str, str]:
    """Compare every prepared array with its checksum again; return the sha256 of each.

    Raises:
        DataUnavailableError: the set is not there.
        DataCorruptedError: an array is missing or has changed.
    """
    return verify_folder(prepare(name, root=root, download=False), dataset_info(name))


def seal(name: str, *, root: str | Path | None = None, origin: str = "put there by hand") -> None:
    """Write meta.json for arrays that were put into `root/<name>` by hand.

    Raises:
        DataUnavailableError: the images of a split are missing.
    """
    folder = data_root(root) / dataset_info(name).name
    for split in SPLITS:
        if not (path := folder / f"{split}_images.npy").is_file():
            raise DataUnavailableError(f"{folder} lacks {path.name}")
    seal_folder(folder, name, origin)
