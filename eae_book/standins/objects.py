"""Drawn colour objects, 32 x 32: one shaded shape and its shadow, the stand-in for CIFAR-10."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eae_book.standins.factors import Factor, planes
from eae_book.standins.raster import Plane, coverage, finish, from_hsv, paint, pixel_grid, rotate

SIZE = 32
PIXEL = 2 / SIZE

FACTORS = (
    Factor("shape", 0, 8, "choice"),
    Factor("x", -0.38, 0.38, "bell"),
    Factor("y", -0.38, 0.38, "bell"),
    Factor("size", 0.42, 0.74),
    Factor("rotation", -np.pi, np.pi),
    Factor("hue", 0, 1),
    Factor("saturation", 0.45, 1.0),
    Factor("lightness", 0.55, 1.0),
    Factor("light", -1, 1),
    Factor("background_hue", 0, 1),
    Factor("background_saturation", 0.05, 0.6),
    Factor("background_lightness", 0.25, 0.95),
    Factor("background_slope", -1, 1),
)


def render(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw the objects with the given factors (n x len(FACTORS)): n x 32 x 32 x 3 bytes."""
    f = planes(FACTORS, values)
    x, y = pixel_grid(SIZE)
    canvas = np.empty((3, len(values), SIZE, SIZE), np.float32)
    near = from_hsv(f["background_hue"], f["background_saturation"], f["background_lightness"])
    fade = np.clip(0.8 + 0.2 * x * f["background_slope"] - 0.25 * y, 0, 1.2)
    np.multiply(near, fade, out=canvas)

    shape = values[:, 0].astype(np.intp)
    shift = -0.12 * f["light"]  # the shadow falls away from the light
    shadow = _distance(shape, x - f["x"] - shift, y - f["y"] - 0.12, f["size"], f["rotation"])
    paint(canvas, 0.45 * coverage(shadow, 4 * PIXEL), 0.25 * near)

    dx, dy = x - f["x"], y - f["y"]
    edge = _distance(shape, dx, dy, f["size"], f["rotation"])
    u, _ = rotate(dx, dy, f["rotation"])
    # A hue that changes along the object's own axis shows the rotation even of a disc.
    colour = from_hsv(f["hue"] + 0.1 * u / f["size"], f["saturation"], f["lightness"])
    shade = 0.95 + (0.25 * f["light"] * dx - 0.25 * dy) / f["size"]
    rim = 1 - 0.35 * np.exp(-np.square(edge / 0.07))
    paint(canvas, coverage(edge, PIXEL), colour * (shade * rim))
    return finish(canvas)


def _distance(shape: NDArray[np.intp], x: Plane, y: Plane, size: Plane, rotation: Plane) -> Plane:
    """Signed distance to each image's own shape, in units of the picture."""
    u, v = rotate(x, y, rotation)
    u, v = u / size, v / size
    distance: Plane = np.empty(u.shape, np.float32)
    for kind, outline in enumerate(SHAPES.values()):
        rows = np.flatnonzero(shape == kind)
        distance[rows] = outline(u[rows], v[rows])
    distance *= size
    return distance


def _disc(u: Plane, v: Plane, radius: float = 0.88) -> Plane:
    distance: Plane = np.sqrt(u * u + v * v)
    return distance - radius


def _box(u: Plane, v: Plane, a: float, b: float) -> Plane:
    return np.maximum(np.abs(u) - a, np.abs(v) - b)


def _triangle(u: Plane, v: Plane) -> Plane:
    """Equal sides, one corner pointing up: the common part of three half-planes."""
    slanted = float(np.sqrt(0.75)) * np.abs(u) - 0.5 * v
    return np.maximum(slanted, v) - 0.5


def _bar(u: Plane, v: Plane) -> Plane:
    """A bar with round ends."""
    distance: Plane = np.hypot(np.maximum(np.abs(u) - 0.58, 0), v)
    return distance - 0.36


def _star(u: Plane, v: Plane) -> Plane:
    """A five-pointed star: fold the plane onto one of its ten half-points, then one edge."""
    sector = float(np.pi / 5)
    radius, angle = np.hypot(u, v), np.arctan2(u, -v)
    angle = np.abs((angle + sector) % (2 * sector) - sector)  # 0 at a point, pi/5 at a notch
    p, q = radius * np.cos(angle), radius * np.sin(angle)
    tip, notch = 1.0, 0.45
    dx, dy = notch * np.cos(sector) - tip, notch * np.sin(sector)
    length = float(np.hypot(dx, dy))
    across: Plane = dy * (p - tip) - dx * q
    return (across / length).astype(np.float32)


def _ring(u: Plane, v: Plane) -> Plane:
    return np.abs(_disc(u, v, 0.62)) - 0.25


def _cross(u: Plane, v: Plane) -> Plane:
    return np.minimum(_box(u, v, 0.92, 0.3), _box(u, v, 0.3, 0.92))


def _heart(u: Plane, v: Plane) -> Plane:
    """A square on its corner with a disc on each of the two upper sides."""
    p, q = (u + v - 0.15) * float(np.sqrt(0.5)), (v - u - 0.15) * float(np.sqrt(0.5))
    half = 0.5
    lobes = np.minimum(_disc(p, q + half, half), _disc(p + half, q, half))
    return np.minimum(_box(p, q, half, half), lobes)


def _crescent(u: Plane, v: Plane) -> Plane:
    return np.maximum(_disc(u, v, 0.9), -_disc(u - 0.45, v, 0.72))


SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "disc": _disc,
    "square": lambda u, v: _box(u, v, 0.76, 0.76),
    "triangle": _triangle,
    "bar": _bar,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "heart": _heart,
    "crescent": _crescent,
}
