"""Pictures of images: one grid, several grids side by side, rows and tables with names."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Images = torch.Tensor | np.ndarray

_GAP = 1  # pixels between the images of a grid


def image_grid(
    images: Images, *, columns: int = 10, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw images row by row as one picture.

    Args:
        images: N x C x H x W with C = 1 (grey) or 3 (colour), in [0, 1], or uint8 in 0 to 255.
        columns: images in a row; the last row is filled up with white.
        ax: where to draw. Without it a new figure is made, of a size that suits the grid.
        title: a line above the grid; name a stand-in data set here.

    Returns:
        The axes drawn on.

    Raises:
        ValueError: `images` is not N x C x H x W with N >= 1 and C in {1, 3}, or `columns` < 1.

    Example:
        >>> ax = image_grid(torch.rand(25, 1, 32, 32), columns=10)
        >>> ax.get_images()[0].get_array().shape  # 3 rows and 10 columns, one pixel apart
        (98, 329, 3)
        >>> plt.close("all")
    """
    canvas = _tile(_as_channels_last(images), columns)
    if ax is None:
        width = plt.rcParams["figure.figsize"][0]
        height = width * canvas.shape[0] / canvas.shape[1] + (0.3 if title else 0.0)
        _, ax = plt.subplots(figsize=(width, height))
    ax.imshow(canvas)
    ax.set_axis_off()
    if title:
        ax.set_title(title)
    return ax


def image_panels(panels: Mapping[str, Images], *, columns: int = 8) -> Figure:
    """Draw several grids side by side, each under its name.

    Args:
        panels: title of each grid -> images N x C x H x W.
        columns: images in a row of each grid.

    Returns:
        The new figure, with one axes for each panel.

    Raises:
        ValueError: no panels, or images that `image_grid` refuses.

    Example:
        >>> figure = image_panels({"data": torch.rand(16, 1, 32, 32),
        ...                        "samples": torch.rand(16, 1, 32, 32)}, columns=4)
        >>> len(figure.axes)
        2
        >>> plt.close("all")
    """
    if not panels:
        raise ValueError("image_panels got no panels; pass at least one title with its images")
    tallest = max(math.ceil(len(images) / columns) / columns for images in panels.values())
    panel_width = max(plt.rcParams["figure.figsize"][0], 2.4 * len(panels)) / len(panels)
    lines = 1 + max(title.count("\n") for title in panels)
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(panel_width * len(panels), panel_width * tallest + 0.25 * lines),
        squeeze=False,
    )
    for ax, (title, images) in zip(axes[0], panels.items(), strict=True):
        image_grid(images, columns=columns, ax=ax, title=title)
        ax.set_anchor("N")  # grids of different height start at the same line
    return figure


def image_rows(rows: Mapping[str, Images]) -> Figure:
    """Draw one row of images for each name, the names at the left.

    Args:
        rows: name of each row -> images N x C x H x W, the same N in every row.

    Returns:
        The new figure, with one axes for each row.

    Raises:
        ValueError: no rows, rows of different length, or images that `image_grid` refuses.

    Example:
        >>> x = torch.rand(8, 1, 32, 32)
        >>> figure = image_rows({"original": x, "reconstruction": x})
        >>> len(figure.axes)
        2
        >>> plt.close("all")
    """
    lengths = {name: len(images) for name, images in rows.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"image_rows needs rows of one common length, got {lengths or 'no rows'}")
    count = next(iter(lengths.values()))
    width = plt.rcParams["figure.figsize"][0]
    row_height = (width - 1.1) / count + 0.03  # 1.1 inches are left for the names
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(width, row_height * len(rows)), squeeze=False
    )
    for ax, (name, images) in zip(axes[:, 0], rows.items(), strict=True):
        image_grid(images, columns=count, ax=ax)
        ax.text(
            -0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center", fontsize="medium"
        )
    return figure


