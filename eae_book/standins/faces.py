"""Drawn faces, 64 x 64, framed like aligned photographs: the stand-in for CelebA.

Coordinates are [-1, 1]^2 with y downwards. (x, y) belong to the picture, (u, v) to the head, which
may be moved, scaled and tilted; features move further than the head when it turns (yaw, pitch).
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from eae_book.standins.factors import Factor, planes
from eae_book.standins.raster import (
    Plane,
    coverage,
    ellipse,
    finish,
    from_hsv,
    from_palette,
    paint,
    pixel_grid,
    rotate,
    spot,
)

SIZE = 64
PIXEL = 2 / SIZE

FACTORS = (
    Factor("x", -0.06, 0.06, "bell"),
    Factor("y", -0.05, 0.05, "bell"),
    Factor("size", 0.98, 1.16, "bell"),
    Factor("tilt", -0.18, 0.18, "bell"),
    Factor("yaw", -1, 1, "bell"),
    Factor("pitch", -1, 1, "bell"),
    Factor("light", -1, 1),
    Factor("skin", 0, 1),
    Factor("face_width", 0.46, 0.56, "bell"),
    Factor("jaw", 0.05, 0.4),
    Factor("hair_style", 0, 5, "choice"),
    Factor("hair_colour", 0, 1),
    Factor("hair_volume", 0.04, 0.16),
    Factor("hair_length", -0.1, 1.3),
    Factor("eye_colour", 0, 1),
    Factor("eye_opening", 0.6, 1.15, "bell"),
    Factor("eye_distance", 0.21, 0.26, "bell"),
    Factor("gaze", -1, 1, "bell"),
    Factor("brow_height", -1, 1, "bell"),
    Factor("brow_slope", -1, 1, "bell"),
    Factor("brow_weight", 0.5, 1.5),
    Factor("nose", 0.8, 1.3, "bell"),
    Factor("smile", -0.5, 1.2),
    Factor("mouth_opening", 0, 1, "rare"),
    Factor("mouth_width", 0.18, 0.26, "bell"),
    Factor("lip_colour", 0, 1),
    Factor("beard", 0, 1, "rare"),
    Factor("glasses", 0, 1, "rare"),
    Factor("background_hue", 0, 1),
    Factor("background_light", 0.25, 0.95),
    Factor("clothes_hue", 0, 1),
    Factor("clothes_light", 0.15, 0.9),
)

HAIR_STYLES = ("cropped", "parted left", "parted right", "fringe", "middle parting", "swept back")


def _table(rows: list[tuple[float, ...]]) -> Plane:
    return np.array(rows, np.float32)


SKIN_TONES = _table([(0.98, 0.85, 0.76), (0.93, 0.74, 0.60), (0.78, 0.56, 0.41), (0.55, 0.36, 0.25),
               (0.36, 0.23, 0.17)])  # fmt: skip
HAIR_TONES = _table([(0.08, 0.07, 0.08), (0.22, 0.13, 0.08), (0.42, 0.25, 0.13), (0.62, 0.30, 0.12),
               (0.87, 0.70, 0.38), (0.72, 0.70, 0.68)])  # fmt: skip
EYES_TONES = _table(
    [(0.22, 0.12, 0.07), (0.42, 0.27, 0.12), (0.30, 0.45, 0.25), (0.25, 0.45, 0.68)]
)
LIPS_TONES = _table([(0.72, 0.42, 0.38), (0.80, 0.30, 0.32), (0.66, 0.12, 0.22)])

# One row a hair style: height of the hairline, where it is highest, how fast it falls to the sides.
HAIRLINE = _table([(-0.47, 0.0, 0.45), (-0.55, -0.24, 0.62), (-0.55, 0.24, 0.62),
                   (-0.26, 0.0, -0.1), (-0.6, 0.0, 0.75), (-0.56, 0.0, 0.18)])  # fmt: skip

# Where in the picture each part can lie (rows, columns): only there are its pixels computed.
BODY = slice(40, SIZE), slice(0, SIZE)
FACE = slice(3, 63), slice(5, 59)
NOSE = slice(20, 50), slice(15, 49)
MOUTH = slice(34, 62), slice(12, 52)
BEARD = slice(32, SIZE), slice(8, 56)
EYES = slice(12, 43), slice(5, 59)
FRONT_HAIR = slice(0, 46), slice(0, SIZE)

Head = Mapping[str, Plane]
Region = tuple[slice, slice]


def render(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw the faces with the given factors (n x len(FACTORS)): n x 64 x 64 x 3 bytes."""
    f = planes(FACTORS, values)
    x, y = pixel_grid(SIZE)
    canvas = np.empty((3, len(values), SIZE, SIZE), np.float32)
    u, v = rotate((x - f["x"]) / f["size"], (y - 0.06 - f["y"]) / f["size"], f["tilt"])
    skin, hair = from_palette(SKIN_TONES, f["skin"]), from_palette(HAIR_TONES, f["hair_colour"])
    _background(canvas, x, y, f)
    # One outline and one set of strands serve the hair behind the head and the hair in front.
    outline, strands = _hair_outline(u, v, f), hair * _strands(u, v, f)
    _hair_behind(canvas, u, v, f, outline, 0.8 * strands)
    _body(canvas, x - f["x"], y - f["y"], f, skin)
    _skin(canvas, u, v, f, skin)
    _only_where(f["beard"] > 0, _beard, canvas, u, v, f, 0.3 * skin + 0.45 * hair)
    # What lies on the face turns with it; the hairline only half as far.
    fu, fv = u - 0.1 * f["yaw"], v - 0.06 * f["pitch"]
    _nose(canvas, fu, fv, f)
    _mouth(canvas, fu, fv, f)
    _eyes(canvas, fu, fv, f, hair)
    _hair_in_front(canvas, u, v, f, outline, strands)
    _only_where(f["glasses"] > 0, _glasses, canvas, fu, fv, f, hair)
    return finish(canvas)


