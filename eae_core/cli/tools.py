"""The verb entropy: the estimate for points in a file."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from scipy.special import digamma

from eae_core.errors import UsageError
from eae_core.files import read_as_numpy

LARGE_BIAS = 0.5  # nats, of the estimate of a Gaussian sample


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
        print(f"Gaussian      {bound:.4f} nats, of the same covariance: no distribution has more")
        print(f"difference    {bound - estimate:.4f} nats")
    elif n <= d:
        print(f"Gaussian      unknown: {n} points lie in a plane of {n - 1} dimensions always")
    else:
        print("Gaussian      -inf: the points lie in a plane of fewer dimensions than d")
    _warn_of_bias(n, d, arguments.k)
    return 0


def _warn_of_bias(n: int, d: int, k: int) -> None:
    """Say on stderr where n points are too few for the estimate to stand beside the bound."""
    from eae_core.entropy import gaussian_entropy_bound
    from eae_core.entropy.expectation import expected_gaussian_estimate

    bias = expected_gaussian_estimate(d, n, k) - gaussian_entropy_bound(d)
    if abs(bias) > LARGE_BIAS:
        print(
            f"warning: {n} points are few in {d} dimensions: of a Gaussian the estimate is "
            f"{bias:+.2f} nats off on average, of others up to several times that",
            file=sys.stderr,
        )


def read_points(path: Path) -> np.ndarray:
    """The n x d array of floats in an .npy file; `UsageError` says what else it holds."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the .npy file in it")
    no_array = f"{path} is not an array written by numpy.save"
    try:
        with read_as_numpy(path):
            array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except OSError as error:
        raise UsageError(f"{no_array}: {error}") from error
    except ValueError as error:  # NumPy takes other files for pickles, and offers to load them
        table = "numpy.loadtxt(path, delimiter=',')"
        raise UsageError(
            f"{no_array}, or not one of numbers; read a table of text with {table} and save that"
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
    r"""Entropy of the Gaussian with the points' covariance, ``log det(2 pi e Sigma) / 2``, in nats.

    The logarithm of a sample covariance's determinant is too small on average, for Gaussian points
    by :math:`d \log\tfrac{n-1}2 - \sum_{i=1}^d \psi(\tfrac{n-i}2)`, which is added. Minus infinity
    if the covariance is singular.
    """
    n, d = points.shape
    if n <= d:  # the sample covariance has rank n - 1 at most
        return -math.inf
    sizes = np.abs(points).max(0)  # (d,), whose squares might overflow or vanish
    if not sizes.all():
        return -math.inf
    centred = points / sizes
    centred -= centred.mean(0)
    deviations = centred.std(0, ddof=1)
    if not (deviations > 2 * np.finfo(np.float64).eps).all():  # a constant, up to rounding
        return -math.inf
    # Of correlations: coordinates may have any units.
    centred /= deviations
    spread = np.linalg.eigvalsh(centred.T @ centred / (n - 1))
    if spread[0] <= spread[-1] * d * np.finfo(np.float64).eps:
        return -math.inf
    log_det = np.log(spread).sum() + 2 * (np.log(deviations) + np.log(sizes)).sum()
    too_small = digamma((n - np.arange(1, d + 1)) / 2).sum() - d * math.log((n - 1) / 2)
    return float(0.5 * (d * math.log(2 * math.pi * math.e) + log_det - too_small))
