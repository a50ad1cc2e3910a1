"""Distributions of known entropy, with seeded samplers in float64, to hold an estimator against.

One without a density has no finite entropy and is not here: the uniform one on a sphere, or a
Gaussian of deficient rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from eae_core.entropy import gaussian_entropy_bound, unit_ball_log_volume
from eae_core.entropy.distributions import Distribution
from eae_core.errors import check_integer


def gaussian(dimension: int, *, condition: float = 1.0) -> Distribution:
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
    d = check_integer("dimension", dimension)
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

    return Distribution(
        name="Gaussian" if condition == 1.0 else f"Gaussian, condition {condition:g}",
        dimension=d,
        entropy=gaussian_entropy_bound(d),
        mean=torch.zeros(d, dtype=torch.float64),
        variance=factor.square().sum(1),
        draw=draw,
    )


def uniform_cube(dimension: int) -> Distribution:
    """Uniform distribution on the unit cube [0, 1]^d: H = 0 nats.

    Example:
        >>> uniform_cube(7).entropy
        0.0
    """
    d = check_integer("dimension", dimension)
    return _alike("uniform cube", d, 0.0, (0.5, 1 / 12), lambda n, g: draw_uniform(n, d, g))


def uniform_ball(dimension: int) -> Distribution:
    """Uniform distribution on the unit ball of R^d: H = log V_d nats, variance 1 / (d + 2).

    Drawn as a direction (a normalised Gaussian) times U^(1/d).

    Example:
        >>> round(uniform_ball(2).entropy, 4)  # log(pi)
        1.1447
    """
    d = check_integer("dimension", dimension)

    def draw(n: int, generator: Generator) -> Tensor:
        direction = torch.nn.functional.normalize(draw_normal(n, d, generator))
        return direction * draw_uniform(n, 1, generator) ** (1 / d)

    return _alike("uniform ball", d, unit_ball_log_volume(d), (0.0, 1 / (d + 2)), draw)


def laplace(dimension: int) -> Distribution:
    """Independent Laplace coordinates of scale 1: H = d (1 + log 2) nats, variance 2.

    Example:
        >>> round(laplace(1).entropy, 4)
        1.6931
    """
    d = check_integer("dimension", dimension)

    def draw(n: int, generator: Generator) -> Tensor:
        return draw_exponential(n, d, generator) - draw_exponential(n, d, generator)

    return _alike("Laplace", d, d * (1 + math.log(2)), (0.0, 2.0), draw)


def exponential(dimension: int) -> Distribution:
    """Independent exponential coordinates of rate 1: H = d nats, mean 1, variance 1.

    Example:
        >>> exponential(3).entropy
        3.0
    """
    d = check_integer("dimension", dimension)
    return _alike("exponential", d, float(d), (1.0, 1.0), lambda n, g: draw_exponential(n, d, g))


def student_t(dimension: int, df: float) -> Distribution:
    """Independent Student t coordinates of scale 1 with df degrees of freedom.

    H = d [(df+1)/2 (psi((df+1)/2) - psi(df/2)) + log(df)/2 + log B(df/2, 1/2)] nats; the variance
    is df / (df - 2) for df > 2, and df = 1 is the Cauchy distribution.

    Raises:
        ValueError: dimension < 1, or df not finite or below 0.2.

    Example:
        >>> round(student_t(1, 1).entropy, 4)  # Cauchy: log(4 pi)
        2.531
    """
    d, df = check_integer("dimension", dimension), _degrees_of_freedom(df)
    entropy = d * _spherical_t_entropy(1, df)
    name = f"Student t, df {df:g}"
    return _alike(name, d, entropy, _t_moments(df), lambda n, g: draw_student_t(n, d, df, g))


def spherical_t(dimension: int, df: float) -> Distribution:
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
    d, df = check_integer("dimension", dimension), _degrees_of_freedom(df)

    def draw(n: int, generator: Generator) -> Tensor:
        z = torch.zeros(n, d, dtype=torch.float64, device=generator.device)
        for j in range(d):
            scale = ((df + z.square().sum(1)) / (df + j)).sqrt()  # (n,)
            z[:, j] = scale * draw_student_t(n, 1, df + j, generator)[:, 0]
        return z

    name = f"spherical Student t, df {df:g}"
    return _alike(name, d, _spherical_t_entropy(d, df), _t_moments(df), draw)


def two_gaussians(dimension: int, separation: float) -> Distribution:
    """Two unit Gaussians of equal weight, their means ``separation`` apart on the first axis.

    The one entropy here without a closed form: d/2 log(2 pi e) plus the information that a position
    carries about its cluster, from 0 to log 2 nats, by adaptive quadrature to 1e-10 nats.

    Raises:
        ValueError: dimension < 1, or separation negative or not finite.

    Example:
        >>> round(two_gaussians(1, 40).entropy - gaussian(1).entropy, 6)  # log 2
        0.693147
    """
    d = check_integer("dimension", dimension)
    if not 0.0 <= separation < math.inf:
        raise ValueError(f"separation must be a finite number of at least 0, got {separation}")
    half = separation / 2

    def draw(n: int, generator: Generator) -> Tensor:
        z = draw_normal(n, d, generator)
        z[:, 0] += half * (2 * draw_uniform(n, 1, generator)[:, 0] - 1).sign()
        return z

    entropy = gaussian_entropy_bound(d) + _cluster_information(half)
    found = _alike(f"two Gaussians {separation:g} apart", d, entropy, (0.0, 1.0), draw)
    found.variance[0] += half**2
    return found


def standardized(distribution: Distribution) -> Distribution:
    """The same distribution with each coordinate shifted and scaled to mean 0 and variance 1.

    H((Z - m) / s) = H(Z) - sum_j log s_j, in nats. Correlations between coordinates remain.

    Raises:
        ValueError: a mean or a variance is not finite.

    Example:
        >>> round(standardized(uniform_cube(1)).entropy, 4)  # log sqrt(12)
        1.2425
    """
    if not (distribution.mean.isfinite().all() and distribution.variance.isfinite().all()):
        raise ValueError(
            f"{distribution.name} has no finite mean and variance, so it cannot be standardised; "
            "use it as it is (a Student t has a finite variance for df > 2)"
        )
    mean, scale = distribution.mean, distribution.variance.sqrt()

    def draw(n: int, generator: Generator) -> Tensor:
        device = generator.device
        return (distribution.draw(n, generator) - mean.to(device)) / scale.to(device)

    return replace(
        distribution,
        entropy=distribution.entropy - float(scale.log().sum()),
        mean=torch.zeros_like(mean),
        variance=torch.ones_like(scale),
        draw=draw,
    )


def draw_normal(n: int, d: int, generator: Generator) -> Tensor:
    """Standard Gaussian coordinates, n x d in float64."""
    return torch.randn(n, d, generator=generator, dtype=torch.float64, device=generator.device)


def draw_uniform(n: int, d: int, generator: Generator) -> Tensor:
    """Coordinates uniform on [0, 1), n x d in float64."""
    return torch.rand(n, d, generator=generator, dtype=torch.float64, device=generator.device)


def draw_exponential(n: int, d: int, generator: Generator) -> Tensor:
    """Exponential coordinates of rate 1, n x d in float64."""
    empty = torch.empty(n, d, dtype=torch.float64, device=generator.device)
    return empty.exponential_(generator=generator)


def draw_student_t(n: int, d: int, df: float, generator: Generator) -> Tensor:
    """Student t coordinates of scale 1, n x d in float64, by Bailey's polar method (1994)."""
    # Radius times (cos, sin) of a uniform angle is a bivariate t. Bailey's U^(-2/df) is
    # exp(2 E / df) with E exponential, and expm1 keeps small radii exact.
    radius = (df * torch.expm1(draw_exponential(n, d, generator) * (2 / df))).sqrt()
    return radius * torch.cos(2 * math.pi * draw_uniform(n, d, generator))


def _alike(
    name: str,
    d: int,
    entropy: float,
    moments: tuple[float, float],
    draw: Callable[[int, Generator], Tensor],
) -> Distribution:
    """A distribution whose coordinates share their mean and variance."""
    mean, variance = (torch.full((d,), moment, dtype=torch.float64) for moment in moments)
    return Distribution(name, d, entropy, mean, variance, draw)


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
        reason = "heavier tails overflow float64, and the limit of large df is gaussian()"
        raise ValueError(f"df must be a finite number of at least 0.2, got {df}: {reason}")
    return float(df)
