"""Search by optional packages: FAISS and KeOps, both exact here."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from eae_core.neighbors.dense import search_dense
from eae_core.neighbors.rounding import product_error

SPARE = 4  # neighbours asked of FAISS beyond those needed, to be ranked again by subtraction


def search_faiss(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """FAISS's flat index in float32; close calls of its expanded squares are settled here."""
    faiss = _package("faiss", "faiss-cpu")
    center = y.mean(0)
    xc, yc = ((points - center).float().cpu().contiguous() for points in (x, y))
    index = faiss.IndexFlatL2(y.shape[1])
    index.add(yc.numpy())
    wanted = min(k + SPARE + (exclude is not None), len(y))
    squares, found = (torch.from_numpy(part) for part in index.search(xc.numpy(), wanted))
    candidates = found.to(x.device)  # (n, wanted)
    indices, kth = _rank_again(x, y, k, exclude, candidates)
    if wanted < len(y):
        slack = product_error(torch.float32, y.shape[1], x.device)
        norms = xc.square().sum(1) + yc.square().sum(1).max()
        unsure = (squares[:, -1] - slack * norms).to(kth) <= kth
        if unsure.any():
            own = None if exclude is None else exclude[unsure]
            indices[unsure] = search_dense(x[unsure], y, k, own, limit)
    return indices


def search_keops(x: Tensor, y: Tensor, k: int, exclude: Tensor | None, limit: int) -> Tensor:
    """KeOps reduces squared differences on the fly, without a matrix."""
    lazy: Any = _package("pykeops.torch", "pykeops").LazyTensor
    squares = ((lazy(x[:, None, :]) - lazy(y[None, :, :])) ** 2).sum(-1)
    found = squares.argKmin(k + (exclude is not None), dim=1)  # (n, k or k + 1)
    return _rank_again(x, y, k, exclude, found)[0]


def _rank_again(
    x: Tensor, y: Tensor, k: int, exclude: Tensor | None, candidates: Tensor
) -> tuple[Tensor, Tensor]:
    """Index and squared distance (n,) of the k-th nearest candidate, by subtraction."""
    squares = torch.stack([(x - y[column]).square().sum(1) for column in candidates.T], 1)
    if exclude is not None:
        squares[candidates == exclude[:, None]] = torch.inf
    ranked = squares.topk(k, largest=False)
    return candidates.gather(1, ranked.indices[:, -1:])[:, 0], ranked.values[:, -1]


def _package(module: str, distribution: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this engine needs {distribution}, which is not installed: "
            f"pip install {distribution}, or leave the choice to engine='auto'"
        ) from error
