"""One function for every engine.

Every engine returns the same answer, the index of the k-th neighbour and its distance; they differ
in speed only. None holds an n x m matrix, and none is approximate: an approximate neighbour is
farther away than the true one, and in high dimension that alone adds whole nats to an entropy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from eae_core.neighbors.blocked import search_blocked
from eae_core.neighbors.choice import choose_engine
from eae_core.neighbors.dense import search_dense
from eae_core.neighbors.memory import memory_to_use
from eae_core.neighbors.packages import search_faiss, search_keops
from eae_core.neighbors.scale import distances, safe_to_square
from eae_core.neighbors.tree import search_kdtree

Engine = Literal["auto", "dense", "blocked", "kdtree", "faiss", "keops"]
ENGINES: tuple[str, ...] = get_args(Engine)

_SEARCHES: dict[str, Callable[[Tensor, Tensor, int, Tensor | None, int], Tensor]] = {
    "dense": search_dense,
    "blocked": search_blocked,
    "kdtree": search_kdtree,
    "faiss": search_faiss,
    "keops": search_keops,
}


class Neighbors(NamedTuple):
    """The k-th nearest neighbour of each query point."""

    distances: Tensor  # (n,) in the dtype of the points
    indices: Tensor  # (n,) int64, rows of the searched set


def nearest_neighbors(
    x: Tensor,
    y: Tensor | None = None,
    *,
    k: int = 1,
    exclude: Tensor | None = None,
    engine: Engine = "auto",
    memory_limit: int | None = None,
) -> Neighbors:
    """Find the k-th nearest neighbour of every row of ``x``, exactly and without gradient.

    Args:
        x: (n, d) query points, float32 or float64.
        y: (m, d) points to search. None searches ``x`` itself, leaving each point out of its own
            neighbours by its index, so that duplicated points do find each other, at distance zero.
        k: which neighbour, 1 for the nearest.
        exclude: (n,) int64, the row of ``y`` that each query is, where ``x`` is a part of ``y``: it
            is no neighbour of its own. Only with ``y``.
        engine: ``"dense"`` subtracts coordinates; ``"blocked"`` ranks by matrix products and
            settles by subtraction what rounding leaves open; ``"kdtree"`` is SciPy's tree;
            ``"faiss"`` and ``"keops"`` use these packages where they are installed. ``"auto"``
            takes the quickest of the first three from a measured table, by device, n, d and k.
        memory_limit: bytes of working memory beside the points and the result (a tree and FAISS
            need a copy of the points besides). None takes a share of what is free.

    Returns:
        distances (n,) and indices (n,) of the k-th neighbours. Points whose squares would leave
        the range of their dtype, from about 1e-6 down or 1e16 up in float32, are searched in
        float64 (and in float64 at another scale), so the answer is exact for them too.

    Raises:
        TypeError: points that are no tensors, or k is no integer.
        ValueError: shapes, dtypes or devices that do not fit, NaN or infinity, k outside 1..m
            (1..m-1 where a row is left out), rows to exclude that y does not have, an unknown
            engine, or a memory limit too small for one query.
        ImportError: the engine's package is not installed.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [3.0]])
        >>> nearest_neighbors(points).distances
        tensor([1., 1., 2.])
        >>> nearest_neighbors(points, k=2).indices
        tensor([2, 2, 0])
    """
    indices = neighbor_indices(x, y, k=k, exclude=exclude, engine=engine, memory_limit=memory_limit)
    x, y = x.detach(), (x if y is None else y).detach()
    return Neighbors(distances(x, y[indices]), indices)


def neighbor_indices(
    x: Tensor,
    y: Tensor | None = None,
    *,
    k: int = 1,
    exclude: Tensor | None = None,
    engine: Engine = "auto",
    memory_limit: int | None = None,
    validate: bool = True,
) -> Tensor:
    """Row (n,) of the k-th neighbour of every row of ``x``: :func:`nearest_neighbors` without the
    distances, for a caller that measures them with gradient.

    ``validate=False`` neither looks for NaN and infinity nor at the size of the points, for which a
    GPU must have finished computing them; it is for finite points of ordinary size.

    Example:
        >>> neighbor_indices(torch.tensor([[0.0], [1.0], [3.0]]))
        tensor([1, 0, 1])
    """
    _check_search(x, y, k, exclude, engine)
    x = x.detach()
    if y is None:
        y, exclude = x, torch.arange(len(x), device=x.device)
    else:
        y = y.detach()
    if validate:
        x, y = safe_to_square(x, y)
    if len(x) == 0:
        return torch.empty(0, dtype=torch.int64, device=x.device)
    if engine == "auto":
        engine = choose_engine(x.device.type, len(x), len(y), x.shape[1], k)
    limit = memory_to_use(x.device, memory_limit, small=len(x) * len(y) <= 2**20)
    return _SEARCHES[engine](x, y, k, exclude, limit)


def knn_distances(
    x: Tensor,
    y: Tensor | None = None,
    *,
    k: int = 1,
    engine: Engine = "auto",
    memory_limit: int | None = None,
) -> Tensor:
    """Distance (n,) of every row of ``x`` to its k-th neighbour in ``y``, or in ``x`` itself.

    The base of entropies, of cross-entropies and of the precision and recall of samples. Arguments
    and errors are those of :func:`nearest_neighbors`.

    Example:
        >>> knn_distances(torch.tensor([[0.0]]), torch.tensor([[3.0], [-1.0]]), k=2)
        tensor([3.])
    """
    return nearest_neighbors(x, y, k=k, engine=engine, memory_limit=memory_limit).distances


def _check_search(x: Tensor, y: Tensor | None, k: int, exclude: Tensor | None, engine: str) -> None:
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)):
        raise TypeError(f"k must be an integer, got {k!r}")
    _check_points(x, x if y is None else y)
    if exclude is not None:
        _check_exclude(x, y, exclude)
    available = len(x) - 1 if y is None else len(y) - (exclude is not None)
    if available < 1:
        raise ValueError(
            f"a neighbour number k = {k} needs other points: x has {len(x)}"
            + ("" if y is None else f", y {len(y)}")
        )
    if not 1 <= k <= available:
        raise ValueError(f"k must lie in 1..{available} for these points, got k = {k}")


def _check_points(x: Tensor, y: Tensor) -> None:
    for name, points in (("x", x), ("y", y)):
        if not isinstance(points, Tensor):
            raise TypeError(
                f"{name} must be a torch.Tensor, got {type(points).__name__}; "
                f"try torch.as_tensor({name})"
            )
    shapes = f"x {tuple(x.shape)}" + ("" if y is x else f", y {tuple(y.shape)}")
    if x.ndim != 2 or y.ndim != 2 or y.shape[1] != x.shape[1]:
        raise ValueError(f"points must be n x d and m x d with the same d, got {shapes}")
    if x.shape[1] == 0:
        raise ValueError(f"points need at least one coordinate, got {shapes}")
    if x.dtype not in (torch.float32, torch.float64) or y.dtype != x.dtype:
        types = f"x {x.dtype}" + ("" if y is x else f", y {y.dtype}")
        raise ValueError(
            f"points must be float32 or float64, both alike, got {types}; try .float()"
        )
    if y.device != x.device:
        raise ValueError(f"points must be on one device, got x {x.device}, y {y.device}")


def _check_exclude(x: Tensor, y: Tensor | None, exclude: Tensor) -> None:
    if y is None or not isinstance(exclude, Tensor) or exclude.shape != x.shape[:1]:
        raise ValueError("exclude names one row of y for each row of x; it needs y")
    if exclude.dtype != torch.int64 or exclude.device != x.device:
        raise ValueError(
            f"exclude must be torch.int64 on {x.device}, got {exclude.dtype} on {exclude.device}"
        )
    # On a GPU the search itself stops at a row that is not there; looking here would wait for it.
    outside = exclude.device.type == "cpu" and ((exclude < 0) | (exclude >= len(y))).any()
    if outside:
        raise ValueError(f"exclude must hold rows of y, 0..{len(y) - 1}")
