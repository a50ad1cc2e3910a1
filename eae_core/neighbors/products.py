"""Search by matrix products, in blocks, settled by subtraction.

|x - y|^2 = |x|^2 - 2 x.y + |y|^2 turns a search into matrix products, the fastest thing a machine
does, but the expanded square loses small distances to rounding. So it only ranks. The columns of a
block are dealt into groups, and of each group just the smallest entry is kept: a running minimum,
no sorting. The k groups with the smallest minima hold k points at least as near as the true k-th
neighbour, up to rounding; their members are measured again by subtraction. Rounding is bounded, so
a query is settled once the nearest group that was left out cannot reach into its k-th distance.
The few queries that are not look into four times as many groups, and in the end into all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eae_core.neighbors.engines import rows_within, search_dense, smallest

DENSE_WORK = 2**19  # n m d up to which subtraction is as quick
FEW_POINTS = 1500  # rows this short are ranked as a whole: groups of one
# Measured on a CPU, where larger blocks fall out of its cache:
BLOCK_ENTRIES = {"cpu": 2**21, "gpu": 2**26}
TILE = {"cpu": 2**14, "gpu": 2**16}  # columns of a block, of points that are more than two tiles
MEMBER_BYTES = {"cpu": 2**22, "gpu": 2**28}  # of points gathered at once
SPARE = 4  # members measured beyond k, of those that a block has as the nearest


def search_blocked(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Indices (n, k) of the k nearest, the k-th last, exact in spite of the rounded products."""
    n, (m, d) = len(x), y.shape
    tile = max(TILE[_kind(x)], 64 * (k + 1))
    room = 3 * x.element_size() * min(m, 2 * tile) * (d + 8) + 64 * k  # for y, and a few rows
    if k == m - (exclude is not None) or n * m * d <= DENSE_WORK or limit < room:
        return search_dense(x, y, k, exclude, limit)
    if _group_width(m, d, k) == 1:
        return _search_rows(x, y, k, exclude, limit)
    if m <= 2 * tile:
        return _search_tile(x, y, k, exclude, limit)
    # Of each tile one more, for a point may be among its own.
    tile, wanted = math.ceil(m / (m // tile)), k + 1
    rows = min(2**14, max(1, limit // (64 * wanted * (m // tile + 1))))
    found = torch.empty(n, k, dtype=torch.int64, device=x.device)
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        near = [
            first + _search_tile(x[part], y[first : first + tile], wanted, None, limit // 2)
            for first in range(0, m, tile)
        ]
        own = None if exclude is None else exclude[part]
        found[part] = _measure(x[part], y, k, own, torch.cat(near, 1), limit // 2)[1]
    return found


def product_error(dtype: torch.dtype, d: int, device: torch.device) -> float:
    """Largest error of the expanded square, as a multiple of ``|x|^2 + |y|^2``.

    A dot product of length d, summed in any order, is off by at most d rounding errors of the sum
    of its absolute terms; centring and the two norms add a few. Where torch may shorten the factors
    of a float32 product (``torch.set_float32_matmul_precision``), each factor brings its own error.
    """
    error = 4 * (d + 8) * torch.finfo(dtype).eps
    precision = torch.get_float32_matmul_precision()
    if dtype == torch.float32 and precision != "highest":
        # bfloat16, rounded to nearest; or TF32, which some cards cut instead.
        error += 4 * 2.0 ** -(8 if precision == "medium" or device.type != "cuda" else 10)
    return error


def _kind(x: Tensor) -> str:
    return "cpu" if x.device.type == "cpu" else "gpu"


def _group_width(m: int, d: int, k: int) -> int:
    """Power of two that balances ranking m / width groups against measuring k width points."""
    best = math.sqrt(0.4 * m / (k * d))
    width = int(2 ** min(7, max(3, round(math.log2(best)))))
    return 1 if m <= FEW_POINTS or 4 * k * width > m else width


def _search_rows(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Rank whole rows: for few points, or for many neighbours."""
    rows = rows_within(limit, 4 * x.element_size() * len(y) + 64 * k)
    if rows < len(x):
        own = [None] * len(x) if exclude is None else exclude.split(rows)
        parts = zip(x.split(rows), own, strict=False)
        return torch.cat([_search_rows(part, y, k, left_out, limit) for part, left_out in parts])
    center = y.mean(0)
    yc = y - center
    xc = yc if x is y else x - center
    norms = yc.square().sum(1)
    own_norms = norms if x is y else xc.square().sum(1)
    squares = torch.addmm(norms, xc, yc.T, alpha=-2)  # (n, m), |x|^2 left out: same order
    if exclude is not None:
        squares.scatter_(1, exclude[:, None], torch.inf)
    if k == 1:  # two minima are quicker than a ranking
        values, indices = smallest(squares, 1)
        gap = squares.scatter_(1, indices, torch.inf).amin(1) - values[:, 0]
    else:
        values, indices = squares.topk(k + 1, largest=False)
        gap, indices = values[:, -3:].diff(dim=1).amin(1), indices[:, :-1]
    # Unless rounding can have exchanged the k-th with the one before or after it:
    unsure = gap <= 2 * _slack(x, own_norms, norms.max())
    if unsure.any():
        own = None if exclude is None else exclude[unsure]
        indices[unsure] = search_dense(x[unsure], y, k, own, limit)
    return indices


def _slack(x: Tensor, norms: Tensor, largest: Tensor) -> Tensor:
    """How far the products of each row can be off; what vanishes has an error too."""
    error = product_error(x.dtype, x.shape[1], x.device)
    return (norms + largest).mul_(error).add_(torch.finfo(x.dtype).tiny)


def _search_tile(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Rank groups, in blocks of rows that hold all of y."""
    (m, d), size = y.shape, y.element_size()
    width = _group_width(m, d, k)
    groups = math.ceil(m / width)  # group g holds the columns g, g + groups, g + 2 groups, ...
    # A row takes its part of the block, its minima and their ranks, and the members of groups. At
    # least one more row is searched by subtraction, and half of the limit is for measuring.
    fixed, reserve = size * groups * width * (d + 1), size * m + 24 * k
    per_row = size * (m + 4 * groups) + 64 * k * width
    rows = max(1, rows_within(limit, per_row, fixed + reserve) // 2)
    rows = min(rows, BLOCK_ENTRIES[_kind(x)] // m + 1, len(x))
    found = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    blocks = x.new_empty(rows, groups * width)
    center = y.mean(0)
    right = y.new_zeros(groups * width, d + 1)  # y - center, then its squared norm
    torch.sub(y, center, out=right[:m, :d])
    right[:, d] = torch.linalg.vector_norm(right[:, :d], dim=1).square_()
    largest = right[:, d].max()
    right[m:, d] = torch.inf  # padding
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        left = torch.cat([x[part] - center, torch.ones_like(x[part, :1])], 1)  # (rows, d + 1)
        norms = left[:, :d].square().sum(1)
        left[:, :d] *= -2
        block = torch.mm(left, right.T, out=blocks[: len(left)])  # |y|^2 - 2 x.y
        own = None if exclude is None else exclude[part]
        if own is not None:
            block.scatter_(1, own[:, None], torch.inf)
        offset = norms - _slack(x, norms, largest)
        spare = limit - fixed - rows * per_row
        found[part] = _settle(x[part], y, k, own, block, offset, width, spare)
    return found


def _settle(
    x: Tensor,
    y: Tensor,
    k: int,
    exclude: Tensor | None,
    block: Tensor,
    offset: Tensor,
    width: int,
    limit: int,
) -> Tensor:
    """Measure the members of the nearest groups; go on with more groups where that is not sure.

    A square is at least the block's entry (rows, columns) plus the row's offset.
    """
    minima = block.view(len(x), width, -1).amin(1)  # (rows, groups)
    steps = torch.arange(0, block.shape[1], minima.shape[1], device=x.device)
    indices = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    pending, taken = torch.arange(len(x), device=x.device), k
    while 4 * taken * width <= len(y):
        everyone = len(pending) == len(x)
        values, nearest = (minima if everyone else minima[pending]).topk(taken + 1, largest=False)
        left_out = values[:, -1]
        members = (nearest[:, :-1, None] + steps).flatten(1)  # (rows, taken * width)
        if everyone:  # of these too, measure the nearest only
            values, nearest = block.gather(1, members).topk(k + SPARE + 1, largest=False)
            members = members.gather(1, nearest[:, :-1])
            left_out = left_out.minimum(values[:, -1])
        own = None if exclude is None else exclude[pending]
        squares, indices[pending] = _measure(x[pending], y, k, own, members, limit)
        pending = pending[left_out + offset[pending] <= squares]
        if len(pending) == 0:
            return indices
        taken *= 4
    own = None if exclude is None else exclude[pending]
    indices[pending] = search_dense(x[pending], y, k, own, limit)
    return indices


def _measure(
    x: Tensor, y: Tensor, k: int, exclude: Tensor | None, members: Tensor, limit: int
) -> tuple[Tensor, Tensor]:
    """The k-th smallest square (rows,) among the members (rows, c), and the k nearest (rows, k)."""
    chunk = min(limit // 2, MEMBER_BYTES[_kind(x)])
    rows = max(1, chunk // (members.shape[1] * (x.shape[1] * x.element_size() + 24)))
    squares = x.new_empty(len(x))
    indices = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        columns = members[part]
        points = y[columns.clamp(max=len(y) - 1)]  # (rows, c, d)
        exact = points.sub_(x[part, None]).square_().sum(-1)
        exact.masked_fill_(columns >= len(y), torch.inf)  # padding
        if exclude is not None:
            exact.masked_fill_(columns == exclude[part, None], torch.inf)
        values, places = smallest(exact, k)
        squares[part], indices[part] = values[:, -1], columns.gather(1, places)
    return squares, indices
