"""All neighbours of every point up to the k-th, for the estimators that use more than one."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from eae_core.neighbors.scale import largest_coordinate, safe_factor

FEW_DIMENSIONS = 8  # up to which a tree outruns subtracting everything from everything
BLOCK = 2**22  # distances held at a time


def ranked_neighbors(z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest neighbours of each point, nearest first, exact and without gradient.

    Args:
        z: (n, d) finite points; converted to float64 on the CPU.
        k: how many; ``1 <= k < n``.

    Returns:
        Distances (n, k) in float64, and rows of z (n, k). A point is left out of its own neighbours
        by its index, so that points that coincide do find each other, at distance zero.

    Example:
        >>> distances, indices = ranked_neighbors(torch.tensor([[0.0], [1.0], [3.0]]), 2)
        >>> distances.tolist(), indices.tolist()
        ([[1.0, 3.0], [1.0, 2.0], [2.0, 3.0]], [[1, 2], [0, 2], [1, 0]])
    """
    points = z.detach().cpu().double()
    factor = safe_factor(largest_coordinate(points), torch.float64)
    search = _by_tree if points.shape[1] <= FEW_DIMENSIONS else _by_subtraction
    distances, indices = search(points * factor, k)
    return distances / factor, indices


def _by_tree(z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    n = len(z)
    distances, indices = cKDTree(z.numpy()).query(z.numpy(), k=k + 1)  # n x (k + 1)
    other = indices != np.arange(n)[:, None]
    # Among more than k points that coincide, a point may be missing from its own list.
    other[other.all(1), -1] = False
    shape = (n, k)
    return (
        torch.from_numpy(distances[other].reshape(shape)),
        torch.from_numpy(indices[other].reshape(shape).astype(np.int64)),
    )


def _by_subtraction(z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    n = len(z)
    found = []
    for rows in torch.arange(n).split(max(1, BLOCK // n)):
        # Subtracted, not multiplied out: a matrix product would lose the distances of close pairs.
        pairs = torch.cdist(z[rows], z, compute_mode="donot_use_mm_for_euclid_dist")
        pairs[torch.arange(len(rows)), rows] = torch.inf
        found.append(pairs.topk(k, largest=False))
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])
