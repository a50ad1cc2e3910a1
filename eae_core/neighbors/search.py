"""One function for every engine.

Every engine returns the same answer, the k nearest neighbours of each point; they differ in speed
only. None holds an n x m matrix, and none is approximate: an approximate neighbour is farther away
than the true one, and in high dimension that alone adds whole nats to an entropy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from eae_core.neighbors.engines import memory_to_use, search_dense, search_kdtree, tree_bytes
from eae_core.neighbors.products import DENSE_WORK, search_blocked

Engine = Literal["auto", "dense", "blocked", "kdtree"]
ENGINES: tuple[str, ...] = get_args(Engine)
SEARCHES: dict[str, Callable[[Tensor, Tensor, int, Tensor | None, int], Tensor]] = {
    "dense": search_dense,
    "blocked": search_blocked,
    "kdtree": search_kdtree,
}
#: Squares keep their digits for coordinates up to the first, and distances down to the second. For
#: points beyond, the unit is first the third, then 1, then the fourth.
RANGES = {
    torch.float32: (1e16, 2.0**-50, 2.0**80, 2.0**-100),
    torch.float64: (1e140, 2.0**-480, 2.0**560, 2.0**-960),
}
CHUNK = 2**22  # bytes of neighbours that are measured at a time


class Neighbors(NamedTuple):
    """The k-th nearest neighbour of each query point, or all up to it."""

    distances: Tensor  # (n,) or (n, k) in the dtype of the points
    indices: Tensor  # likewise, int64, rows of the searched set


def nearest_neighbors(
    x: Tensor,
    y: Tensor | None = None,
    *,
    k: int = 1,
    exclude: Tensor | None = None,
    every: bool = False,
    engine: Engine = "auto",
    memory_limit: int | None = None,
    validate: bool = True,
) -> Neighbors:
    """Find the k-th nearest neighbour of every row of ``x``, exactly and without gradient.

    Args:
        x: (n, d) query points, float32 or float64.
        y: (m, d) points to search. None searches ``x`` itself, leaving each point out of its own
            neighbours by its index, so that duplicated points do find each other, at distance zero.
        k: which neighbour, 1 for the nearest.
        exclude: (n,) int64, the row of ``y`` that each query is and that is not its neighbour.
        every: give all neighbours up to the k-th, the nearest first.
        engine: ``"dense"`` subtracts coordinates; ``"blocked"`` ranks by matrix products and
            settles by subtraction what rounding leaves open; ``"kdtree"`` is SciPy's tree.
            ``"auto"`` takes the quickest, see :func:`choose_engine`.
        memory_limit: bytes of working memory beside points and result; None: a share of the free.
        validate: look for NaN and infinity, and for points whose squares leave the range of their
            dtype, which are searched in another unit. False is for finite points of ordinary size,
            and spares a GPU the wait.

    Returns:
        distances and indices of the k-th neighbours, (n,) each, or (n, k) with ``every``. A
        distance beyond the largest float32 is infinite.

    Raises:
        TypeError: points that are no tensors, or k is no integer.
        ValueError: points that do not fit each other, are not finite or too far apart for float64;
            k, rows to exclude or an engine that there are not; too small a memory limit.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [3.0]])
        >>> nearest_neighbors(points).distances
        tensor([1., 1., 2.])
        >>> nearest_neighbors(points, k=2, every=True).indices.tolist()
        [[1, 2], [0, 2], [1, 0]]
    """
    _check_search(x, y, k, exclude, engine)
    x = x.detach()
    if y is None:
        y, exclude = x, torch.arange(len(x), device=x.device)
    else:
        y = y.detach()
    if len(x) == 0:
        distances, indices = x.new_empty(0, k), torch.empty(0, k, dtype=torch.int64).to(x.device)
    else:
        small = len(x) * len(y) <= 2**20 or torch.compiler.is_compiling()
        limit = memory_to_use(x.device, memory_limit, small=small)
        distances, indices = _search(x, y, k, exclude, every, engine, limit, validate)
        distances = distances.to(x.dtype)
    return Neighbors(distances, indices) if every else Neighbors(distances[:, -1], indices[:, -1])


def knn_distances(
    x: Tensor,
    y: Tensor | None = None,
    *,
    k: int = 1,
    engine: Engine = "auto",
    memory_limit: int | None = None,
) -> Tensor:
    """Distance (n,) of every row of ``x`` to its k-th neighbour, see :func:`nearest_neighbors`.

    Example:
        >>> knn_distances(torch.tensor([[0.0]]), torch.tensor([[3.0], [-1.0]]), k=2)
        tensor([3.])
    """
    return nearest_neighbors(x, y, k=k, engine=engine, memory_limit=memory_limit).distances


def choose_engine(device: str, n: int, m: int, d: int, k: int) -> Engine:
    """The quickest engine for n queries among m points, by what ``benchmarks/engines.py`` measured.

    A tree wins where there are many points for the dimension, and queries enough to pay for
    building it, subtraction among few points; products win elsewhere. On a GPU there is no tree,
    and subtraction wins among few points and in few dimensions.
    """
    if device != "cpu":
        return "dense" if n * m <= 2**22 or d <= 2 else "blocked"
    few = (10 * 2.35 ** min(d, 64)) if k == 1 else 3.4 ** min(d, 64)  # a tree opens most leaves
    if m > few and n > 30 * math.log2(m):
        return "kdtree"
    return "dense" if n * m * d <= DENSE_WORK else "blocked"


def lengths(differences: Tensor) -> Tensor:
    """Norms (...) of (..., d), whatever their size, with gradient; of float32 in float64.

    Example:
        >>> lengths(torch.tensor([[3e-30, 4e-30]]))
        tensor([5.0000e-30], dtype=torch.float64)
    """
    norm = torch.linalg.vector_norm
    if differences.dtype == torch.float32 and differences.device.type != "mps":
        return norm(differences, dim=-1, dtype=torch.float64)  # type: ignore[no-any-return]
    # Nothing is wider: squares of numbers near 1, whatever the size of the points.
    size = norm(differences.detach(), math.inf, dim=-1, keepdim=True)
    size = size.clamp(min=torch.finfo(size.dtype).tiny)
    return norm(differences / size, dim=-1) * size[..., 0]  # type: ignore[no-any-return]


def _search(
    x: Tensor,
    y: Tensor,
    k: int,
    exclude: Tensor | None,
    every: bool,
    engine: Engine,
    limit: int,
    validate: bool,
) -> tuple[Tensor, Tensor]:
    """Distances and indices, (n, k) the nearest first or (n, 1) of the k-th."""
    if engine == "auto":
        engine = choose_engine(x.device.type, len(x), len(y), x.shape[1], k)
        if torch.compiler.is_compiling():
            engine = "dense"  # one graph: nothing waits for a value
        elif engine == "kdtree" and 2 * tree_bytes(*y.shape) > limit:
            engine = "blocked"
    largest, vanishing, coarse, fine = RANGES[x.dtype]
    unit = coarse if validate and _largest_coordinate(x, y) > largest else 1.0
    a, b = (x, y) if unit == 1 else (x / unit, y / unit)
    found = SEARCHES[engine](a, a if y is x else b, k, exclude, limit)
    distances, indices = _ranked(a, b, found, every, limit)
    if validate:
        distances = distances if unit == 1 else distances * unit
        for held, finer in pairwise(dict.fromkeys((unit, 1.0, fine))):
            lost = (distances[:, -1] < held * vanishing).nonzero()[:, 0]
            if len(lost):
                own = None if exclude is None else exclude[lost]
                found = search_dense(x[lost], y, k, own, limit, finer)
                distances[lost], indices[lost] = _ranked(x[lost], y, found, every, limit)
    return distances, indices


def _ranked(x: Tensor, y: Tensor, found: Tensor, every: bool, limit: int) -> tuple[Tensor, Tensor]:
    """Measure neighbours (n, k), the k-th last, and put them in order."""
    found = found if every else found[:, -1:]
    each = found.shape[1] * (x.shape[1] * (x.element_size() + 8) + 32)
    rows = max(1, min(CHUNK, limit // 2) // each)
    if rows < len(x):
        pairs = zip(x.split(rows), found.split(rows), strict=True)
        parts = [_ranked(part, y, columns, every, limit) for part, columns in pairs]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
    if found.shape[1] == 1:
        return lengths(x - y.index_select(0, found[:, 0]))[:, None], found
    distances, order = lengths(x[:, None] - y[found]).sort(dim=1, stable=True)
    return distances, found.gather(1, order)


def _largest_coordinate(x: Tensor, y: Tensor) -> float:
    """Of points that are finite, and whose distances are."""
    ends = [float(end) for points in ((x,) if y is x else (x, y)) for end in points.aminmax()]
    span = math.sqrt(x.shape[1]) * (max(ends) - min(ends))
    if not all(map(math.isfinite, (span, *ends))):
        for name, points in (("x", x), ("y", y)):
            if bad := int((~points.isfinite().all(1)).sum()):
                raise ValueError(
                    f"{bad} rows of {name} hold NaN or infinity, which are near to nothing; "
                    f"leave them out, e.g. {name}[{name}.isfinite().all(1)]"
                )
        raise ValueError("points lie farther apart than float64 can hold: scale them down")
    return max(map(abs, ends))


def _check_search(x: Tensor, y: Tensor | None, k: int, exclude: Tensor | None, engine: str) -> None:
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
    check_number(k)
    given: dict[str, Any] = {"x": x} if y is None else {"x": x, "y": y}
    for name, points in given.items():
        if not isinstance(points, Tensor):
            kind = type(points).__name__
            raise TypeError(
                f"{name} must be a torch.Tensor, got {kind}; try torch.as_tensor({name})"
            )
    if any(p.ndim != 2 or p.shape[1] != x.shape[1] or p.shape[1] == 0 for p in given.values()):
        shapes = ", ".join(f"{name} {tuple(points.shape)}" for name, points in given.items())
        raise ValueError(f"points must be n x d and m x d with the same d >= 1, got {shapes}")
    if any(points.dtype not in RANGES or points.dtype != x.dtype for points in given.values()):
        types = ", ".join(f"{name} {points.dtype}" for name, points in given.items())
        raise ValueError(f"points must be float32 or float64, both alike, got {types}")
    if y is not None and y.device != x.device:
        raise ValueError(f"points must be on one device: x {x.device}, y {y.device}")
    available = len(x) - 1 if y is None else len(y) - (exclude is not None)
    if available < 1:
        sizes = f"x has {len(x)}" + ("" if y is None else f", y {len(y)}")
        raise ValueError(f"a neighbour number k = {k} needs other points: {sizes}")
    if not 1 <= k <= available:
        raise ValueError(f"k must lie in 1..{available} for these points, got k = {k}")
    if exclude is not None:
        _check_exclude(x, y, exclude)


def check_number(k: object) -> None:
    """Raise TypeError unless k is a whole number, NumPy's too."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
        raise TypeError(f"k must be an integer, got {k!r}")


def _check_exclude(x: Tensor, y: Tensor | None, exclude: Tensor) -> None:
    if y is None or not isinstance(exclude, Tensor) or exclude.shape != x.shape[:1]:
        raise ValueError("exclude names one row of y for each row of x; it needs y")
    if exclude.dtype != torch.int64 or exclude.device != x.device:
        raise ValueError(
            f"exclude must be torch.int64 on {x.device}, got {exclude.dtype} on {exclude.device}"
        )
    # On a GPU the search itself stops at a row that is not there; looking here would wait for it.
    if exclude.device.type == "cpu" and ((exclude < 0) | (exclude >= len(y))).any():
        raise ValueError(f"exclude must hold rows of y, 0..{len(y) - 1}")
