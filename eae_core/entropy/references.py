"""Laws of known entropy, with seeded samplers in float64, to hold an estimator against.

A law without a density has no finite entropy and is not here: the uniform law on a sphere, or a
Gaussian of deficient rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor

from eae_core.entropy.distributions import (
    Law,
    draw_exponential,
    draw_normal,
    draw_student_t,
    draw_uniform,
    whole,
)
from eae_core.entropy.knn import gaussian_entropy_bound, unit_ball_log_volume

__all__ = [
    "Law",
    "exponential",
    "gaussian",
    "laplace",
    "spherical_t",
    "student_t",
    "two_gaussians",
    "uniform_ball",
    "uniform_cube",
]


def gaussian(dimension: int, *, condition: float = 1.0) -> Law:
    """Gaussian with mean 0, a covariance of the given condition number, and determinant 1.

    H = d/2 log(2 pi e) nats whatever the condition number: the eigenvalues are spaced evenly in
    their logarithm from condition^(-1/2) to condition^(1/2), so their product is 1. The principal
    axes are those of the discrete cosine transform, so the coordinates are correlated.

    Raises:
        ValueError: dimension < 1, condition < 1, or condition > 1 in one dimension.

    Example:
        >>> gaussian(2, condition=100).entropy == gaussian(2).entropy
        True
    """
    d = whole("dimension", dimension)
    if not 1.0 <= condition < math.inf:
        raise ValueError(f"condition must be a finite number of at least 1, got {condition}")
    if d == 1 and condition > 1.0:
        raise ValueError("one dimension has one variance only, so its condition number is 1")
    half = 0.5 * math.log(condition)
    deviations = torch.linspace(-half, half, d, dtype=torch.float64).mul(0.5).exp()  # (d,)
    # Columns: axes times deviations, so the covariance is factor @ factor.T.
    factor = _cosine_axes(d) * deviations if condition > 1.0 else torch.eye(d, dtype=torch.float64)

    def draw(n: int, generator: Generator) -> Tensor:
        return draw_normal(n, d, generator) @ factor.T.to(generator.device)

    return Law(
        name="Gaussian" if condition == 1.0 else f"Gaussian, condition {condition:g}",
        dimension=d,
        entropy=gaussian_entropy_bound(d),
        mean=torch.zeros(d, dtype=torch.float64),
        variance=factor.square().sum(1),
        draw=draw,
    )


def uniform_cube(dimension: int) -> Law:
    """Uniform law on the unit cube [0, 1]^d: H = 0 nats.

    Example:
        >>> uniform_cube(7).entropy
        0.0
    """
    d = whole("dimension", dimension)
    return _law("uniform cube", d, 0.0, (0.5, 1 / 12), lambda n, g: draw_uniform(n, d, g))


def uniform_ball(dimension: int) -> Law:
    """Uniform law on the unit ball of R^d: H = log V_d nats, variance 1 / (d + 2).

    Drawn as a direction (a normalised Gaussian) times U^(1/d).

    Example:
        >>> round(uniform_ball(2).entropy, 4)  # log(pi)
        1.1447
    """
    d = whole("dimension", dimension)

    def draw(n: int, generator: Generator) -> Tensor:
        direction = torch.nn.functional.normalize(draw_normal(n, d, generator))
        return direction * draw_uniform(n, 1, generator) ** (1 / d)

    return _law("uniform ball", d, unit_ball_log_volume(d), (0.0, 1 / (d + 2)), draw)


def laplace(dimension: int) -> Law:
    """Independent Laplace coordinates of scale 1: H = d (1 + log 2) nats, variance 2.

    Example:
        >>> round(laplace(1).entropy, 4)
        1.6931
    """
    d = whole("dimension", dimension)

    def draw(n: int, generator: Generator) -> Tensor:
        return draw_exponential(n, d, generator) - draw_exponential(n, d, generator)

    return _law("Laplace", d, d * (1 + math.log(2)), (0.0, 2.0), draw)


def exponential(dimension: int) -> Law:
    """Independent exponential coordinates of rate 1: H = d nats, mean 1, variance 1.

    Example:
        >>> exponential(3).entropy
        3.0
    """
    d = whole("dimension", dimension)
    return _law("exponential", d, float(d), (1.0, 1.0), lambda n, g: draw_exponential(n, d, g))


def student_t(dimension: int, df: float) -> Law:
    """Independent Student t coordinates of scale 1 with df degrees of freedom.

    H = d [(df+1)/2 (psi((df+1)/2) - psi(df/2)) + log(df)/2 + log B(df/2, 1/2)] nats; the variance
    is df / (df - 2) for df > 2, and df = 1 is the Cauchy law.

    Raises:
        ValueError: dimension < 1, or df not finite or below 0.2.

    Example:
        >>> round(student_t(1, 1).entropy, 4)  # Cauchy: log(4 pi)
        2.531
    """
    d, df = whole("dimension", dimension), _degrees_of_freedom(df)
    entropy = d * _spherical_t_entropy(1, df)
    name = f"Student t, df {df:g}"
    return _law(name, d, entropy, _t_moments(df), lambda n, g: draw_student_t(n, d, df, g))


def spherical_t(dimension: int, df: float) -> Law:
    """The multivariate Student t of scale I: one heavy-tailed radius for all coordinates.

    H = (df+d)/2 (psi((df+d)/2) - psi(df/2)) + d/2 log(pi df) + log Gamma(df/2)
    - log Gamma((df+d)/2) nats. Coordinates are uncorrelated but dependent. Drawn one by one: after
    j of them, the next is a Student t with df + j degrees of freedom, of squared scale
    ``(df + |z|^2) / (df + j)``.

    Raises:
        ValueError: dimension < 1, or df not finite or below 0.2.

    Example:
        >>> spherical_t(1, 3).entropy == student_t(1, 3).entropy
        True
    """
    d, df = whole("dimension", dimension), _degrees_of_freedom(df)

    def draw(n: int, generator: Generator) -> Tensor:
        z = torch.zeros(n, d, dtype=torch.float64, device=generator.device)
        for j in range(d):
            scale = ((df + z.square().sum(1)) / (df + j)).sqrt()  # (n,)
            z[:, j] = scale * draw_student_t(n, 1, df + j, generator)[:, 0]
        return z

    name = f"spherical Student t, df {df:g}"
    return _law(name, d, _spherical_t_entropy(d, df), _t_moments(df), draw)


def two_gaussians(dimension: int, separation: float) -> Law:
    """Two unit Gaussians of equal weight, their means ``separation`` apart on the first axis.

    The one entropy here without a closed form: d/2 log(2 pi e) plus the information that a position
    carries about its cluster, from 0 to log 2 nats, by adaptive quadrature to 1e-10 nats.

    Raises:
        ValueError: dimension < 1, or separation negative or not finite.

    Example:
        >>> round(two_gaussians(1, 40).entropy - gaussian(1).entropy, 6)  # log 2
        0.693147
    """
    d = whole("dimension", dimension)
    if not 0.0 <= separation < math.inf:
        raise ValueError(f"separation must be a finite number of at least 0, got {separation}")
    half = separation / 2

    def draw(n: int, generator: Generator) -> Tensor:
        z = draw_normal(n, d, generator)
        z[:, 0] += half * (2 * draw_uniform(n, 1, generator)[:, 0] - 1).sign()
        return z

    entropy = gaussian_entropy_bound(d) + _cluster_information(half)
    law = _law(f"two Gaussians {separation:g} apart", d, entropy, (0.0, 1.0), draw)
    law.variance[0] += half**2
    return law


def _law(
    name: str,
    d: int,
    entropy: float,
    moments: tuple[float, float],
    draw: Callable[[int, Generator], Tensor],
) -> Law:
    """A law whose coordinates share their mean and variance."""
    mean, variance = (torch.full((d,), moment, dtype=torch.float64) for moment in moments)
    return Law(name, d, entropy, mean, variance, draw)


def _cosine_axes(d: int) -> Tensor:
    """Orthonormal discrete cosine transform, d x d: one axis a column."""
    index = torch.arange(d, dtype=torch.float64)
    axes = torch.cos(math.pi / d * (index[:, None] + 0.5) * index) * math.sqrt(2 / d)
    axes[:, 0] = math.sqrt(1 / d)
    return axes


def _spherical_t_entropy(d: int, df: float) -> float:
    from scipy import special

    a, b = 0.5 * (df + d), 0.5 * df
    digammas = float(special.digamma(a) - special.digamma(b))
    return a * digammas + 0.5 * d * math.log(math.pi * df) + math.lgamma(b) - math.lgamma(a)


def _t_moments(df: float) -> tuple[float, float]:
    """Mean and variance of a Student t: NaN without a mean, an infinite variance up to df = 2."""
    if df <= 1:
        return math.nan, math.nan
    return 0.0, df / (df - 2) if df > 2 else math.inf


def _cluster_information(half: float) -> float:
    """Mutual information of position and cluster: log 2 - E log(1 + exp(-2 half x)), in nats.

    The mean is over x ~ N(half, 1). Its tails beyond 12 are below 1e-30.
    """
    from scipy import integrate, stats

    def unsure(score: float) -> float:
        return float(stats.norm.pdf(score) * np.logaddexp(0.0, -2 * half * (half + score)))

    missing, _ = integrate.quad(unsure, -12.0, 12.0, epsabs=1e-12, epsrel=1e-12, limit=200)
    return math.log(2) - float(missing)


def _degrees_of_freedom(df: float) -> float:
    if not 0.2 <= df < math.inf:
        raise ValueError(
            f"df must be a finite number of at least 0.2, got {df}: heavier tails overflow "
            "float64, and the limit of large df is gaussian()"
        )
    return float(df)
