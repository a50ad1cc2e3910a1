"""The nearest-neighbour estimator for codes on the unit sphere, where R^d gives minus infinity."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from scipy import special
from torch import Tensor

from eae_core.entropy.expectation import ball_masses
from eae_core.entropy.knn import digamma, knn_entropy, unit_ball_log_volume
from eae_core.entropy.samples import Reduction, check_options, reduced

Ball = Literal["cap", "flat"]

_OFF_SPHERE = 1e-3  # how far a norm may be from 1; rounding in float32 is near 1e-7


def sphere_log_area(d: int) -> float:
    r"""Logarithm of the area of the unit sphere in R^d, ``log 2 + d/2 log(pi) - log Gamma(d/2)``.

    It is the largest entropy of a law on the sphere, in nats, reached by the uniform law alone.

    Raises:
        ValueError: d < 2 (the sphere of the line is two points).

    Example:
        >>> round(sphere_log_area(3), 6)  # log(4 pi)
        2.531024
    """
    if d < 2:
        raise ValueError(f"a sphere needs a dimension of at least 2, got d = {d}")
    return math.log(2) + 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d)


def sphere_knn_entropy(
    z: Tensor, k: int = 1, *, ball: Ball = "cap", reduction: Reduction = "mean"
) -> Tensor:
    r"""Kozachenko-Leonenko estimate of the entropy of a sample on the unit sphere, in nats.

    .. math:: \hat H = \frac1n \sum_{i=1}^n \log A(\rho_k(i)) + \psi(n) - \psi(k)

    with respect to the area of the (d-1)-dimensional sphere. :math:`A(\rho)` is the area of the cap
    of points within a distance :math:`\rho`, measured straight through R^d, of its centre; with
    :math:`\rho = 2 \sin(\theta / 2)`

    .. math:: A = S_{d-2} \int_0^\theta \sin^{d-2} t \, dt

    and :math:`S_{d-2}` the area of the unit sphere of R^(d-1). The share of a uniform law in such a
    cap is its share of the area, so on the uniform law the estimate has no bias, at any n, k and d.
    ``"flat"`` takes the (d-1)-dimensional ball :math:`V_{d-1} \rho^{d-1}` for the cap: KoLeo's
    logarithm of distances with its constants, right where :math:`\rho` is small.

    Args:
        z: (n, d) points of norm 1, d >= 2.
        k: which neighbour; ``1 <= k < n``.
        ball: ``"cap"`` or ``"flat"``.
        reduction: ``"mean"`` for the estimate, ``"none"`` for its n local terms, or their
            ``"sum"``.

    Returns:
        A scalar, or (n,) for ``reduction="none"``; with gradient.

    Raises:
        ValueError: rows that do not have norm 1, d < 2, an unknown ``ball``.
        DuplicatePointsError: see :func:`~eae_core.entropy.knn_entropy`, as for all other errors.

    Source:
        Kozachenko and Leonenko (1987) for the flat ball; the loss of Sablayrolles et al. (2019) is
        the flat form at k = 1, less its constants and the factor d - 1.

    Example:
        >>> turn = torch.arange(4) * (math.pi / 2)
        >>> z = torch.stack((turn.cos(), turn.sin()), 1)  # four points, a quarter turn apart
        >>> sphere_knn_entropy(z)  # log(pi) + psi(4) - psi(1)
        tensor(2.9781)
    """
    if ball not in ("cap", "flat"):
        raise ValueError(f"ball must be one of cap, flat, got {ball!r}")
    check_options(k, reduction=reduction, zero="raise", floor=None)
    local = knn_entropy(z, k, reduction="none")  # refuses bad shapes, values and duplicates
    n, d = z.shape
    _check_on_sphere(z)
    with torch.autocast(z.device.type, enabled=False):
        offset = digamma(n) - digamma(k)
        wide = local if z.device.type == "mps" else local.double()
        log_rho = (wide - (unit_ball_log_volume(d) + offset)) / d  # (n,)
        if ball == "flat":
            log_area = (d - 1) * log_rho + unit_ball_log_volume(d - 1)
        else:
            log_area = _log_cap_area(log_rho.exp(), d)
        result = log_area + offset
        return reduced(result, reduction).to(local.dtype)


def _log_cap_area(rho: Tensor, d: int) -> Tensor:
    """Logarithm of A for chords rho (n,), by Gauss-Legendre sums, which cannot underflow."""
    angle = 2 * (0.5 * rho).clamp(max=1 - 1e-12).asin()  # (n,), short of pi, where asin is vertical
    # Integrand of degree d - 2 in sin t: so many nodes leave an error below 1e-12.
    t, log_w = (torch.as_tensor(a).to(rho) for a in _nodes(32 + d // 2))
    log_sine = (angle[:, None] * t).sin().log()  # n x nodes
    integral = torch.logsumexp((d - 2) * log_sine + log_w, dim=1) + angle.log()
    # The sphere of R^1, for d = 2, is two points: area 2, so that A is the arc to either side.
    edge = sphere_log_area(d - 1) if d > 2 else math.log(2)
    return integral + edge


@lru_cache(maxsize=16)
def _nodes(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes on [0, 1] and the logarithms of their weights."""
    node, weight = np.polynomial.legendre.leggauss(number)
    return 0.5 * (node + 1), np.log(0.5 * weight)


