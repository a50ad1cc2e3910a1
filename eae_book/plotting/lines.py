"""Lines with what they need to be read: a band over seeds, the true value, direct names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from .style import COLORS

_MAX_DIRECT_LABELS = 4


def band(
    ax: Axes,
    x: ArrayLike,
    ys: ArrayLike | torch.Tensor,
    *,
    label: str = "",
    color: str | None = None,
    spread: Literal["sd", "range"] = "sd",
) -> Line2D:
    """Draw the mean over seeds as a line, and the spread over seeds as a band around it.

    Args:
        ax: where to draw.
        x: the common abscissae, one for each point.
        ys: seeds x points; a single curve (points) is drawn as a line without a band.
        label: name of the line, for `label_lines` or a legend.
        color: a colour, usually `COLORS[...]`; the next of the cycle by default.
        spread: "sd" for one standard deviation (n - 1 in the denominator) on either side,
            "range" for smallest to largest. Say in the caption which one it is.

    Returns:
        The line of the mean.

    Raises:
        ValueError: the lengths of `x` and `ys` do not agree, or `spread` is neither of the two.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> _, ax = plt.subplots()
        >>> line = band(ax, [1, 2, 3], [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], label="two seeds")
        >>> line.get_ydata().tolist()
        [2.0, 3.0, 4.0]
        >>> plt.close("all")
    """
    abscissae = np.asarray(x, dtype=float)
    curves = np.atleast_2d(np.asarray(_plain(ys), dtype=float))
    if abscissae.ndim != 1 or curves.ndim != 2 or curves.shape[1] != len(abscissae):
        raise ValueError(
            f"band needs x of shape (points,) and ys of shape (seeds, points), got "
            f"{abscissae.shape} and {curves.shape}"
        )
    if spread not in ("sd", "range"):
        raise ValueError(f'spread must be "sd" or "range", got {spread!r}')
    mean = curves.mean(axis=0)
    (line,) = ax.plot(abscissae, mean, label=label or "_nolegend_", color=color)
    if len(curves) > 1:
        sd = curves.std(axis=0, ddof=1)
        low, high = (
            (mean - sd, mean + sd) if spread == "sd" else (curves.min(axis=0), curves.max(axis=0))
        )
        ax.fill_between(abscissae, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return line


def truth_line(
    ax: Axes,
    value: float,
    label: str = "",
    *,
    axis: Literal["y", "x"] = "y",
    side: Literal["start", "end"] = "start",
) -> Line2D:
    """Draw a known value as a dashed line, with its name written along it.

    Args:
        ax: where to draw.
        value: the known value, in the axis's unit.
        label: its name.
        axis: "y" for a horizontal line at y = `value`, "x" for a vertical one.
        side: the end of the line at which the name stands.

    Returns:
        The dashed line.

    Raises:
        ValueError: `axis` or `side` is not one of the two named.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> _, ax = plt.subplots()
        >>> truth_line(ax, 1.4189, "Gaussian").get_linestyle()
        '--'
        >>> plt.close("all")
    """
    if axis not in ("y", "x") or side not in ("start", "end"):
        raise ValueError(
            f'axis must be "y" or "x" and side "start" or "end", got {axis!r} and {side!r}'
        )
    draw = ax.axhline if axis == "y" else ax.axvline
    line = draw(value, linestyle="--", linewidth=1.2, color=COLORS["truth"], zorder=3)
    along = 0.01 if side == "start" else 0.99
    text = ax.annotate(
        label,
        xy=(along, value) if axis == "y" else (value, along),
        xycoords=ax.get_yaxis_transform() if axis == "y" else ax.get_xaxis_transform(),
        xytext=(0, 3) if axis == "y" else (-3, 0),
        textcoords="offset points",
        ha=("left" if side == "start" else "right") if axis == "y" else "right",
        va="bottom" if axis == "y" or side == "start" else "top",
        rotation=0 if axis == "y" else 90,
        color=COLORS["truth"],
        fontsize="small",
    )
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    return line


def label_lines(ax: Axes, *, fontsize: str = "small") -> None:
    """Write each labelled line's name at its right end, in its colour, instead of a legend.

    A line that leaves the axes has its name at the last point within them.

    Call it last: names are spread so that they do not overlap at the axes' present limits.

    Args:
        ax: axes with one to four labelled lines.
        fontsize: matplotlib's size of the names.

    Raises:
        ValueError: no line has a label, or more than four have one (use `ax.legend()` there).

    Example:
        >>> import matplotlib.pyplot as plt
        >>> _, ax = plt.subplots()
        >>> for weight in (0.0, 1.0):
        ...     _ = ax.plot([1, 2, 3], [weight, weight, weight], label=f"weight {weight:g}")
        >>> label_lines(ax)
        >>> [text.get_text() for text in ax.texts]
        ['weight 0', 'weight 1']
        >>> plt.close("all")
    """
    lines = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    if not 1 <= len(lines) <= _MAX_DIRECT_LABELS:
        raise ValueError(
            f"label_lines names one to {_MAX_DIRECT_LABELS} labelled lines, found {len(lines)}; "
            "give the lines labels, or use ax.legend() for more"
        )
    ax.autoscale_view()
    ends = [_right_end(ax, line) for line in lines]
    heights = [ax.transData.transform(end)[1] * 72.0 / ax.figure.dpi for end in ends]  # points
    size = FontProperties(size=fontsize).get_size_in_points()
    for line, end, height, spread in zip(
        lines, ends, heights, _spread(heights, 1.2 * size), strict=True
    ):
        ax.annotate(
            str(line.get_label()),
            xy=end,
            xytext=(6, spread - height),
            textcoords="offset points",
            va="center",
            color=line.get_color(),
            fontsize=fontsize,
            annotation_clip=False,
        )


def _right_end(ax: Axes, line: Line2D) -> tuple[float, float]:
    """The last finite point of a line, in the order of x, that lies within the axes if any does."""
    points = np.asarray(line.get_xydata(), dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        raise ValueError(f"the line {line.get_label()!r} has no finite point to put its name at")
    least, most = np.sort([ax.get_xlim(), ax.get_ylim()], axis=1).T
    inside = points[((points >= least) & (points <= most)).all(axis=1)]
    points = inside if len(inside) else points
    x, y = points[points[:, 0].argmax()]
    return float(x), float(y)


def _spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights apart as little as needed, so that neighbours are at least `gap` away."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[tuple[float, list[int]]] = []  # (centre, members from low to high)
    for i in order:
        centre, members = heights[i], [i]
        # A group that reaches into the one below joins it, centred on the members' mean height.
        while groups and centre - groups[-1][0] < gap * (len(members) + len(groups[-1][1])) / 2:
            members = groups.pop()[1] + members
            centre = sum(heights[j] for j in members) / len(members)
        groups.append((centre, members))
    placed = list(heights)
    for centre, members in groups:
        for rank, i in enumerate(members):
            placed[i] = centre + gap * (rank - (len(members) - 1) / 2)
    return placed


def _plain(values: ArrayLike | torch.Tensor) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
