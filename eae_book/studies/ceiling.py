"""The most that the nearest-neighbour estimate can return under batch normalisation."""

from __future__ import annotations

import math

import torch
from scipy.special import digamma
from torch import Tensor

from eae_core.entropy.knn import unit_ball_log_volume
from eae_core.errors import check_integer


def knn_entropy_ceiling(n: int, d: int, k: int = 1) -> float:
    r"""Largest value of ``knn_entropy`` on n points whose coordinates have mean square 1, in nats.

    .. math:: \hat H \le \frac d2 \log \frac{2nd}{n - k} + \log V_d + \psi(n) - \psi(k)

    The squared distances from a point to the n - 1 others are 2nd on average over the points, with
    mean 0 exactly, else less. At least n - k of them are as large as :math:`\rho_k^2`, so its mean
    is at most 2nd / (n - k), and Jensen's inequality takes the logarithm inside. Equality holds if
    and only if every point coincides with k - 1 others and is equally far from all the rest: the
    corners of a regular simplex, each taken k times. That is possible if k divides n and
    n / k - 1 <= d; for other sizes the bound is strict.

    Args:
        n: number of points.
        d: dimension.
        k: which neighbour; ``1 <= k < n``.

    Raises:
        ValueError: n or d < 1, or k outside 1..n-1.

    Example:
        >>> from eae_core.entropy import gaussian_entropy_bound, knn_entropy
        >>> round(knn_entropy_ceiling(100, 128), 2)
        228.81
        >>> round(knn_entropy(regular_simplex(100, 128)).item(), 2)
        228.81
        >>> round(gaussian_entropy_bound(128), 2)  # what any law with these moments can have
        181.62
    """
    check_integer("d", d)
    if not 1 <= k < check_integer("n", n):
        raise ValueError(f"k must lie in 1..n-1 = {n - 1} for n = {n} points, got k = {k}")
    jensen = 0.5 * d * math.log(2 * n * d / (n - k))
    return jensen + unit_ball_log_volume(d) + float(digamma(n) - digamma(k))


def regular_simplex(n: int, d: int) -> Tensor:
    r"""Points in R^d, all equally far apart, with mean 0 and variance 1 in every coordinate.

    .. math:: z = \sqrt{\tfrac{nd}{n-1}}\; U W, \qquad U^T U = W W^T = I, \quad U^T 1 = 0

    The n - 1 columns of U span all that is orthogonal to the vector of ones, so that the points are
    the corners of a regular simplex, at distance :math:`\sqrt{2nd/(n-1)}`. The n - 1 rows of W are
    waves, chosen so that all its columns have the same length: that gives every coordinate the same
    variance.

    Args:
        n: number of points, 2 <= n <= d + 1.
        d: dimension.

    Returns:
        (n, d) points in float64.

    Raises:
        ValueError: n < 2, or more points than a simplex in d dimensions has.

    Example:
        >>> z = regular_simplex(3, 2)
        >>> torch.pdist(z).round(decimals=4)  # sqrt(6)
        tensor([2.4495, 2.4495, 2.4495], dtype=torch.float64)
        >>> z.square().mean(0).round(decimals=4)
        tensor([1., 1.], dtype=torch.float64)
    """
    if not 2 <= check_integer("n", n) <= check_integer("d", d) + 1:
        raise ValueError(
            f"a regular simplex in d = {d} dimensions has 2 to {d + 1} corners, got n = {n}"
        )
    corners: Tensor = torch.linalg.svd(torch.eye(n, dtype=torch.float64) - 1 / n).U[:, : n - 1]
    return math.sqrt(n * d / (n - 1)) * corners @ _waves(n - 1, d)


def _waves(rows: int, d: int) -> Tensor:
    """Orthonormal rows, rows x d, whose columns all have the same length."""
    # Every pair of cosine and sine has columns of length sqrt(2/d); so have, for one row, the
    # constant wave and, for even d, the alternating one, with 1/sqrt(d).
    angle = 2 * math.pi / d * torch.arange(d, dtype=torch.float64)
    pairs = min(rows // 2, (d - 1) // 2)
    waves = [
        f(m * angle) * math.sqrt(2 / d) for m in range(1, pairs + 1) for f in (torch.cos, torch.sin)
    ]
    single = [torch.ones(d), torch.cos(math.pi * torch.arange(d))]
    waves += [wave.double() / math.sqrt(d) for wave in single[: rows - 2 * pairs]]
    return torch.stack(waves)
