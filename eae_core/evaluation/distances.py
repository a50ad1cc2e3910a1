"""How far codes are from N(0, I): distances with an exact Gaussian side, and bands of true samples.

A finite sample from N(0, I) has a distance too: each stands beside the band of 95 % of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from eae_core.entropy.samples import check_sample
from eae_core.errors import check_integer

TAIL = 0.025  # share of true Gaussian samples on each side of a band
PROJECTIONS = 100
_DRAWS, _SEED = 400, 0  # of simulated samples
_ENERGY_POINTS, _SLICED_POINTS = 200, 300  # in each of them
_STEP, _REACH = 0.4, 54.0  # of the trapezoid sum: its error is below 1e-11 of the mean distance
_BLOCK, _CHUNK = 1000, 20  # points, and projections, at a time


class Band(NamedTuple):
    """Where 95 % of true samples from N(0, I) lie: 2.5 % fall below it, and 2.5 % above."""

    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.low:{spec}} to {self.high:{spec}}"


def check_codes(z: Tensor) -> Tensor:
    """Codes (n, d) in float64 on the CPU, without gradient.

    Raises:
        TypeError, ValueError: no floats n x d, n < 2, NaN or infinity; so do all distances here.
    """
    z = check_sample(z)
    if len(z) < 2:
        raise ValueError(f"n = {len(z)} codes are no sample to test; n must be at least 2")
    return z.detach().double().cpu()


@lru_cache(maxsize=64)
def _deviations(
    statistic: Callable[..., float], n: int, d: int, mean: float, *key: int
) -> np.ndarray:
    """Lower and upper 2.5 % of n times (statistic - mean) on seeded samples from N(0, I_d).

    The statistics here are integrals of a squared deviation, so that n times their deviation from
    the mean has a limit, reached at a few hundred points.
    """
    generator = torch.Generator().manual_seed(_SEED)
    draws = (torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(_DRAWS))
    values = np.array([statistic(z, *key) for z in draws])
    return np.quantile(n * (values - mean), (TAIL, 1 - TAIL))


# --- one number of a code at a time: Kolmogorov-Smirnov distances, with exact bands


def axis_distances(z: Tensor) -> np.ndarray:
    r"""Distance :math:`\sup |F_n - \Phi|` to N(0, 1) of every coordinate, (d,)."""
    return np.array([stats.kstest(x, "norm").statistic for x in check_codes(z).numpy().T])


def axis_threshold(n: int, d: int, *, level: float = 0.05) -> float:
    """What the largest of d axis distances exceeds in at most this share of samples from N(0, I).

    Each coordinate is tested at ``level / d`` (Bonferroni), by the distance's exact distribution.

    Example:
        >>> round(axis_threshold(1000, 1), 4), round(axis_threshold(1000, 64), 4)
        (0.0428, 0.0625)
    """
    check_integer("n", n, 2)
    check_integer("d", d)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return float(stats.kstwo.isf(level / d, n))


def norm_distance(z: Tensor) -> float:
    """Kolmogorov-Smirnov distance of the squared norms :math:`|z_i|^2` to chi-square.

    Codes on a shell, or in a core and a tail, are far from it even if every projection looks
    Gaussian.

    Example:
        >>> z = torch.randn(1000, 16, generator=torch.Generator().manual_seed(0))
        >>> low, high = norm_band(1000)
        >>> low < norm_distance(z) < high, round(norm_distance(4 * z / z.norm(dim=1)[:, None]), 1)
        (True, 0.5)
    """
    z = check_codes(z)
    return float(stats.kstest(z.square().sum(1).numpy(), stats.chi2(z.shape[1]).cdf).statistic)


def norm_band(n: int) -> Band:
    """Where the distance of the norms of 95 % of samples of n points from N(0, I) lies; exact.

    Example:
        >>> f"{norm_band(10_000):.4f}"
        '0.0048 to 0.0148'
    """
    check_integer("n", n, 2)
    return Band(float(stats.kstwo.ppf(TAIL, n)), float(stats.kstwo.isf(TAIL, n)))


# --- energy distance


def energy_distance(z: Tensor) -> float:
    r"""Squared energy distance of a sample z (n, d), n >= 2, to N(0, I), in units of a distance.

    .. math:: D = \frac2n \sum_i E|z_i - Z| - E|Z - Z'| - \frac1{n^2} \sum_{ij} |z_i - z_j|

    with independent Z, Z' from N(0, I). It is 0 only if the distributions are equal; its mean for a
    sample from N(0, I) is :math:`E|Z - Z'| / n` exactly. Both Gaussian means are computed, see
    :func:`mean_distance_to_gaussian`. Time grows with the square of n, memory with n.

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
    to_gaussian = mean_distance_to_gaussian(z.square().sum(1).numpy(), d).mean()
    pairs = sum(torch.cdist(part, z).sum().item() for part in z.split(_BLOCK)) / n**2
    return float(2 * to_gaussian - mean_gaussian_distance(d) - pairs)


def mean_gaussian_distance(d: int) -> float:
    r"""Mean distance :math:`E|Z - Z'| = 2 \Gamma(\frac{d+1}2) / \Gamma(\frac d2)` in N(0, I_d)."""
    check_integer("d", d)
    return 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))


