"""Figures as a PNG that says where its images are, see :mod:`eae_book.photos`."""

from __future__ import annotations

import io
from importlib import import_module

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from eae_book.photos import with_photos


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG, cropped as notebooks crop it, with the places of its images.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> from eae_book.photos import photos_in
        >>> figure, ax = plt.subplots(figsize=(2, 1))
        >>> _ = ax.imshow([[0, 1]])
        >>> len(photos_in(png_of(figure))), photos_in(b"no picture")
        (1, None)
        >>> plt.close("all")
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi, bbox_inches="tight")
    return with_photos(buffer.getvalue(), _photos(figure))


def show_with_photos() -> None:
    """Let the notebook that this runs in, if any, show figures by :func:`png_of`."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:
        return
    if "inline" in str(mpl.get_backend(auto_select=False)):
        import_module("matplotlib_inline.backend_inline")  # which would replace ours later
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type(Figure, lambda figure: png_of(figure) if figure.axes else None)


def _photos(figure: Figure) -> list[list[int]]:
    """Where the axes with images or coloured meshes are, once the figure has been drawn."""
    dpi, margin = figure.dpi, mpl.rcParams["savefig.pad_inches"]
    page = figure.get_tightbbox().padded(margin)
    boxes = []
    for ax in figure.findobj(Axes):
        assert isinstance(ax, Axes)
        if ax.get_visible() and (ax.images or any(isinstance(c, QuadMesh) for c in ax.collections)):
            box = ax.get_window_extent()
            left, top = box.x0 - page.x0 * dpi, page.y1 * dpi - box.y1
            boxes.append([round(edge) for edge in (left, top, left + box.width, top + box.height)])
    return boxes
