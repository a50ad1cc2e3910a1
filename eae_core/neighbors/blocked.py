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
from dataclasses import dataclass

import torch
from torch import Tensor

from eae_core.neighbors.dense import search_dense
from eae_core.neighbors.few import search_few
from eae_core.neighbors.memory import rows_within
from eae_core.neighbors.rounding import product_error

BLOCK_ENTRIES = {"cpu": 2**22, "gpu": 2**26}  # measured on the CPU: more falls out of its cache
LARGEST_TILE = {"cpu": 2**14, "gpu": 2**16}  # columns of a block
MEMBER_BYTES = {"cpu": 2**22, "gpu": 2**28}  # of points gathered at once
FEW_POINTS = 1500  # rows this short are ranked as a whole
SPARE = 4  # members measured beyond k where the block still tells which are the nearest


@dataclass(frozen=True)
class _Grid:
    """The searched points as columns of blocks; group g of a tile is columns g, g + G, g + 2G..."""

    y: Tensor  # (m, d)
    center: Tensor  # (d,)
    factors: Tensor  # (tiles * columns, d + 1): y - center, then |y - center|^2; inf in the padding
    columns: int  # of a tile
    width: int  # columns of a group
    largest_norm: Tensor  # (), of |y - center|^2

    @property
    def groups_per_tile(self) -> int:
        return self.columns // self.width

    @property
    def tiles(self) -> int:
        return len(self.factors) // self.columns

    def members(self, groups: Tensor) -> Tensor:
        """Columns (rows, g * width) of the groups (rows, g)."""
        first = groups // self.groups_per_tile * self.columns + groups % self.groups_per_tile
        steps = torch.arange(0, self.columns, self.groups_per_tile, device=groups.device)
        return (first[:, :, None] + steps).flatten(1)


def search_blocked(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Indices of the k-th neighbours, exact in spite of the rounded products."""
    width = _group_width(len(y), x.shape[1], k)
    if len(y) <= FEW_POINTS or 4 * k * width > len(y):
        return search_few(x, y, k, exclude, limit)
    kind = "cpu" if x.device.type == "cpu" else "gpu"
    grid = _deal(y, width, LARGEST_TILE[kind])
    per_row = x.element_size() * (grid.columns + 2 * grid.tiles * grid.groups_per_tile)
    rows = min(BLOCK_ENTRIES[kind] // grid.columns, rows_within(limit, 2 * per_row))
    chunk = min(limit // 4, MEMBER_BYTES[kind])
    buffer = x.new_empty(min(rows, len(x)), grid.columns)
    parts = []
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        own = None if exclude is None else exclude[part]
        block = buffer[: len(x[part])]
        minima = _group_minima(x[part], grid, own, block)
        parts.append(_settle(x[part], grid, k, own, minima, block, limit, chunk))
    return torch.cat(parts)


def _group_width(m: int, d: int, k: int) -> int:
    """Power of two that balances ranking m / width groups against measuring k width points."""
    best = math.sqrt(0.4 * m / (k * d))
    return int(2 ** min(7, max(3, round(math.log2(best)))))


def _deal(y: Tensor, width: int, largest_tile: int) -> _Grid:
    m, d = y.shape
    columns = min(largest_tile, math.ceil(m / width) * width)
    padded = math.ceil(m / columns) * columns
    center = y.mean(0)
    factors = y.new_zeros(padded, d + 1)
    torch.sub(y, center, out=factors[:m, :d])
    factors[:, d] = factors[:, :d].square().sum(1)
    largest_norm = factors[:, d].max()
    factors[m:, d] = torch.inf
    return _Grid(y, center, factors, columns, width, largest_norm)


def _group_minima(x: Tensor, grid: _Grid, exclude: Tensor | None, block: Tensor) -> Tensor:
    """Smallest |y|^2 - 2 x.y of each group, (rows, groups): |x|^2 does not change the order."""
    factors = torch.cat([-2 * (x - grid.center), torch.ones_like(x[:, :1])], 1)  # (rows, d + 1)
    minima = x.new_empty(len(x), grid.tiles, grid.groups_per_tile)
    for tile in range(grid.tiles):
        first = tile * grid.columns
        torch.mm(factors, grid.factors[first : first + grid.columns].T, out=block)
        if exclude is not None:
            _mask(block, exclude - first)
        grouped = block.view(len(x), grid.width, grid.groups_per_tile)
        torch.amin(grouped, 1, out=minima[:, tile])
    return minima.flatten(1)


def _mask(block: Tensor, column: Tensor) -> None:
    """Put column[i] of row i out of reach, if it lies in this block; without waiting for a GPU."""
    inside = (column >= 0) & (column < block.shape[1])
    column = column.clamp(0, block.shape[1] - 1)[:, None]
    kept = block.gather(1, column)
    block.scatter_(1, column, kept.masked_fill(inside[:, None], torch.inf))


def _settle(
    x: Tensor,
    grid: _Grid,
    k: int,
    exclude: Tensor | None,
    minima: Tensor,
    block: Tensor,
    limit: int,
    chunk: int,
) -> Tensor:
    """Measure the members of the nearest groups; go on with more groups where that is not sure."""
    norms = (x - grid.center).square().sum(1)
    slack = product_error(x.dtype, x.shape[1], x.device) * (norms + grid.largest_norm)
    indices = torch.empty(len(x), dtype=torch.int64, device=x.device)
    pending = torch.arange(len(x), device=x.device)
    groups = k
    while 4 * groups * grid.width <= len(grid.y):
        everyone = len(pending) == len(x)
        nearest = (minima if everyone else minima[pending]).topk(groups + 1, largest=False)
        own = None if exclude is None else exclude[pending]
        members, left_out = grid.members(nearest.indices[:, :groups]), nearest.values[:, -1]
        if grid.tiles == 1 and everyone:  # the block is still there: measure its nearest only
            ranked = block.gather(1, members).topk(k + SPARE + 1, largest=False)
            members = members.gather(1, ranked.indices[:, :-1])
            left_out = left_out.minimum(ranked.values[:, -1])
        squares, found = _measure(x[pending], grid.y, k, own, members, chunk)
        indices[pending] = found
        reach = left_out + norms[pending] - slack[pending]
        pending = pending[reach <= squares]
        if len(pending) == 0:
            return indices
        groups *= 4
    own = None if exclude is None else exclude[pending]
    indices[pending] = search_dense(x[pending], grid.y, k, own, limit)
    return indices


def _measure(
    x: Tensor, y: Tensor, k: int, exclude: Tensor | None, members: Tensor, chunk: int
) -> tuple[Tensor, Tensor]:
    """Squared distances and indices (rows,) of the k-th nearest among the members (rows, c)."""
    rows = max(1, chunk // (members.shape[1] * x.shape[1] * x.element_size()))
    squares = x.new_empty(len(x))
    indices = torch.empty(len(x), dtype=torch.int64, device=x.device)
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        columns = members[part]
        points = y[columns.clamp(max=len(y) - 1)]  # (rows, c, d)
        exact = points.sub_(x[part, None]).square_().sum(-1)
        exact.masked_fill_(columns >= len(y), torch.inf)  # padding
        if exclude is not None:
            exact.masked_fill_(columns == exclude[part, None], torch.inf)
        if k == 1:
            smallest = exact.min(1)
            squares[part], place = smallest.values, smallest.indices[:, None]
        else:
            ranked = exact.topk(k, largest=False)
            squares[part], place = ranked.values[:, -1], ranked.indices[:, -1:]
        indices[part] = columns.gather(1, place)[:, 0]
    return squares, indices
