"""How much of a Gaussian lies in a ball: the distribution of a quadratic form, term by term.

SciPy has the law of |X|^2 for a Gaussian X with equal variances only, the noncentral chi-square
law, and integrates others over boxes by sampling. For a ball there is a series whose terms are all
positive, so that a mass of 1e-300 has as many correct digits as a mass of 1/2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

PRECISION = 1e-13
MOST_TERMS = 100_000
NARROW = 0.01  # a direction with this share of the ball's radius, or less, lies inside it entirely
NEAR = 0.03  # if the mean is no further from the centre than this share
_LARGE = 1e50  # factors above it are scaled down, so that they never overflow


def log_mass_over_flat_mass(variances: Array, offsets: Array, radii: Array) -> Array:
    r"""Logarithm of a Gaussian's mass in a ball over the mass if its density were flat.

    .. math:: \log \frac{\int_{|x - c| \le r} g(x) \, dx}{g(c) \, V_d \, r^d}

    for a Gaussian g whose covariance is diagonal in the coordinates used. It tends to 0 with the
    radius; it is negative where g has a peak at the centre c, and positive far out.

    With :math:`\beta = \min_j \sigma_j^2`, :math:`q_j = 1 - \beta / \sigma_j^2` and
    :math:`y = r^2 / 2 \beta` the ratio is a sum of positive terms,

    .. math:: \sum_{m \ge 0} t_m \sum_{j \le m} a_j , \qquad
              t_m = \frac{e^{-y} y^m}{(d/2 + 1) \cdots (d/2 + m)} , \qquad
              a_m = \frac1{2m} \sum_{i < m} b_{m-i} \, a_i , \quad a_0 = 1,

    where :math:`b_m = \sum_j q_j^m + m \beta \sum_j (o_j / \sigma_j^2)^2 q_j^{m-1}` and o is the
    mean less the centre. It is Ruben's mixture of chi-square laws, divided by its first term.

    The series has about y terms, so a direction narrower than a hundredth of the radius is widened
    to that. All of its mass lies inside the ball before and after, which costs the result at most
    1e-4 d / 2 nats, and the density at the centre is put right exactly.

    Args:
        variances: (n, d), positive.
        offsets: (n, d) mean of each Gaussian less the centre of its ball.
        radii: (n,), positive.

    Returns:
        (n,)

    Raises:
        ValueError: a ball hundreds of times as wide as the narrowest direction of its Gaussian,
            with the mean so far outside that this does not help.

    Source:
        Ruben (1962), Probability content of regions under spherical normal distributions IV.

    Example:
        >>> one = np.ones((1, 1))  # N(0, 1) on [-1, 1]: 0.6827 over 2 x 0.3989
        >>> log_mass_over_flat_mass(one, 0 * one, np.ones(1)).round(4)
        array([-0.1559])
    """
    least = (NARROW * radii[:, None]) ** 2
    inside = (variances < least) & (np.abs(offsets) < NEAR * radii[:, None])  # n x d
    wide = np.where(inside, least, variances)
    # log of the widened density at the centre over the true one
    log_density = 0.5 * (np.log(variances / wide) + offsets**2 * (1 / variances - 1 / wide))
    smallest = wide.min(1)  # beta
    y = radii**2 / (2 * smallest)
    if (worst := float(y.max())) > MOST_TERMS / 2:
        raise ValueError(
            f"a ball is {np.sqrt(2 * worst):.0f} times as wide as the narrowest direction of its "
            f"Gaussian; the limit is {np.sqrt(MOST_TERMS):.0f}. Use more neighbours for the fit, "
            "or fewer for the ball"
        )
    q = 1 - smallest[:, None] / wide  # n x d, in [0, 1)
    pull = smallest[:, None] * (offsets / wide) ** 2  # n x d
    return np.asarray(_sum_series(y, q, pull) + log_density.sum(1))


def _sum_series(y: Array, q: Array, pull: Array) -> Array:
    """Logarithm (n,) of the sum over m, for y (n,), q and pull (n, d)."""
    n, d = q.shape
    result = np.empty(n)
    going = np.arange(n)
    # sums[:, j] is the sum over i < m of q_j^(m-i) a_i, moments that of (m-i) q_j^(m-i-1) a_i: one
    # step of each takes the place of a sum over all that came before.
    sums, moments = np.zeros((n, d)), np.zeros((n, d))
    a, total_a, t, total = np.ones(n), np.ones(n), np.ones(n), np.ones(n)
    log_scale = -y  # e^-y, and what _rescale takes out
    for m in range(1, MOST_TERMS):
        moments = q * moments + sums + a[:, None]
        sums = q * (sums + a[:, None])
        a = (sums.sum(1) + (pull * moments).sum(1)) / (2 * m)
        total_a += a
        t *= y / (0.5 * d + m)
        term = t * total_a
        total += term
        if m % 8 == 0:
            done = (m > y) & (term < PRECISION * total)
            result[going[done]] = np.log(total[done]) + log_scale[done]
            if done.all():
                break
            if 4 * done.sum() > len(done):  # go on with the others alone
                left = [v[~done] for v in (going, y, q, pull, sums, moments, a, total_a, t, total)]
                going, y, q, pull, sums, moments, a, total_a, t, total = left
                log_scale = log_scale[~done]
            _rescale((sums, moments, a, total_a), t, total, log_scale)
    return result


def _rescale(recursion: tuple[Array, ...], t: Array, total: Array, log_scale: Array) -> None:
    """Keep all factors far from overflow: a term is t times the last of the recursion."""
    large = recursion[-1] > _LARGE
    for factor in recursion:
        factor[large] /= _LARGE
    t[large] *= _LARGE
    large = total > _LARGE
    t[large] /= _LARGE
    total[large] /= _LARGE
    log_scale[large] += np.log(_LARGE)