def expected_sphere_estimate(dimension: int, n: int, k: int = 1) -> float:
    r"""Mean of ``knn_entropy`` over samples of n points from the sphere of radius sqrt(d), in nats.

    .. math:: E[\hat H] = \tfrac d2 \, E\Bigl[\log \bigl(4d \, B^{-1}(P)\bigr)\Bigr]
              + \log V_d + \psi(n) - \psi(k)

    with :math:`P \sim \mathrm{Beta}(k, n - k)` and B the distribution function of
    :math:`\mathrm{Beta}(\frac{d-1}2, \frac{d-1}2)`, which :math:`\rho^2 / 4d` has for two points.
    It has the mean and covariance of N(0, I), and no density: the estimate falls like -log(n) / (d
    - 1).

    Args:
        dimension: d, at least 2.
        n: number of points; any size up to about 1e15.
        k: which neighbour.

    Raises:
        ValueError: dimension < 2, or k outside 1..n-1.

    Example:
        >>> from eae_core.entropy.expectation import expected_gaussian_estimate
        >>> difference = expected_sphere_estimate(64, 100) - expected_gaussian_estimate(64, 100)
        >>> round(difference, 2)  # the estimator prefers the sphere
        1.89
    """
    if dimension < 2:
        raise ValueError(f"a sphere needs a dimension of at least 2, got {dimension}")
    if not 1 <= k < n:
        raise ValueError(f"k must lie in 1..n-1 = {n - 1} for n = {n} points, got k = {k}")
    mass, mass_weight = ball_masses(n, k)
    share = special.betaincinv((dimension - 1) / 2, (dimension - 1) / 2, mass)
    mean_log_rho = mass_weight @ (0.5 * np.log(4 * dimension * share))
    offset = unit_ball_log_volume(dimension) + special.digamma(n) - special.digamma(k)
    return float(dimension * mean_log_rho + offset)


def _check_on_sphere(z: Tensor) -> None:
    if z.shape[1] < 2:
        raise ValueError(f"a sphere needs codes of at least 2 coordinates, got {z.shape[1]}")
    off = (z.detach().norm(dim=1) - 1).abs() > _OFF_SPHERE
    if off.any():
        raise ValueError(
            f"{int(off.sum())} of {len(z)} rows of z do not have norm 1; the estimate on "
            "the sphere needs torch.nn.functional.normalize(z); knn_entropy(z) takes any points"
        )
