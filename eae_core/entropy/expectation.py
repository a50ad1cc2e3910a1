"""What the nearest-neighbour estimator returns on average: exact, no sampling, at any n."""

from __future__ import annotations

import numpy as np
import scipy
from scipy import special

from eae_core.entropy.knn import unit_ball_log_volume


def expected_gaussian_estimate(dimension: int, n: int, k: int = 1) -> float:
    r"""Mean of ``knn_entropy`` over all samples of n points from N(0, I_d), in nats.

    .. math:: E[\hat H] = d \, E[\log \rho_k] + \log V_d + \psi(n) - \psi(k)

    Given a point z, the ball that reaches to its k-th neighbour holds a share P with :math:`P \sim
    \mathrm{Beta}(k, n - k)`, and :math:`\rho_k^2` is the P-quantile of the noncentral chi-square
    with d degrees of freedom and noncentrality :math:`|z|^2 \sim \chi^2_d`. The mean over z and P
    is taken by two trapezoid sums, good to 1e-8 nats.

    Args:
        dimension: d.
        n: number of points; any size up to about 1e15.
        k: which neighbour.

    Returns:
        The mean estimate; subtract ``gaussian_entropy_bound(d)`` for the bias.

    Raises:
        ValueError: dimension < 1, or k outside 1..n-1.

    Example:
        >>> from eae_core.entropy import gaussian_entropy_bound
        >>> round(expected_gaussian_estimate(64, 100) - gaussian_entropy_bound(64), 2)
        10.93
    """
    if not 1 <= k < n:
        raise ValueError(f"k must lie in 1..n-1 = {n - 1} for n = {n} points, got k = {k}")
    d, log_volume = dimension, unit_ball_log_volume(dimension)
    squared_norm, norm_weight = _squared_norms(d)
    mass, mass_weight = ball_masses(n, k)
    squared_rho = scipy.stats.ncx2.ppf(mass, d, squared_norm[:, None])  # norms x masses
    mean_log_rho = norm_weight @ (0.5 * np.log(squared_rho)) @ mass_weight
    return float(d * mean_log_rho + log_volume + special.digamma(n) - special.digamma(k))


def _squared_norms(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for |z|^2 ~ chi^2_d, as a function of a standard normal score."""
    # In few dimensions |z|^2 comes close to 0, and the finer grid keeps the error below 1e-8.
    score = np.linspace(-9.0, 9.0, 61 if d < 8 else 25)
    lower = scipy.stats.chi2.ppf(scipy.stats.norm.cdf(score), d)
    upper = scipy.stats.chi2.isf(scipy.stats.norm.sf(score), d)  # each tail by its own function
    weight = scipy.stats.norm.pdf(score)
    return np.where(score < 0, lower, upper), weight / weight.sum()


def ball_masses(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for P ~ Beta(k, n - k), the share of a ball, as a function of its logit."""
    low = float(special.betaincinv(k, n - k, 1e-15))
    high = min(float(special.betainccinv(k, n - k, 1e-15)), 1 - 2**-53)  # 1 has no logit
    logit = np.linspace(special.logit(low), special.logit(high), 121)
    log_weight = k * special.log_expit(logit) + (n - k) * special.log_expit(-logit)
    return special.expit(logit), special.softmax(log_weight)
