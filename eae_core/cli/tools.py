"""The verb entropy: the estimate for points in a file."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from eae_core.errors import UsageError

if TYPE_CHECKING:
    import numpy as np


def entropy(arguments: argparse.Namespace) -> int:
    """Print the estimated entropy of the points in a file, and the Gaussian bound on it."""
    points = read_points(arguments.file)
    import torch

    from eae_core import knn_entropy

    try:
        estimate = float(knn_entropy(torch.from_numpy(points), arguments.k))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{arguments.file}: {error}") from error
    n, d = points.shape
    bound = gaussian_bound(points)
    print(f"points        n = {n}, d = {d}")
    print(f"neighbour     k = {arguments.k}")
    print(f"entropy       {estimate:.4f} nats")
    if math.isfinite(bound):
        print(f"Gaussian      {bound:.4f} nats, of the same covariance: no law has more")
        print(f"difference    {bound - estimate:.4f} nats")
    else:
        print("Gaussian      -inf: the points lie in a plane of fewer dimensions than d")
    return 0


def read_points(path: Path) -> np.ndarray:
    """The n x d array of floats in an .npy file; `UsageError` says what else it holds."""
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} is not an array written by numpy.save: {error}") from error
    except ValueError as error:  # NumPy takes other files for pickles, and offers to load them
        raise UsageError(
            f"{path} is not an array written by numpy.save, or not one of numbers; read a "
            "table of text with numpy.loadtxt(path, delimiter=',') and save that"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise UsageError(f"{path} holds several arrays (.npz); save one with numpy.save")
    if array.dtype.kind != "f":
        raise UsageError(
            f"{path} holds {array.dtype}, not floating point; the entropy of whole numbers is "
            "another quantity. If they are measurements, save array.astype(float)"
        )
    if array.ndim != 2:
        hint = "; save array[:, None] for points on a line" if array.ndim == 1 else ""
        raise UsageError(f"{path} must be n x d, and has the shape {array.shape}{hint}")
    return np.ascontiguousarray(array, dtype=np.float64)


def gaussian_bound(points: np.ndarray) -> float:
    """Entropy of the Gaussian with the points' covariance, ``log det(2 pi e Sigma) / 2``, in nats.

    It is the most that any law with this covariance has; for unit variances and no correlation it
    is ``d/2 log(2 pi e)``. Minus infinity if the covariance is singular.
    """
    import numpy as np

    n, d = points.shape
    if n <= d:  # the sample covariance has rank n - 1 at most
        return -math.inf
    scale = float(np.abs(points).max()) or 1.0  # whose square might overflow or vanish
    covariance = np.atleast_2d(np.cov(points / scale, rowvar=False))
    spread = np.linalg.eigvalsh(covariance)
    if spread[0] <= spread[-1] * d * np.finfo(np.float64).eps:
        return -math.inf
    return float(0.5 * np.log(2 * np.pi * np.e * spread).sum() + d * math.log(scale))
