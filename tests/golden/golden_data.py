"""Checksums of the first images of every data set, as a model gets them."""

from __future__ import annotations

import json
from functools import partial

from golden import Numbers, golden

import eae_book.standins  # noqa: F401 (makes the drawn sets known)
from eae_core.data import DATASETS, DataUnavailableError, data_root, dataset_info, load_images
from eae_core.data.images import fingerprint

FIRST = 20  # images of each split
# A set that lies in the data folder says where it came from. Another origin may be another choice
# of images, for which nothing is kept: records of it have another checksum of the data.
ORIGINS = {
    "mnist": "the four original files, checksums as published",
    "fashion_mnist": "the four original files, checksums as published",
    "cifar10": "official training set in official order: batches 1-4 as train, batch 5 as test",
    "celeba64": "subset of aligned CelebA, centre crop 140, bilinear to 64, JPEG quality 90; "
    "official split by image id",
}


def checksums(name: str) -> Numbers:
    """Of the first images and labels of both splits.

    Raises:
        DataUnavailableError: the set is not prepared here, or comes from elsewhere.
    """
    if not dataset_info(name).embedded:
        meta = data_root() / name / "meta.json"
        if not meta.is_file():
            raise DataUnavailableError(f"{name} is not prepared here")
        if (origin := json.loads(meta.read_text(encoding="utf-8"))["origin"]) != ORIGINS[name]:
            raise DataUnavailableError(f"nothing is kept for {name} from: {origin}")
    found: Numbers = {}
    for split in ("train", "test"):
        images = load_images(name, split, limit=FIRST, download=False)
        found[split] = fingerprint(images.images, images.labels)
    return found


for _name in DATASETS:
    golden(f"data {_name}")(partial(checksums, _name))
