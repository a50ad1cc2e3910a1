"""Search by one matrix product among so few points that whole rows are ranked: a batch's code."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.neighbors.dense import search_dense
from eae_core.neighbors.memory import rows_within
from eae_core.neighbors.rounding import product_error

DENSE_WORK = 2**19  # n m d up to which subtraction is as quick


def search_few(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Indices of the k-th neighbours.

    A row is settled when rounding cannot have exchanged its k-th smallest entry with the one before
    or after it; the others are searched by subtraction.
    """
    available = len(y) - (exclude is not None)
    if k == available or len(x) * len(y) * x.shape[1] <= DENSE_WORK:
        return search_dense(x, y, k, exclude, limit)
    rows = rows_within(limit, 16 * len(y))
    if rows < len(x):
        own = [None] * len(x) if exclude is None else exclude.split(rows)
        parts = zip(x.split(rows), own, strict=False)
        return torch.cat([search_few(part, y, k, left_out, limit) for part, left_out in parts])
    center = y.mean(0)
    yc = y - center
    xc = yc if x is y else x - center
    norms = yc.square().sum(1)
    squares = torch.addmm(norms, xc, yc.T, alpha=-2)  # (n, m), |x|^2 left out: same order
    if exclude is not None:
        squares.scatter_(1, exclude[:, None], torch.inf)
    own_norms = norms if x is y else xc.square().sum(1)
    error = 2 * product_error(x.dtype, x.shape[1], x.device)
    indices, gap = _kth_and_gap(squares, k)
    largest = norms.max()
    unsure = gap <= error * (own_norms + largest)
    if unsure.any():
        own = None if exclude is None else exclude[unsure]
        indices[unsure] = search_dense(x[unsure], y, k, own, limit)
    return indices


def _kth_and_gap(squares: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Column of the k-th smallest entry of each row, and how far the nearest other entry is."""
    if k == 1:  # two minima are quicker than a ranking
        first = squares.min(1, keepdim=True)
        second = squares.scatter_(1, first.indices, torch.inf).amin(1)
        return first.indices[:, 0], second - first.values[:, 0]
    ranked = squares.topk(k + 1, largest=False)
    steps = ranked.values[:, k - 2 :].diff(dim=1)  # (n, 2), before and after the k-th
    return ranked.indices[:, k - 1], steps.amin(1)
