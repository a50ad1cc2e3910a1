"""Exact k-nearest-neighbour search.

Every engine returns the same answer, the index of the k-th neighbour and its distance; they differ
in speed only. No engine holds an n x m matrix, and none is approximate: an approximate neighbour is
farther away than the true one, and in high dimension that alone adds whole nats to an entropy.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from scipy.spatial import cKDTree
from torch import Tensor

Engine = Literal["auto", "direct", "blocked", "kdtree"]
ENGINES: tuple[str, ...] = ("auto", "direct", "blocked", "kdtree")

BLOCK_BYTES = 64 * 2**20  # memory of one block of distances
SPARE_CANDIDATES = 3  # the blocked engine re-ranks this many more than k


class Neighbors(NamedTuple):
    """The k-th nearest neighbour of each query point."""

    distances: Tensor  # (n,) in the dtype of the points
    indices: Tensor  # (n,) int64, rows of the searched set


def nearest_neighbors(
    x: Tensor,
    y: Tensor | None = None,
    *,
    k: int = 1,
    engine: Engine = "auto",
    block_size: int | None = None,
) -> Neighbors:
    """Find the k-th nearest neighbour of every row of ``x``, exactly and without gradient.

    Args:
        x: (n, d) query points, float32 or float64.
        y: (m, d) points to search. None searches ``x`` itself, leaving each point out of its own
            neighbours by its index, so duplicated points do find each other, at distance zero.
        k: which neighbour, 1 for the nearest.
        engine: ``"direct"`` subtracts coordinates in blocks; ``"blocked"`` ranks by matrix products
            and settles close calls by subtraction; ``"kdtree"`` is SciPy's tree, on the CPU;
            ``"auto"`` picks the quickest of them for the device, n and d.
        block_size: query rows handled at once; None fits a block into 64 MiB.

    Returns:
        distances (n,) and indices (n,) of the k-th neighbours.

    Raises:
        ValueError: shapes that do not fit, k outside 1..m (1..n-1 for a search in ``x`` itself), or
            an unknown engine.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [3.0]])
        >>> nearest_neighbors(points).distances
        tensor([1., 1., 2.])
        >>> nearest_neighbors(points, k=2).indices
        tensor([2, 2, 0])
    """
    _check_search(x, y, k, engine, block_size)
    x = x.detach()
    searched = x if y is None else y.detach()
    if engine == "auto":
        engine = _choose_engine(x, searched)
    if engine == "kdtree":
        return _kdtree(x, searched, k, exclude_self=y is None)
    search = _direct_block if engine == "direct" else _blocked_block
    rows = block_size or max(1, BLOCK_BYTES // (searched.shape[0] * x.element_size()))
    own = None if y is not None else torch.arange(len(x), device=x.device)
    parts = [
        search(x[i : i + rows], searched, k, None if own is None else own[i : i + rows])
        for i in range(0, len(x), rows)
    ]
    return Neighbors(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _check_search(x: Tensor, y: Tensor | None, k: int, engine: str, rows: int | None) -> None:
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
    if x.ndim != 2 or (y is not None and (y.ndim != 2 or y.shape[1] != x.shape[1])):
        shapes = f"x {tuple(x.shape)}" + ("" if y is None else f", y {tuple(y.shape)}")
        raise ValueError(f"points must be n x d and m x d with the same d, got {shapes}")
    available = x.shape[0] - 1 if y is None else y.shape[0]
    if not 1 <= k <= available:
        raise ValueError(f"k must lie in 1..{available} for these points, got k = {k}")
    if rows is not None and rows < 1:
        raise ValueError(f"block_size must be at least 1, got {rows}")


def _choose_engine(x: Tensor, y: Tensor) -> Engine:
    """The quickest engine on two CPU cores; on other devices trees are out of the question."""
    n, d = y.shape
    if n <= 500 or (x.dtype == torch.float64 and d <= 2 and n <= 2000):
        return "direct"
    if x.device.type == "cpu" and d <= 10:
        return "kdtree"
    return "direct" if d <= 8 else "blocked"


def _kdtree(x: Tensor, y: Tensor, k: int, *, exclude_self: bool) -> Neighbors:
    tree = cKDTree(y.cpu().numpy())
    if not exclude_self:
        distances, indices = tree.query(x.cpu().numpy(), k=[k], workers=-1)
        return _as_neighbors(x, distances[:, 0], indices[:, 0])
    distances, indices = tree.query(x.cpu().numpy(), k=k + 1, workers=-1)  # (n, k + 1)
    found = torch.from_numpy(indices)
    own = torch.arange(len(x))[:, None]
    # Among duplicates the point itself may come anywhere, even beyond the k + 1 found: drop it
    # where it stands, else drop the last column.
    is_self = found == own
    is_self[:, -1] |= ~is_self.any(1)
    keep = torch.arange(k + 1).expand(len(x), -1)[~is_self].view(len(x), k)[:, -1:]  # k-th of rest
    return _as_neighbors(
        x, torch.from_numpy(distances).gather(1, keep)[:, 0], found.gather(1, keep)[:, 0]
    )


def _as_neighbors(x: Tensor, distances: object, indices: object) -> Neighbors:
    as_tensor = torch.as_tensor
    return Neighbors(
        as_tensor(distances, dtype=x.dtype, device=x.device),
        as_tensor(indices, dtype=torch.int64, device=x.device),
    )


def _direct_block(x: Tensor, y: Tensor, k: int, own: Tensor | None) -> tuple[Tensor, Tensor]:
    """Distances by subtraction: no cancellation, whatever the offset of the data."""
    distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")  # (rows, m)
    _mask_self(distances, own)
    nearest, indices = distances.topk(k, largest=False)
    return nearest[:, -1], indices[:, -1]


def _blocked_block(x: Tensor, y: Tensor, k: int, own: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rank by |x|^2 - 2 x.y + |y|^2, then settle by subtraction.

    Rounding of the expanded square is bounded, so a row is settled when even the bound cannot
    bring a point from outside its candidates into the first k. Rows that are not settled
    (near-duplicates, many ties) are searched again by subtraction.
    """
    center = y.mean(0)
    xc, yc = x - center, y - center
    x2, y2 = xc.square().sum(1), yc.square().sum(1)  # (rows,), (m,)
    squares = torch.addmm(y2, xc, yc.T, alpha=-2)  # (rows, m), |x|^2 left out: same order
    _mask_self(squares, own)
    available = y.shape[0] - (own is not None)
    wanted = min(k + SPARE_CANDIDATES, available)
    ranked, candidates = squares.topk(wanted, largest=False)  # (rows, wanted), ascending
    exact = (x[:, None, :] - y[candidates]).square().sum(-1).sqrt()  # (rows, wanted)
    distances, order = exact.sort(dim=1, stable=True)
    distances, indices = distances[:, k - 1], candidates.gather(1, order[:, k - 1 : k])[:, 0]
    if wanted < available:
        slack = _rounding_bound(x.dtype, x.shape[1]) * (x2 + y2.max())
        unsure = ranked[:, -1] + x2 - slack <= distances.square()
        if unsure.any():
            own = None if own is None else own[unsure]
            distances[unsure], indices[unsure] = _direct_block(x[unsure], y, k, own)
    return distances, indices


def _rounding_bound(dtype: torch.dtype, d: int) -> float:
    """Largest relative error of an expanded square, dot products of length d in any order."""
    return 4 * (d + 8) * torch.finfo(dtype).eps


def _mask_self(distances: Tensor, own: Tensor | None) -> None:
    """Put each query point, row own[i] of the searched set, out of its own reach."""
    if own is not None:
        distances.scatter_(1, own[:, None], torch.inf)
