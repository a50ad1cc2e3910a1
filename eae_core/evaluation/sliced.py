"""Sliced Wasserstein distance of codes to N(0, I): exact on every line, so no reference sample."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from eae_core.errors import check_integer
from eae_core.evaluation.bands import Band, check_codes, check_size, simulated_deviations

PROJECTIONS = 100
_CHUNK = 20  # projections at a time
_NULL_POINTS = 300  # in a simulated sample


def sliced_wasserstein(z: Tensor, *, projections: int = PROJECTIONS, seed: int = 0) -> float:
    r"""Sliced 2-Wasserstein distance of a sample to N(0, I), in units of a standard deviation.

    .. math:: D^2 &= \frac1P \sum_{p=1}^P W_2^2(\theta_p^T z, \mathcal N(0, 1)), \\
              W_2^2(y, \mathcal N(0, 1)) &= \frac1n \sum_i y_i^2 - 2 \sum_i m_i\, y_{(i)} + 1

    with :math:`\theta_p` random unit vectors, :math:`y_{(1)} \le \dots \le y_{(n)}` and

    .. math:: m_i = \int_{(i-1)/n}^{i/n} \Phi^{-1}(u)\, du
              = \varphi\bigl(\Phi^{-1}(\tfrac{i-1}n)\bigr) - \varphi\bigl(\Phi^{-1}(\tfrac in)\bigr)

    exact on every line. In many dimensions it sees wrong means and variances, and little of the
    shape.

    Args:
        z: (n, d) codes, n >= 2.
        projections: P. A line has one direction; in d = 1 only that one is used.
        seed: of the directions, which depend on d, P and the seed alone.

    Raises:
        TypeError, ValueError: no floats n x d, n < 2, NaN or infinity, or no projection.

    Source:
        Rabin et al. (2012) for the sliced distance.

    Example:
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> low, high = sliced_wasserstein_band(1000, 8)
        >>> low < sliced_wasserstein(z) < high, sliced_wasserstein(z + 1) > high
        (True, True)
    """
    z = check_codes(z)
    check_integer("projections", projections)
    n, d = z.shape
    theta = _directions(d, projections, seed)  # (P, d)
    means = torch.from_numpy(_cell_means(n))
    squares = []
    for part in theta.split(_CHUNK):
        y = (part @ z.T).sort(dim=1).values  # projections x n
        squares.append(y.square().mean(1) - 2 * (y @ means) + 1)
    return math.sqrt(max(0.0, torch.cat(squares).mean().item()))


def sliced_wasserstein_band(
    n: int, d: int, *, projections: int = PROJECTIONS, seed: int = 0
) -> Band:
    """Where the sliced distance of 95 % of samples of n points from N(0, I_d) lies.

    Its mean square is exact, the spread about it simulated, see :func:`simulated_deviations`.

    Raises:
        ValueError: n < 2, d < 1 or no projection.
    """
    check_size(n, d)
    check_integer("projections", projections)
    deviations = _deviations(min(n, _NULL_POINTS), d, projections, seed)
    low, high = np.sqrt(np.maximum(0.0, mean_squared_distance(n) + deviations / n))
    return Band(float(low), float(high))


@lru_cache(maxsize=64)
def mean_squared_distance(n: int) -> float:
    r"""Mean of :math:`W_2^2` between n points from N(0, 1) and N(0, 1), in any direction.

    .. math:: E\,W_2^2 = 2 - 2 \sum_i m_i\, E\,y_{(i)}

    The sum is the integral of :math:`y\,\varphi(y)` times the binomial mean of :math:`n\,m_i`, with
    success probability :math:`\Phi(y)`: a trapezoid sum over the line.

    Example:
        >>> round(mean_squared_distance(2), 6)  # 2 - 2 sqrt(2) / pi
        1.099684
    """
    if check_integer("n", n) < 2:
        raise ValueError("n must be at least 2")
    means = n * _cell_means(n)
    step, total = 0.025, 0.0
    for y in np.arange(step / 2, 9.5, step):  # odd times odd: the other half is the same
        u = special.ndtr(y)
        spread = 10 * math.sqrt(n * u * (1 - u)) + 40  # all but 1e-20 of the binomial
        centre = (n - 1) * u
        index = np.arange(max(0, math.floor(centre - spread)), min(n, math.ceil(centre + spread)))
        mean = stats.binom.pmf(index, n - 1, u) @ means[index]
        total += 2 * step * y * stats.norm.pdf(y) * mean
    return float(2 - 2 * total)


@lru_cache(maxsize=64)
def _deviations(n: int, d: int, projections: int, seed: int) -> np.ndarray:
    def square(z: Tensor) -> float:
        return sliced_wasserstein(z, projections=projections, seed=seed) ** 2

    return simulated_deviations(square, n, d, mean_squared_distance(n))


def _directions(d: int, projections: int, seed: int) -> Tensor:
    """Random unit vectors, P x d; a line has one direction."""
    if d == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    # NumPy's generator: with torch's and the same small seed, the directions would be the very
    # points of a sample that was drawn with torch.randn.
    theta: Tensor = torch.from_numpy(np.random.default_rng(seed).standard_normal((projections, d)))
    theta /= theta.norm(dim=1, keepdim=True)
    return theta


@lru_cache(maxsize=16)
def _cell_means(n: int) -> np.ndarray:
    """The integrals m_i (n,) of the Gaussian quantile function over n cells of equal mass."""
    half = special.ndtri(np.arange(n // 2 + 1) / n)  # from the lower tail, where ndtri is exact
    density = np.zeros(n + 1)
    density[: n // 2 + 1] = np.exp(-0.5 * half**2) / math.sqrt(2 * math.pi)  # 0 at -inf
    density[-(n // 2 + 1) :] = density[: n // 2 + 1][::-1]
    return density[:-1] - density[1:]
