"""A quantile plot against N(0, 1), with the exact band of each rank."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special, stats
from torch import Tensor

from eae_core.errors import check_integer
from eae_core.evaluation.distances import TAIL, check_codes


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
