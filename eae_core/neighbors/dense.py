"""Search by subtraction: every distance, a block of rows at a time. The reference engine."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.neighbors.memory import rows_within

LARGEST_BLOCK = 64 * 2**20  # bytes; more does not run faster


def search_dense(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Indices of the k-th neighbours; no cancellation, whatever the offset of the points."""
    per_row = (y.element_size() + 8) * len(y)  # a row of distances, and of indices to rank them
    rows = rows_within(max(min(limit, LARGEST_BLOCK), min(limit, per_row)), per_row)
    parts = []
    for start in range(0, len(x), rows):
        part = slice(start, start + rows)
        block = torch.cdist(x[part], y, compute_mode="donot_use_mm_for_euclid_dist")  # (rows, m)
        if exclude is not None:
            block.scatter_(1, exclude[part, None], torch.inf)
        parts.append(kth_smallest(block, k))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def kth_smallest(block: Tensor, k: int) -> Tensor:
    """Column of the k-th smallest entry of each row."""
    # torch finds a minimum and its place faster than the place alone
    return block.min(1).indices if k == 1 else block.topk(k, largest=False).indices[:, -1]
