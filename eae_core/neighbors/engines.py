"""The engines that need no matrix product, subtraction and SciPy's k-d tree, and their memory."""

from __future__ import annotations

import math
import os

import numpy as np
import torch
from torch import Tensor

LARGEST_BLOCK = 2**23  # bytes; more does not run faster
FEW_QUERIES = 300  # below this, starting threads takes longer than they save
SHARE = 1 / 8  # of what is free
SMALL = 2**26  # bytes
UNKNOWN_FREE = 2 * 2**30  # bytes taken as free where the system does not say


def search_dense(
    x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int, unit: float = 1.0
) -> Tensor:
    """Indices (n, k) of the k nearest, the k-th last, by subtraction of every pair; the reference.

    Squares of distances beyond 1e19 in float32 overflow, and those below 1e-19 vanish. Differences
    divided by a ``unit`` first keep theirs, in twice the memory.
    """
    per_row = y.element_size() * len(y) + 24 * k
    # A third, for an allocator may give the next block another place than the last one.
    block_bytes = min(rows_within(limit, per_row) * per_row // 3, LARGEST_BLOCK)
    rows = max(1, block_bytes // (per_row if unit == 1 else 2 * per_row))
    found = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        if unit == 1:
            block = torch.cdist(x[part], y, compute_mode="donot_use_mm_for_euclid_dist")
        else:
            block = x.new_zeros(len(x[part]), len(y))
            for a, b in zip(x[part].T, y.T, strict=True):  # a coordinate at a time
                block += (a[:, None] - b).div_(unit).square_()
        if exclude is not None:
            block.scatter_(1, exclude[part, None], torch.inf)
        found[part] = smallest(block, k)[1]
        del block
    return found


def smallest(block: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest entries of each row and their columns, (n, k) each, in ascending order."""
    if k == 1:  # a minimum is quicker than a ranking
        least = block.min(1, keepdim=True)
        return least.values, least.indices
    values, columns = block.topk(k, largest=False)
    return values, columns


def search_kdtree(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Indices (n, k) of the k nearest, the k-th last, in float64 on the CPU: for few dimensions."""
    from scipy.spatial import cKDTree  # takes longer to import than a small search takes

    wanted = k if exclude is None else k + 1  # a point that is left out is among the nearest
    rows = rows_within(limit, 8 * x.shape[1] + 24 * wanted, tree_bytes(*y.shape))
    # Measured: in few dimensions a tree split at midpoints is built faster and searched as fast;
    # in more, larger leaves win.
    few = y.shape[1] <= 4
    tree = cKDTree(y.cpu().numpy(), balanced_tree=not few, leafsize=16 if few else 32)
    queries, own = x.cpu().numpy(), None if exclude is None else exclude.cpu().numpy()
    # Queries that follow each other closely walk the same branches: go through them leaf by leaf.
    order = tree.indices if x is y else np.arange(len(x))
    ranks = np.arange(1, wanted + 1)
    found = np.empty((len(x), k), dtype=np.int64)
    for start in range(0, len(x), rows):
        part = order[start : start + rows]
        workers = 1 if len(part) <= FEW_QUERIES else torch.get_num_threads()
        near = tree.query(queries[part], k=ranks, workers=workers)[1]
        if own is not None:
            other = near != own[part, None]
            # Among more points that coincide than were asked for, it may not be in its own list.
            other[other.all(1), -1] = False
            near = near[other].reshape(-1, k)
        found[part] = near
    return torch.from_numpy(found).to(x.device)


def tree_bytes(m: int, d: int) -> int:
    """Memory of a tree of m points, about: their copy in float64, their order, and the nodes."""
    return m * (8 * d + 32)


def memory_to_use(device: torch.device, limit: int | None, *, small: bool = False) -> int:
    """The limit asked for in bytes, or a share of what is free on the device.

    A small search does not ask the device, which takes longer than the search.
    """
    if limit is None:
        return SMALL if small else int(SHARE * _free_memory(device))
    if isinstance(limit, bool) or not isinstance(limit, (int, float, np.number)):
        raise TypeError(f"memory_limit must be a number of bytes or None, got {limit!r}")
    if not 1 <= limit < math.inf:
        raise ValueError(f"memory_limit counts bytes and must be at least 1, got {limit}")
    return int(limit)  # 1e9 is a gigabyte


def rows_within(limit: int, bytes_per_row: int, fixed: int = 0) -> int:
    """How many rows fit into what a limit leaves: at least one, else a ValueError."""
    if fixed + bytes_per_row > limit:
        raise ValueError(
            f"memory_limit={limit} is too small: one query needs {fixed + bytes_per_row} bytes here"
        )
    return (limit - fixed) // bytes_per_row


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not Linux
        return UNKNOWN_FREE
