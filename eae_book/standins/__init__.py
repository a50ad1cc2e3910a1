"""Drawn data sets with known generating factors: colour objects (32 x 32) and faces (64 x 64).

They need no download and have no licence to ask for, any number of images can be drawn, and for
each image the numbers that it was drawn from are known. Every figure that uses them says so.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eae_book.standins import faces, objects
from eae_book.standins.factors import Factor, sample

__all__ = [
    "FACE_FACTORS",
    "HAIR_STYLES",
    "SHAPE_FACTORS",
    "SHAPE_NAMES",
    "Drawing",
    "Factor",
    "draw_faces",
    "draw_shapes",
    "render_faces",
    "render_shapes",
]

SHAPE_FACTORS = objects.FACTORS
SHAPE_NAMES = tuple(objects.SHAPES)
FACE_FACTORS = faces.FACTORS
HAIR_STYLES = faces.HAIR_STYLES

_BLOCK = 32  # images drawn together: small enough for their planes to stay in the cache
_THREADS = 8

Render = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Drawing:
    """Drawn images together with the factors they were drawn from.

    `images` is uint8, n x height x width x 3; `factors` is float32, n x number of factors; `names`
    holds a name for each column of `factors`.
    """

    images: NDArray[np.uint8]
    factors: NDArray[np.float32]
    names: tuple[str, ...]

    def factor(self, name: str) -> NDArray[np.float32]:
        """The n values of one factor, by its name."""
        if name not in self.names:
            raise KeyError(f"no factor {name!r}; there are {', '.join(self.names)}")
        return self.factors[:, self.names.index(name)]


def draw_shapes(count: int, *, seed: int | Sequence[int] = 0, start: int = 0) -> Drawing:
    """Draw the colour objects start, ..., start + count - 1 of a seed.

    Image i depends on the seed and on i only, so a shorter drawing is the beginning of a longer
    one. The factor `shape` indexes `SHAPE_NAMES`.

    >>> drawing = draw_shapes(3)
    >>> drawing.images.shape, drawing.factor("hue").shape
    ((3, 32, 32, 3), (3,))
    """
    return _draw(objects.FACTORS, objects.render, count, seed, start)


def draw_faces(count: int, *, seed: int | Sequence[int] = 0, start: int = 0) -> Drawing:
    """Draw the faces start, ..., start + count - 1 of a seed.

    Image i depends on the seed and on i only. The factor `hair_style` indexes `HAIR_STYLES`.

    >>> drawing = draw_faces(2, seed=7)
    >>> drawing.images.shape, drawing.names[:4]
    ((2, 64, 64, 3), ('x', 'y', 'size', 'tilt'))
    """
    return _draw(faces.FACTORS, faces.render, count, seed, start)


def render_shapes(factors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colour objects from given factors, n x len(SHAPE_FACTORS): to move one factor alone."""
    return _render(objects.FACTORS, objects.render, factors)


def render_faces(factors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Faces from given factors, n x len(FACE_FACTORS): to move one factor and keep the others.

    >>> smiles = np.repeat(draw_faces(1).factors, 5, axis=0)
    >>> column = [factor.name for factor in FACE_FACTORS].index("smile")
    >>> smiles[:, column] = np.linspace(-0.5, 1.2, 5)
    >>> render_faces(smiles).shape
    (5, 64, 64, 3)
    """
    return _render(faces.FACTORS, faces.render, factors)


def _draw(
    table: tuple[Factor, ...], render: Render, count: int, seed: int | Sequence[int], start: int
) -> Drawing:
    factors = sample(table, count, seed=seed, start=start)
    names = tuple(factor.name for factor in table)
    return Drawing(_render(table, render, factors), factors, names)


def _render(
    table: tuple[Factor, ...], render: Render, factors: NDArray[np.float32]
) -> NDArray[np.uint8]:
    factors = np.asarray(factors, np.float32)
    if factors.ndim != 2 or factors.shape[1] != len(table):
        raise ValueError(
            f"factors must be n x {len(table)}, one column for each of "
            f"{', '.join(f.name for f in table)}; got the shape {factors.shape}"
        )
    if not np.isfinite(factors).all():
        raise ValueError("factors must be finite numbers")
    for factor, column in zip(table, factors.T, strict=True):
        if factor.law == "choice" and not np.isin(column, factor.choices).all():
            raise ValueError(f"{factor.name} must be one of {factor.choices}")
    blocks = [factors[i : i + _BLOCK] for i in range(0, len(factors), _BLOCK)] or [factors]
    # numpy lets go of the interpreter in its loops, so threads share the work.
    with ThreadPoolExecutor(min(len(blocks), os.cpu_count() or 1, _THREADS)) as pool:
        return np.concatenate(list(pool.map(render, blocks)))