def image_table(
    rows: Mapping[str, Mapping[str, Images]],
    columns: Mapping[str, int],
    *,
    missing: str = "not recorded",
) -> Figure:
    """Draw a row for each name and a block of images for each heading, side by side.

    For comparing models of which not all have everything: a block that is not there stays white
    and says so.

    Args:
        rows: name of each row -> heading -> images N x C x H x W, all of one C x H x W.
        columns: heading of each block -> how many of its images are shown, N or fewer.
        missing: what stands in a block that a row has not.

    Returns:
        The new figure, with one axes for each heading.

    Raises:
        ValueError: no rows or no headings, fewer images than are to be shown, or of another shape.

    Example:
        >>> x = torch.rand(8, 1, 32, 32)
        >>> figure = image_table({"a": {"samples": x, "paths": x}, "b": {"samples": x}},
        ...                      {"samples": 4, "paths": 8})
        >>> [text.get_text() for text in figure.axes[1].texts]
        ['not recorded']
        >>> plt.close("all")
    """
    if not rows or not columns:
        raise ValueError("image_table needs at least one row and one heading")
    blocks = {
        (name, heading): _block(row[heading], count, name, heading)
        for name, row in rows.items()
        for heading, count in columns.items()
        if heading in row
    }
    shapes = {block.shape[1:] for block in blocks.values()} or {(32, 32, 3)}
    if len(shapes) > 1:
        raise ValueError(f"images of one table must have one shape, got {sorted(shapes)}")
    shape = shapes.pop()
    width = 1.2 * plt.rcParams["figure.figsize"][0]
    side = (width - 1.1) / sum(columns.values())  # inches; 1.1 are left for the names
    figure, axes = plt.subplots(
        1,
        len(columns),
        figsize=(width, side * len(rows) * shape[0] / shape[1] + 0.3),
        width_ratios=list(columns.values()),
        squeeze=False,
    )
    for ax, (heading, count) in zip(axes[0], columns.items(), strict=True):
        blank = np.ones((count, *shape))
        ax.imshow(_tile(np.concatenate([blocks.get((n, heading), blank) for n in rows]), count))
        ax.set_axis_off()
        ax.set_title(heading, fontsize="small")
        for number, name in enumerate(rows):
            height = 1 - (number + 0.5) / len(rows)
            style = {"transform": ax.transAxes, "va": "center", "fontsize": "small"}
            if ax is axes[0, 0]:
                ax.text(-0.02, height, name, ha="right", **style)
            if (name, heading) not in blocks:
                ax.text(0.5, height, missing, ha="center", color="#5B5B5B", **style)
    return figure


def _block(images: Images, count: int, name: str, heading: str) -> np.ndarray:
    """The first images of a block of a table."""
    block = _as_channels_last(images)
    if not 1 <= count <= len(block):
        raise ValueError(
            f"{name!r} has {len(block)} images of {heading!r}, {count} are to be shown"
        )
    return block[:count]


def _as_channels_last(images: Images) -> np.ndarray:
    """N x C x H x W of floats or uint8 -> N x H x W x 3 of floats in [0, 1]."""
    array = images.detach().cpu().numpy() if isinstance(images, torch.Tensor) else images
    if array.ndim != 4 or len(array) == 0 or array.shape[1] not in (1, 3):
        raise ValueError(
            f"images must be N x C x H x W with N >= 1 and C = 1 or 3, got shape {array.shape}"
        )
    pixels = array / 255.0 if array.dtype == np.uint8 else array.astype(float)
    pixels = np.clip(pixels, 0.0, 1.0).transpose(0, 2, 3, 1)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _tile(images: np.ndarray, columns: int) -> np.ndarray:
    """N x H x W x 3 -> one picture, images in rows of `columns`, `_GAP` pixels apart."""
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}")
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    step_y, step_x = height + _GAP, width + _GAP
    canvas = np.full((rows * step_y - _GAP, columns * step_x - _GAP, channels), 1.0)
    for i, image in enumerate(images):
        y, x = (i // columns) * step_y, (i % columns) * step_x
        canvas[y : y + height, x : x + width] = image
    return canvas
