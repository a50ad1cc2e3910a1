"""Search in SciPy's k-d tree, on the CPU and in float64: the engine for few dimensions."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

FEW_QUERIES = 300  # below this, starting threads takes longer than they save


def search_kdtree(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """Indices of the k-th neighbours; the tree's own memory is not limited."""
    # Measured: in few dimensions a tree split at midpoints is built faster and searched as fast;
    # in more, larger leaves win.
    few = y.shape[1] <= 4
    tree = cKDTree(y.cpu().numpy(), balanced_tree=not few, leafsize=16 if few else 32)
    queries = x.cpu().numpy()
    # Queries that follow each other closely walk the same branches: go through them leaf by leaf.
    order = tree.indices if x is y else np.arange(len(queries))
    workers = 1 if len(x) <= FEW_QUERIES else -1
    # The excluded row is among the nearest, at a distance no larger than the k-th of the others.
    rank = k if exclude is None else k + 1
    indices = tree.query(queries[order], k=[rank], workers=workers)[1]  # (n, 1)
    found = np.empty(len(queries), dtype=np.int64)
    found[order] = indices[:, 0]
    if exclude is not None:
        left_out = exclude.cpu().numpy()
        for row in np.flatnonzero(found == left_out):  # only among points that coincide
            nearest = tree.query(queries[row], k=rank)[1]
            found[row] = nearest[nearest != left_out[row]][k - 1]
    return torch.from_numpy(found).to(x.device)