def _only_where(
    chosen: NDArray[np.bool_],
    draw: Callable[[Plane, Plane, Plane, Head, Plane], None],
    canvas: Plane,
    u: Plane,
    v: Plane,
    f: Head,
    colour: Plane,
) -> None:
    """Call `draw` for the chosen images only: what is rare should cost little."""
    rows = np.flatnonzero(chosen)
    part = canvas[:, rows]
    draw(part, u[rows], v[rows], {name: f[name][rows] for name in f}, colour[:, rows])
    canvas[:, rows] = part


def _background(canvas: Plane, x: Plane, y: Plane, f: Head) -> None:
    light = f["background_light"]
    near = from_hsv(f["background_hue"], 0.35, light)
    far = from_hsv(f["background_hue"] + 0.08, 0.45, 0.55 * light)
    fade = np.clip(0.5 + 0.35 * y - 0.25 * x * f["light"], 0, 1)
    np.multiply(fade, far - near, out=canvas)
    canvas += near


def _body(canvas: Plane, x: Plane, y: Plane, f: Head, skin: Plane) -> None:
    x, y, canvas = x[..., BODY[1]], y[:, BODY[0]], canvas[..., *BODY]
    clothes = from_hsv(f["clothes_hue"], 0.5, f["clothes_light"])
    shade = 1 - 0.25 * np.square(x) + 0.1 * f["light"] * x
    paint(canvas, coverage(ellipse(x, y - 1.35, 0.95, 0.58), PIXEL), clothes * shade)
    neck = np.abs(x) - 0.25 - 0.35 * np.square(np.maximum(y - 0.6, 0))
    neckline = ellipse(x, y - 0.7, 0.34, 0.34)
    shadow = 0.72 + 0.3 * np.clip(y - 0.65, 0, 0.5)  # under the chin
    paint(canvas, coverage(np.maximum(neck, neckline), PIXEL), skin * shadow)


def _skin(canvas: Plane, u: Plane, v: Plane, f: Head, skin: Plane) -> None:
    u, v, canvas = _crop(FACE, u, v, canvas)
    a = f["face_width"]
    ears = ellipse(np.abs(u) - a, v - 0.02, 0.07, 0.13)
    paint(canvas, coverage(ears, PIXEL), skin * 0.85)
    jaw = 1 - f["jaw"] * np.square(np.clip(v, 0, 1))  # narrower towards the chin
    p = u / jaw
    q = np.square(p / a) + np.square(v / 0.7)
    shade = 1.04 + 0.14 * f["light"] * u / a - 0.16 * q * q - 0.05 * v
    cheeks = spot(np.abs(u - 0.08 * f["yaw"]) - 0.28, v - 0.2, 0.15, 0.12)
    colour = skin * shade
    colour[1:] *= 1 - 0.10 * cheeks
    paint(canvas, coverage(ellipse(p, v, a, 0.7), PIXEL), colour)