def mean_distance_to_gaussian(squared_norms: np.ndarray, d: int) -> np.ndarray:
    r"""Mean distances :math:`E|x - Z|` of points x to Z from N(0, I_d), by :math:`s = |x|^2`, (n,).

    .. math:: E|x - Z| = \frac1{2 \sqrt\pi} \int_0^\infty
              \Bigl(1 - \frac{e^{-ts/(1+2t)}}{(1+2t)^{d/2}}\Bigr) \frac{dt}{t^{3/2}}

    from :math:`\sqrt q = \frac1{2\sqrt\pi} \int (1 - e^{-tq}) t^{-3/2} dt` and the moment
    generating function of :math:`|x - Z|^2`, summed over log t. The closed form, a noncentral chi's
    mean by :math:`{}_1F_1`, overflows in hundreds of dimensions.
    """
    check_integer("d", d)
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

    The mean is exact, the spread about it simulated, see :func:`_deviations`.
    """
    check_integer("n", n, 2)
    few, mean = min(n, _ENERGY_POINTS), mean_gaussian_distance(d)
    low, high = (mean + _deviations(energy_distance, few, d, mean / few)) / n
    return Band(float(low), float(high))


# --- sliced Wasserstein distance


def sliced_wasserstein(z: Tensor, *, projections: int = PROJECTIONS, seed: int = 0) -> float:
    r"""Sliced 2-Wasserstein distance of a sample to N(0, I), in units of a standard deviation.

    .. math:: D^2 &= \frac1P \sum_{p=1}^P W_2^2(\theta_p^T z, \mathcal N(0, 1)), \\
              W_2^2(y, \mathcal N(0, 1)) &= \frac1n \sum_i y_i^2 - 2 \sum_i m_i\, y_{(i)} + 1

    with :math:`\theta_p` random unit vectors, :math:`y_{(1)} \le \dots \le y_{(n)}` and

    .. math:: m_i = \int_{(i-1)/n}^{i/n} \Phi^{-1}(u)\, du
              = \varphi\bigl(\Phi^{-1}(\tfrac{i-1}n)\bigr) - \varphi\bigl(\Phi^{-1}(\tfrac in)\bigr)

    exact on every line. In many dimensions it sees means and variances, and little of the shape.

    Args:
        z: (n, d) codes, n >= 2.
        projections: P. A line has one direction; in d = 1 only that one is used.
        seed: of the directions, which depend on d, P and the seed alone.

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
    means = torch.from_numpy(_cell_means(n))
    squares = []
    for theta in _directions(d, projections, seed).split(_CHUNK):
        y = (theta @ z.T).sort(dim=1).values  # projections x n
        squares.append(y.square().mean(1) - 2 * (y @ means) + 1)
    return math.sqrt(max(0.0, torch.cat(squares).mean().item()))


def sliced_wasserstein_band(
    n: int, d: int, *, projections: int = PROJECTIONS, seed: int = 0
) -> Band:
    """Where the sliced distance of 95 % of samples of n points from N(0, I_d) lies.

    Its mean square is exact, the spread about it simulated, see :func:`_deviations`.
    """
    check_integer("n", n, 2)
    check_integer("d", d)
    check_integer("projections", projections)
    few = min(n, _SLICED_POINTS)
    deviations = _deviations(_sliced_square, few, d, mean_squared_distance(few), projections, seed)
    low, high = np.sqrt(np.maximum(0.0, mean_squared_distance(n) + deviations / n))
    return Band(float(low), float(high))


@lru_cache(maxsize=64)
def mean_squared_distance(n: int) -> float:
    r"""Mean of :math:`W_2^2` between n points from N(0, 1) and N(0, 1), in any direction.

    .. math:: E\,W_2^2 = 2 - 2 \sum_i m_i\, E\,y_{(i)}

    The sum is the integral of :math:`y\,\varphi(y)` times the binomial mean of :math:`n\,m_i`, with
    success probability :math:`\Phi(y)`: a trapezoid sum over the line.
    """
    check_integer("n", n, 2)
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


def _sliced_square(z: Tensor, projections: int, seed: int) -> float:
    return sliced_wasserstein(z, projections=projections, seed=seed) ** 2


def _directions(d: int, projections: int, seed: int) -> Tensor:
    """Random unit vectors, P x d; a line has one direction."""
    if d == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    # NumPy's generator: torch's, from the same small seed, would draw the points of its samples.
    theta = torch.from_numpy(np.random.default_rng(seed).standard_normal((projections, d)))
    return torch.nn.functional.normalize(theta, eps=0.0)


@lru_cache(maxsize=16)
def _cell_means(n: int) -> np.ndarray:
    """The integrals m_i (n,) of the Gaussian quantile function over n cells of equal mass."""
    half = special.ndtri(np.arange(n // 2 + 1) / n)  # from the lower tail, where ndtri is exact
    density = np.zeros(n + 1)
    density[: n // 2 + 1] = np.exp(-0.5 * half**2) / math.sqrt(2 * math.pi)  # 0 at -inf
    density[-(n // 2 + 1) :] = density[: n // 2 + 1][::-1]
    return density[:-1] - density[1:]
