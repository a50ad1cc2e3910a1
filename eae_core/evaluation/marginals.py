"""One number of a code at a time: Kolmogorov-Smirnov distances and quantile plots, exact nulls."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special, stats
from torch import Tensor

from eae_core.errors import check_integer
from eae_core.evaluation.nulls import TAIL, Band, check_codes, check_size


def axis_distances(z: Tensor) -> np.ndarray:
    r"""Kolmogorov-Smirnov distance :math:`\sup |F_n - \Phi|` to N(0, 1) of every coordinate, (d,).

    Raises:
        TypeError: no tensor, or not of floats.
        ValueError: not n x d, n < 2, NaN or infinity.

    Example:
        >>> import torch
        >>> axis_distances(torch.tensor([[0.0, 9.0], [0.0, 9.0]]))
        array([0.5, 1. ])
    """
    columns = check_codes(z).numpy().T
    return np.array([stats.kstest(column, "norm").statistic for column in columns])


def axis_threshold(n: int, d: int, *, level: float = 0.05) -> float:
    """What the largest of d axis distances exceeds in at most this share of samples from N(0, I).

    Each coordinate is tested at ``level / d`` (Bonferroni), by the exact law of the distance.

    Example:
        >>> round(axis_threshold(1000, 1), 4), round(axis_threshold(1000, 64), 4)
        (0.0428, 0.0625)
    """
    check_size(n, d)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return float(stats.kstwo.isf(level / d, n))


def norm_distance(z: Tensor) -> float:
    r"""Kolmogorov-Smirnov distance of the squared norms :math:`|z_i|^2` to their law, chi-square.

    The squared norm of N(0, I_d) has the chi-square law with d degrees of freedom. Codes that
    gather on a shell, or in a core and a tail, are far from it even if every coordinate and every
    projection looks Gaussian.

    Raises:
        TypeError: no tensor, or not of floats.
        ValueError: not n x d, n < 2, NaN or infinity.

    Example:
        >>> import torch
        >>> z = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0))
        >>> low, high = norm_band(1000)
        >>> low < norm_distance(z) < high, round(norm_distance(4 * z / z.norm(dim=1)[:, None]), 1)
        (True, 0.5)
    """
    z = check_codes(z)
    squares = z.square().sum(1).numpy()
    return float(stats.kstest(squares, stats.chi2(z.shape[1]).cdf).statistic)


def norm_band(n: int) -> Band:
    """Where the distance of the norms of 95 % of samples of n points from N(0, I) lies; exact.

    Example:
        >>> f"{norm_band(10_000):.4f}"
        '0.0048 to 0.0148'
    """
    check_size(n, 1)
    return Band(float(stats.kstwo.ppf(TAIL, n)), float(stats.kstwo.isf(TAIL, n)))


class Quantiles(NamedTuple):
    """What a quantile plot against N(0, 1) shows."""

    expected: np.ndarray  #: (m,) quantiles of N(0, 1)
    observed: np.ndarray  #: (m, d) the sorted numbers of every coordinate, at the same ranks
    low: np.ndarray  #: (m,) 2.5 % of true Gaussian samples lie below it, at each rank
    high: np.ndarray  #: (m,) and 2.5 % above it


def normal_quantiles(z: Tensor, *, points: int = 200) -> Quantiles:
    r"""Quantiles of every coordinate beside those of N(0, 1), with the exact band of each rank.

    The number with rank i among n from N(0, 1) is :math:`\Phi^{-1}(U)` with U from
    Beta(i, n - i + 1); the quantile that it is shown beside is :math:`\Phi^{-1}((i - 1/2) / n)`.

    Args:
        z: (n, d) codes.
        points: m, at most; ranks are spread evenly over the quantiles, so that tails are seen.

    Raises:
        TypeError: no tensor, or not of floats.
        ValueError: not n x d, n < 2, NaN or infinity, or points < 2.

    Example:
        >>> import torch
        >>> q = normal_quantiles(torch.tensor([[3.0], [1.0], [2.0]]))
        >>> q.expected.round(3), q.observed.ravel()
        (array([-0.967,  0.   ,  0.967]), array([1., 2., 3.]))
    """
    z = check_codes(z)
    if check_integer("points", points) < 2:
        raise ValueError("a quantile plot needs at least 2 points")
    n = len(z)
    ends = special.ndtri(0.5 / n)
    even = special.ndtr(np.linspace(ends, -ends, min(points, n)))
    ranks = np.unique(np.clip(np.rint(even * n + 0.5), 1, n).astype(int))  # from 1
    band = [special.ndtri(stats.beta.ppf(q, ranks, n - ranks + 1)) for q in (TAIL, 1 - TAIL)]
    observed = z.sort(dim=0).values.numpy()[ranks - 1]
    return Quantiles(special.ndtri((ranks - 0.5) / n), observed, *band)