def _hair_outline(u: Plane, v: Plane, f: Head) -> Plane:
    volume = f["hair_volume"]
    return ellipse(u, v + 0.16, f["face_width"] + volume, 0.6 + volume)


def _strands(u: Plane, v: Plane, f: Head) -> Plane:
    shine = np.exp(-np.square((v + 0.5 - 0.25 * u * u) / 0.14))
    fibres: Plane = 0.06 * np.sin(34 * u + 9 * u * v)
    return fibres + 0.3 * shine + 0.15 * f["light"] * u + 0.85


def _hair_behind(canvas: Plane, u: Plane, v: Plane, f: Head, outline: Plane, colour: Plane) -> None:
    width = f["face_width"] + f["hair_volume"] + 0.06 * np.clip(v, 0, 1)
    length = f["hair_length"]
    # A curtain from the crown down to the length, its lower corners rounded.
    down = np.maximum(-0.16 - v, v - length)
    side = np.abs(u) - width
    curtain = np.maximum(np.maximum(side, down), side + down + 0.12)
    paint(canvas, coverage(np.minimum(outline, curtain), PIXEL), colour)


def _hair_in_front(
    canvas: Plane, u: Plane, v: Plane, f: Head, outline: Plane, colour: Plane
) -> None:
    u, v, canvas = _crop(FRONT_HAIR, u, v, canvas)
    outline, colour = outline[..., *FRONT_HAIR], colour[..., *FRONT_HAIR]
    style = HAIRLINE[f["hair_style"].astype(np.intp)]  # n x 1 x 1 x 3
    height, parting, fall = style[..., 0], style[..., 1], style[..., 2]
    away = np.abs(u - parting - 0.05 * f["yaw"])
    line = v - (height + fall * away**1.4 + 0.012 * np.sin(26 * u))
    paint(canvas, coverage(np.maximum(outline, line), 1.5 * PIXEL), colour)


def _nose(canvas: Plane, u: Plane, v: Plane, f: Head) -> None:
    u, v, canvas = _crop(NOSE, u - 0.06 * f["yaw"], v, canvas)
    tip = 0.1 + 0.1 * f["nose"]
    width = 0.075 * f["nose"]
    ridge = spot(u + 0.06 * f["light"] + 0.03 * f["yaw"], v - tip / 2 + 0.05, 0.035, 0.16)
    under = spot(u, v - tip - 0.03, width, 0.03)
    nostrils = spot(np.abs(u) - 0.55 * width, v - tip - 0.02, 0.028, 0.02)
    canvas *= 1 - 0.14 * ridge - 0.22 * under - 0.4 * nostrils
    canvas += 0.10 * spot(u - 0.02 * f["light"], v - tip + 0.05, 0.04, 0.05)


def _mouth(canvas: Plane, u: Plane, v: Plane, f: Head) -> None:
    u, v, canvas = _crop(MOUTH, u, v, canvas)
    width = f["mouth_width"] * (1 + 0.2 * f["smile"])
    bow = np.square(u / width)
    full = np.clip(1 - bow, 0, 1)
    line = 0.40 + 0.07 * f["smile"] * (0.6 - bow)
    opening = 0.12 * f["mouth_opening"] * full
    lips = from_palette(LIPS_TONES, f["lip_colour"]) * (1 - 0.45 * f["skin"])
    upper, lower = line - 0.045 * full, line + opening + 0.06 * full
    ends = np.abs(u) - width
    paint(canvas, 0.9 * coverage(_between(v, upper, lower, ends), PIXEL), lips)
    # The line between the lips is never thinner than a pixel, the open mouth shows teeth on top.
    inside = _between(v, line - 0.012, line + opening + 0.012, ends)
    paint(canvas, 0.8 * coverage(inside, PIXEL), lips * 0.3)
    teeth = _between(v, line, line + 0.55 * opening, ends + 0.03)
    paint(canvas, coverage(teeth, PIXEL), np.full((3, 1, 1, 1), 0.93, np.float32))


