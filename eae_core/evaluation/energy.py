"""Energy distance of codes to N(0, I): exact on the Gaussian's side, so no reference sample."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from eae_core.evaluation.bands import Band, check_codes, check_size, simulated_deviations

_STEP, _REACH = 0.4, 54.0  # of the trapezoid sum: its error is below 1e-11 of the mean distance
_BLOCK = 1000  # points at a time
_NULL_POINTS = 200  # in a simulated sample


def energy_distance(z: Tensor) -> float:
    r"""Squared energy distance of a sample to N(0, I), in units of a distance.

    .. math:: D = \frac2n \sum_i E|z_i - Z| - E|Z - Z'| - \frac1{n^2} \sum_{ij} |z_i - z_j|

    with independent Z, Z' from N(0, I). It is 0 only if the distributions are equal; its mean for a
    sample from N(0, I) is :math:`E|Z - Z'| / n` exactly. Both Gaussian means are computed, see
    :func:`mean_distance_to_gaussian`. Time grows with the square of n, memory with n.

    Args:
        z: (n, d) codes, n >= 2.

    Raises:
        TypeError, ValueError: no floats n x d, n < 2, NaN or infinity.

    Source:
        Szekely and Rizzo (2005), who test normality with it.

    Example:
        >>> z = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
        >>> low, high = energy_band(500, 8)
        >>> low < energy_distance(z) < high, energy_distance(1.2 * z) > high
        (True, True)
    """
    z = check_codes(z)
    n, d = z.shape
    squares = z.square().sum(1).numpy()
    to_gaussian = mean_distance_to_gaussian(squares, d).mean()
    pairs = sum(torch.cdist(part, z).sum().item() for part in z.split(_BLOCK)) / n**2
    return float(2 * to_gaussian - mean_gaussian_distance(d) - pairs)


def mean_gaussian_distance(d: int) -> float:
    r"""Mean distance :math:`E|Z - Z'| = 2 \Gamma(\frac{d+1}2) / \Gamma(\frac d2)` in N(0, I_d).

    Example:
        >>> round(mean_gaussian_distance(1), 6)  # 2 / sqrt(pi)
        1.128379
    """
    if d < 1:
        raise ValueError(f"a dimension must be at least 1, got d = {d}")
    return 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))


def mean_distance_to_gaussian(squared_norms: np.ndarray, d: int) -> np.ndarray:
    r"""Mean distance :math:`E|x - Z|` of points x to Z from N(0, I_d), by :math:`s = |x|^2`.

    .. math:: E|x - Z| = \frac1{2 \sqrt\pi} \int_0^\infty
              \Bigl(1 - \frac{e^{-ts/(1+2t)}}{(1+2t)^{d/2}}\Bigr) \frac{dt}{t^{3/2}}

    from :math:`\sqrt q = \frac1{2\sqrt\pi} \int (1 - e^{-tq}) t^{-3/2} dt` and the moment
    generating function of :math:`|x - Z|^2`, summed over log t. The closed form, a noncentral chi's
    mean by :math:`{}_1F_1`, overflows in hundreds of dimensions.

    Args:
        squared_norms: (n,) values of s.
        d: dimension.

    Returns:
        (n,) mean distances.

    Example:
        >>> mean_distance_to_gaussian(np.array([0.0, 1e6]), 2).round(4)  # sqrt(pi/2), about |x|
        array([   1.2533, 1000.0005])
    """
    if d < 1:
        raise ValueError(f"a dimension must be at least 1, got d = {d}")
    log_t = np.arange(-_REACH, _REACH, _STEP)
    parts = []
    for s in np.array_split(squared_norms, max(1, math.ceil(len(squared_norms) / _BLOCK))):
        mean_square = (d + s)[:, None]
        t = np.exp(log_t) / mean_square  # points x nodes, so that every point has its scale
        missing = -np.expm1(-0.5 * d * np.log1p(2 * t) - t * s[:, None] / (1 + 2 * t))
        total = (missing * np.exp(-0.5 * log_t)).sum(1) * _STEP
        parts.append(total * np.sqrt(mean_square[:, 0]) / (2 * math.sqrt(math.pi)))
    return np.concatenate(parts)


def energy_band(n: int, d: int) -> Band:
    """Where the energy distance of 95 % of samples of n points from N(0, I_d) lies.

    The mean is exact, the spread about it simulated, see :func:`simulated_deviations`.

    Raises:
        ValueError: n < 2 or d < 1.
    """
    check_size(n, d)
    low, high = (mean_gaussian_distance(d) + _deviations(min(n, _NULL_POINTS), d)) / n
    return Band(float(low), float(high))


@lru_cache(maxsize=64)
def _deviations(n: int, d: int) -> np.ndarray:
    return simulated_deviations(energy_distance, n, d, mean_gaussian_distance(d) / n)
