"""Sheets of pictures beside committed records, read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from eae_book.records import Record, results_root
from eae_core.data import dataset_info
from eae_core.evaluation.densities import DENSITIES
from eae_core.evaluation.sheets import COLUMNS, SUFFIXES, sheet_names


def read_sheet(path: str | Path, image_shape: tuple[int, int, int]) -> Tensor:
    """The images of a sheet, (rows, 10, c, h, w) in [0, 1].

    Raises:
        ValueError: a file that is no picture, or one whose size does not fit the images.

    Example:
        >>> import tempfile
        >>> from eae_core.evaluation.sheets import write_sheet
        >>> rows = {"first": torch.rand(10, 1, 4, 4), "second": torch.zeros(10, 1, 4, 4)}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     back = read_sheet(write_sheet(rows, Path(folder) / "sheet"), (1, 4, 4))
        >>> back.shape, bool((back[0] - rows["first"]).abs().max() <= 0.5 / 255)
        (torch.Size([2, 10, 1, 4, 4]), True)
    """
    channels, height, width = image_shape
    try:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except OSError as error:
        raise ValueError(f"{path} is not a sheet of images: {error}") from error
    if pixels.shape[0] % height or pixels.shape[1] != COLUMNS * width:
        raise ValueError(
            f"{path} has {pixels.shape[1]} x {pixels.shape[0]} pixels, which are not rows of "
            f"{COLUMNS} images of {width} x {height}"
        )
    grid = torch.from_numpy(pixels.reshape(-1, height, COLUMNS, width, channels).copy())
    return grid.permute(0, 2, 4, 1, 3).float() / 255


def read_recorded_rows(record: Record, root: str | Path | None = None) -> dict[str, Tensor]:
    """The rows of the sheet beside a record, named as :func:`picture_rows` names them.

    Which densities could be fitted, so that they have rows, stands in the record.

    Args:
        record: of a model that was scored, see ``python -m eae_book train --score``.
        root: the folder of all records, :func:`eae_book.records.results_root` by default.

    Returns:
        Rows (10, c, h, w) in [0, 1] by name; none if no sheet lies beside the record.

    Raises:
        ValueError: a sheet with another number of rows than the record speaks of.

    Example:
        >>> from eae_book.records import new_record
        >>> record = new_record("demo", "a", parameters={"dataset": "mnist"}, metrics={})
        >>> read_recorded_rows(record)
        {}
    """
    folder = (results_root() if root is None else Path(root)) / record.experiment
    path = next((p for s in SUFFIXES if (p := folder / f"{record.run}{s}").is_file()), None)
    if path is None:
        return {}
    fitted = [name for name in DENSITIES if f"log_density_{name}" in record.metrics]
    names = sheet_names(["own", *fitted])
    rows = read_sheet(path, dataset_info(record.parameters["dataset"]).image_shape)
    if len(rows) != len(names):
        raise ValueError(f"{path} has {len(rows)} rows, its record speaks of {len(names)}")
    return dict(zip(names, rows, strict=True))