def _crop(region: Region, u: Plane, v: Plane, canvas: Plane) -> tuple[Plane, Plane, Plane]:
    return u[..., *region], v[..., *region], canvas[..., *region]


def _between(v: Plane, top: Plane, bottom: Plane, ends: Plane) -> Plane:
    across: Plane = np.maximum(top - v, v - bottom)
    return np.maximum(across, ends)


def _beard(canvas: Plane, u: Plane, v: Plane, f: Head, colour: Plane) -> None:
    u, v, canvas = _crop(BEARD, u, v, canvas)
    a = f["face_width"]
    jaw = 1 - f["jaw"] * np.square(np.clip(v, 0, 1))
    shape = np.maximum(ellipse(u / jaw, v, a, 0.71), 0.22 + 0.9 * (0.3 - np.abs(u)) ** 2 - v)
    strength = np.minimum(1.2 * f["beard"], 0.85)
    paint(canvas, strength * coverage(shape, 0.12), colour)


def _eye_frame(u: Plane, v: Plane, f: Head) -> tuple[Plane, Plane, Plane]:
    """Side of the face (-1 or 1) and coordinates around the eye of that side, outwards positive."""
    side = np.sign(u)
    near = 1 - 0.18 * f["yaw"] * side  # the far half of a turned face is narrower
    return side, np.abs(u) / near - f["eye_distance"], v + 0.1


def _eyes(canvas: Plane, u: Plane, v: Plane, f: Head, hair: Plane) -> None:
    u, v, canvas = _crop(EYES, u, v, canvas)
    side, du, dv = _eye_frame(u, v, f)
    canvas *= 1 - 0.20 * spot(du, dv + 0.02, 0.16, 0.1)  # the socket
    half = 0.062 * f["eye_opening"] * np.where(dv < 0, 1.0, 0.75).astype(np.float32)
    lens = ellipse(du, dv, 0.115, half)
    inside = coverage(lens, PIXEL)
    paint(canvas, inside, np.full((3, 1, 1, 1), 0.94, np.float32))
    gu = du - 0.035 * side * f["gaze"]
    r = np.sqrt(np.square(gu) + np.square(dv + 0.005))
    paint(canvas, inside * coverage(r - 0.058, PIXEL), from_palette(EYES_TONES, f["eye_colour"]))
    black = np.full((3, 1, 1, 1), 0.05, np.float32)
    paint(canvas, inside * coverage(r - 0.026, PIXEL), black)
    canvas += 0.8 * inside * spot(gu + 0.02 * side, dv + 0.025, 0.018, 0.018)
    lid = np.abs(lens) - 0.008
    paint(canvas, 0.8 * coverage(lid, PIXEL) * (dv < 0.01), black)
    brow = -0.16 - 0.025 * f["brow_height"] + 0.05 * f["brow_slope"] * du + 1.6 * du * du
    thick = 0.022 * f["brow_weight"] * np.clip(1.2 - 3 * du, 0.4, 1.3)
    stroke = np.maximum(np.abs(dv - brow) - thick, np.abs(du) - 0.14)
    paint(canvas, 0.85 * coverage(stroke, 1.3 * PIXEL), hair * 0.7)


def _glasses(canvas: Plane, u: Plane, v: Plane, f: Head, hair: Plane) -> None:
    u, v, canvas = _crop(EYES, u, v, canvas)
    _, du, dv = _eye_frame(u, v, f)
    ring = np.abs(ellipse(du, dv - 0.02, 0.17, 0.13)) - 0.012
    bridge = np.maximum(np.abs(dv + 0.02) - 0.012, du + 0.16)
    arm = np.maximum(np.abs(dv) - 0.012, np.maximum(0.16 - du, np.abs(u) - 0.55))
    frame = np.minimum(np.minimum(ring, bridge), arm)
    paint(canvas, coverage(frame, PIXEL), from_hsv(f["glasses"], 0.5, 0.3) + 0.1 * hair)
