"""Antialiased drawing of many images at once: the brush of the drawn data sets.

Everything is float32. A canvas is (3, n, height, width) with values in [0, 1]; a plane is
(n, height, width); a number per image is (n, 1, 1), so that it broadcasts over the pixels.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# float32, which numpy's type hints lose at the first multiplication with a Python number
Plane: TypeAlias = NDArray[Any]


def pixel_grid(size: int) -> tuple[Plane, Plane]:
    """Coordinates of the pixel centres, x to the right and y downwards, the image being [-1, 1]^2.

    >>> x, y = pixel_grid(4)
    >>> x.ravel().tolist(), y.ravel().tolist()
    ([-0.75, -0.25, 0.25, 0.75], [-0.75, -0.25, 0.25, 0.75])
    """
    centres = ((2 * np.arange(size) + 1) / size - 1).astype(np.float32)
    return centres[None, None, :], centres[None, :, None]


def coverage(distance: Plane, width: float | Plane) -> Plane:
    """How much of a pixel a shape covers: a ramp of `width` across its edge, distance < 0 inside.

    With the width of a pixel this is the antialiased edge; a larger width is a soft edge.
    """
    ramp = distance * (-1 / width)
    ramp += 0.5
    np.clip(ramp, 0, 1, out=ramp)
    return ramp


def ellipse(u: Plane, v: Plane, a: float | Plane, b: float | Plane) -> Plane:
    """Signed distance to an axis-parallel ellipse of half-axes a and b, to first order.

    With q = (u/a)^2 + (v/b)^2 the distance is (q - 1) / |grad q|, exact on the edge itself.
    """
    a, b = 1 / (a * a), 1 / (b * b)  # python numbers would stay float32, numpy's would not
    p, r = np.square(u) * a, np.square(v) * b  # q = p + r
    slope = np.sqrt(p * a + r * b)  # half of |grad q|
    np.maximum(slope, 1e-3, out=slope)
    q = p + r
    q -= 1
    q /= slope
    q *= 0.5
    return q


def spot(u: Plane, v: Plane, a: float | Plane, b: float | Plane) -> Plane:
    """A soft spot exp(-(u/a)^2 - (v/b)^2) with radii a and b."""
    exponent = np.square(u / a) + np.square(v / b)
    np.negative(exponent, out=exponent)
    np.exp(exponent, out=exponent)
    return exponent


def rotate(x: Plane, y: Plane, angle: Plane) -> tuple[Plane, Plane]:
    """Coordinates in a frame that is turned by `angle` (radians, clockwise on the screen)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return x * cosine + y * sine, y * cosine - x * sine


def paint(canvas: Plane, alpha: Plane, colour: Plane) -> None:
    """Lay a colour over the canvas, in place: canvas <- canvas + alpha (colour - canvas).

    `colour` is (3, n, 1, 1), or (3, n, height, width) where it is shaded.
    """
    step = np.empty(canvas.shape[1:], np.float32)
    for channel, value in zip(canvas, colour, strict=True):
        np.subtract(value, channel, out=step)
        step *= alpha
        channel += step


def from_hsv(hue: Plane, saturation: float | Plane, value: float | Plane) -> Plane:
    """Red, green and blue of a colour given by hue (turns), saturation and value.

    >>> from_hsv(np.float32([[[0.0]], [[1 / 3]]]), 1.0, 1.0)[:, :, 0, 0].round(3).tolist()
    [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    offsets = np.array([5, 3, 1], np.float32).reshape(3, 1, 1, 1)
    k = (offsets + 6 * np.asarray(hue, np.float32)) % 6
    colour: Plane = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return colour


def from_palette(palette: Plane, position: Plane) -> Plane:
    """A colour on the path through the rows of a palette (m x 3), position from 0 to 1."""
    last = len(palette) - 1
    place = np.clip(position, 0, 1) * last
    low = np.minimum(place.astype(np.intp), last - 1)
    share = place - low
    columns = palette.T  # 3 x m
    colour: Plane = columns[:, low] * (1 - share) + columns[:, low + 1] * share
    return colour


def finish(canvas: Plane) -> NDArray[np.uint8]:
    """The canvas as bytes, n x height x width x 3."""
    levels = np.clip(canvas, 0, 1)
    levels *= 255
    levels += 0.5
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 3, 0))
