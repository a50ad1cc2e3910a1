"""A trained model and data for it, as verbs are given them: from files."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from eae_core.cli.folders import CHECKPOINT
from eae_core.data import Images
from eae_core.data.images import as_batch
from eae_core.data.own import Data, open_data
from eae_core.data.pictures import PictureError, read_picture
from eae_core.errors import UsageError, printable, refusing
from eae_core.files import expanded
from eae_core.hardware import resolve_device
from eae_core.models import Autoencoder
from eae_core.training import CheckpointError, load_model


def model_file(path: Path) -> Path:
    """The file of a model, which may be named by its folder."""
    return path / CHECKPOINT if path.is_dir() else path


def open_model(arguments: argparse.Namespace) -> Autoencoder:
    """The model that a verb is given, on the device that it asks for; UsageError without one."""
    path = model_file(arguments.model)
    try:
        model: Autoencoder = load_model(path)
        return model.to(resolve_device(getattr(arguments, "device", "cpu")))
    except FileNotFoundError as error:
        raise UsageError(f"there is no model {path}: train leaves one in its folder") from error
    except (CheckpointError, ValueError) as error:
        raise UsageError(str(error)) from error


def data_for(model: Autoencoder, arguments: argparse.Namespace) -> Data:
    """The data that a verb is given, in the model's size and channels; notes go to stderr."""
    shape = model.image_shape
    more: dict[str, Any] = {"test_fraction": arguments.test_fraction}
    more["progress"] = not arguments.no_progress
    with refusing():
        if len(shape) == 3 and expanded(arguments.dataset).is_dir():
            more["size"] = shape[1:]
        data = open_data(arguments.dataset, **more)
        found = data.images("train", 1).image_shape
        if "size" in more and found[0] != shape[0]:
            data = open_data(arguments.dataset, **more, channels=shape[0])
            found = data.images("train", 1).image_shape
    if found != shape:
        asked = f"images of shape {shape} (channels, height, width)"
        raise UsageError(f"the model is for {asked}, {data.name} has {found}")
    for note in data.notes:
        print(f"{data.name}: {printable(note)}", file=sys.stderr)
    return data


def first_of(images: Images, limit: int | None) -> Images:
    """The first so many images, or all."""
    return images if limit is None or limit >= len(images) else images.subset(limit)


def read_images(model: Autoencoder, paths: list[Path]) -> Tensor:
    """Pictures in files as images (n, c, h, w) of the model's size."""
    check_pictures(model)
    channels, height, width = model.image_shape
    pixels = []
    with warnings.catch_warnings(action="ignore"):
        for path in paths:
            try:
                pixels.append(read_picture(path, (height, width), channels))
            except PictureError as error:
                raise UsageError(f"{path} cannot be read as a picture: {error}") from error
    return as_batch(np.stack(pixels))


def check_pictures(model: Autoencoder) -> None:
    """Raise UsageError unless what the model makes can be shown: grey, or in colours."""
    if len(model.image_shape) != 3 or model.image_shape[0] not in (1, 3):
        raise UsageError(
            f"the model is for data of shape {model.image_shape}, which are no pictures: take "
            "sample --format npz, encode --data, or Python"
        )
