"""One number of a code at a time: Kolmogorov-Smirnov distances, with exact bands."""

from __future__ import annotations

import numpy as np
from scipy import stats
from torch import Tensor

from eae_core.evaluation.bands import TAIL, Band, check_codes, check_size


def axis_distances(z: Tensor) -> np.ndarray:
    r"""Kolmogorov-Smirnov distance :math:`\sup |F_n - \Phi|` to N(0, 1) of every coordinate, (d,).

    Raises:
        TypeError, ValueError: no floats n x d, n < 2, NaN or infinity.
    """
    columns = check_codes(z).numpy().T
    return np.array([stats.kstest(column, "norm").statistic for column in columns])


def axis_threshold(n: int, d: int, *, level: float = 0.05) -> float:
    """What the largest of d axis distances exceeds in at most this share of samples from N(0, I).

    Each coordinate is tested at ``level / d`` (Bonferroni), by the distance's exact distribution.

    Example:
        >>> round(axis_threshold(1000, 1), 4), round(axis_threshold(1000, 64), 4)
        (0.0428, 0.0625)
    """
    check_size(n, d)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return float(stats.kstwo.isf(level / d, n))


def norm_distance(z: Tensor) -> float:
    """Kolmogorov-Smirnov distance of the squared norms :math:`|z_i|^2` to chi-square.

    Codes on a shell, or in a core and a tail, are far from it even if every projection looks
    Gaussian.

    Raises:
        TypeError, ValueError: no floats n x d, n < 2, NaN or infinity.

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
