r"""Means of terms over batches: exact, no sampling. From which n on do they prefer a Gaussian?

SIGReg, Cramer-Wold, maximum mean discrepancy and the energy distance are one statistic,

.. math:: L = \int E_\theta \Bigl| \frac1n \sum_i e^{it \theta \cdot z_i} - e^{-t^2/2} \Bigr|^2
          d\lambda(t)

over directions and frequencies t; what tells them apart is the measure of the frequencies. Sliced
Wasserstein distances sort instead, and have an integral of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from scipy import special, stats

from eae_book.studies.sphere import expected_sphere_estimate
from eae_core.entropy.expectation import expected_gaussian_estimate

Array = np.ndarray[Any, np.dtype[np.float64]]
Shape = Literal["gaussian", "sphere"]


@dataclass(frozen=True)
class Frequencies:
    """A measure of frequencies t > 0 by nodes and weights."""

    t: Array
    weight: Array
    unbiased: bool = False  #: pairs i = j are left out, as a U-statistic does


def sigreg_frequencies(n: int, knots: int = 17, t_max: float = 3.0) -> Frequencies:
    """Those of :func:`~eae_core.regularizers.sigreg_loss` on n points, whose factor n they carry.

    Example:
        >>> round(mean_of_term(sigreg_frequencies(100), "gaussian", 16, 100), 3)
        1.052
    """
    t = np.linspace(0, t_max, knots)[1:]
    weight = 2 * t_max / (knots - 1) * np.exp(-(t**2) / 2)
    weight[-1] /= 2
    return Frequencies(t, n * weight)


def cramer_wold_frequencies(gamma: float) -> Frequencies:
    """Those of the exact form of :func:`~eae_core.regularizers.cramer_wold_loss`."""
    t = np.linspace(0, 9 / math.sqrt(gamma), 4001)[1:]
    return Frequencies(t, (t[1] - t[0]) / math.pi * np.exp(-gamma * t**2))


def mmd_frequencies(d: int, scales: tuple[float, ...], unbiased: bool = True) -> Frequencies:
    r"""Those of :func:`~eae_core.regularizers.mmd_loss`: :math:`t^2 = 2 v \chi^2_d / C_s`.

    A multiquadric is the mean over v ~ Exp(1) of Gaussian kernels :math:`e^{-v r^2 / C}`, each of
    which has Gaussian frequencies of variance 2 v / C in each of d coordinates.
    """
    v, v_weight = special.roots_laguerre(48)
    score = np.linspace(-7, 7, 57)
    square = stats.chi2.ppf(special.ndtr(score), d)
    square_weight = stats.norm.pdf(score) / stats.norm.pdf(score).sum()
    t = [np.sqrt(2 * v[:, None] / (2 * d * s) * square).ravel() for s in scales]
    weight = np.outer(v_weight, square_weight).ravel()
    return Frequencies(np.concatenate(t), np.tile(weight, len(scales)), unbiased)


def energy_frequencies(d: int, unbiased: bool = True) -> Frequencies:
    r"""Those of :func:`~eae_core.regularizers.energy_loss`: :math:`2 / (\pi E|\theta_1| t^2)`."""
    t = np.exp(np.arange(-14, 21, 0.02))
    first = math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)
    return Frequencies(t, 0.02 * 2 / (math.pi * first * t), unbiased)


def characteristic(shape: Shape, d: int, t: Array) -> tuple[Array, Array, Array, Array]:
    r"""Characteristic function of N(0, I) or of the sphere of radius sqrt(d), and derivatives.

    .. math:: \psi(t) = {}_0F_1\bigl(; \tfrac d2; -\tfrac{d t^2}4\bigr)

    for the sphere, at distance t from 0, which is all that it depends on.

    Raises:
        ValueError: more than 1,000 dimensions, where Bessel functions leave the range of floats.

    Example:
        >>> [float(f[0].round(4)) for f in characteristic("sphere", 3, np.ones(1))]  # sin(a) / a
        [0.5699, -0.7304, -0.2487, 1.2279]
    """
    if shape == "gaussian":
        f = np.exp(-(t**2) / 2)
        return f, -t * f, (t**2 - 1) * f, (3 * t - t**3) * f
    if d > 1000:
        raise ValueError(f"the sphere is known here in up to 1000 dimensions, got d = {d}")
    z, b = -d * t**2 / 4, d / 2
    f0, f1, f2, f3 = (_bessel(b + i, z) / special.poch(b, i) for i in range(4))
    slope = -d * t / 2
    return f0, f1 * slope, f2 * slope**2 - f1 * d / 2, f3 * slope**3 - 1.5 * d * f2 * slope


def _bessel(b: float, z: Array) -> Array:
    """0F1(b; z) for z <= 0: its series, and a Bessel function where that would lose digits."""
    series, term = np.ones_like(z), np.ones_like(z)
    near = z > -8 * b
    for k in range(100):
        term = term * np.where(near, z, 0.0) / ((b + k) * (k + 1))
        series = series + term
    a = 2 * np.sqrt(-np.where(near, -16.0 * b, z))
    wave = special.jv(b - 1, a)
    with np.errstate(divide="ignore"):  # of a wave that is 0
        size = np.exp(math.lgamma(b) + (b - 1) * np.log(2 / a) + np.log(np.abs(wave)))
    far = np.sign(wave) * size
    found: Array = np.where(near, series, far)
    return found


def mean_of_term(
    frequencies: Frequencies, shape: Shape, d: int, n: int, *, batch_norm: bool = False
) -> float:
    r"""Mean of a term over batches of n independent points.

    .. math:: E L = \int \Bigl[ (\psi - \varphi)^2 + \frac{1 - \psi^2}n \Bigr] d\lambda

    exactly, with :math:`\varphi(t) = e^{-t^2/2}`; a U-statistic has no :math:`1/n` in its second
    term but :math:`\psi^2` alone. Under batch normalisation the square bracket is

    .. math:: (\psi - \varphi)^2 + \frac{2 (\psi - \varphi) B + V}n + O(n^{-2})

    with V the variance of :math:`e^{it\theta \cdot z}` less what mean and variance explain of it,
    and B the bias of the batch's characteristic function, both by a Taylor series in the moments.

    Args:
        frequencies: of the term.
        shape: ``"gaussian"`` or ``"sphere"``, of radius sqrt(d).
        d: dimension.
        n: points in a batch.
        batch_norm: standardise each batch exactly; then the mean is one to first order in 1 / n.

    Example:
        >>> term = energy_frequencies(16, unbiased=False)
        >>> round(mean_of_term(term, "gaussian", 16, 100) * 100, 4)  # E|Z - Z'|
        5.5692
    """
    excess = _square(frequencies, shape, d) + _noise(frequencies, shape, d, batch_norm) / n
    return float(frequencies.weight @ excess)


def _square(frequencies: Frequencies, shape: Shape, d: int) -> Array:
    psi, phi = (characteristic(each, d, frequencies.t)[0] for each in (shape, "gaussian"))
    return (psi - phi) ** 2


def _noise(frequencies: Frequencies, shape: Shape, d: int, batch_norm: bool) -> Array:
    """What falls like 1 / n, at each frequency."""
    t = frequencies.t
    psi, first, second, third = characteristic(shape, d, t)
    drop = 1 - psi**2 if frequencies.unbiased else np.zeros_like(t)
    if not batch_norm:
        return 1 - psi**2 - drop
    fourth = 3 / (d + 2)  # mean of sum theta_j^4
    if shape == "gaussian":
        own, other = 2.0, 0.0  # variance of z_j^2, covariance of two of them
    else:
        own, other = (2 * d - 2) / (d + 2), -2 / (d + 2)
    along = fourth * second + (1 - fourth) * first / t  # sum theta_j^2 of second derivatives
    across = (1 - fourth) * (second - first / t)  # of mixed ones
    explained = 0.25 * (t * first) ** 2 * (fourth * own + (1 - fourth) * other)
    explained += t * first * (along + psi)
    variance = 1 - psi**2 + (t * psi) ** 2 + 2 * t * psi * first + explained
    cubic = fourth * third + 3 * (1 - fourth) * (second / t - first / t**2)
    bias = 0.5 * t * cubic + 0.375 * t * own * first - 0.5 * t**2 * psi
    bias += t**2 / 8 * (own * along + other * across)
    noise: Array = variance + 2 * (psi - np.exp(-(t**2) / 2)) * bias
    # Near 0 it is t^4 / 2 and less, which rounding of the 1 / t^2 above would drown.
    return np.where(t < 0.02, 0.0, noise) - drop


def turning_point(frequencies: Frequencies, d: int, *, batch_norm: bool = True) -> float:
    r"""The n above which a term is smaller on average for a Gaussian than for the sphere.

    .. math:: n^* = \frac{\int (N_G - N_S)\, d\lambda}{\int (\psi - \varphi)^2 d\lambda}

    with N what falls like 1 / n in :func:`mean_of_term`; 0 where every n does. For many dimensions
    and batch-normalised codes

    .. math:: \frac{n^*}{d + 2} \to 16\, \frac{\int \varphi^2 (t^4 - t^6 / 2)\, d\lambda}
              {\int \varphi^2\, t^8\, d\lambda}

    with 3/2 in place of the first 1 for a U-statistic: a number of the term alone. It is 24/35 for
    SIGReg on the whole line, 16/15 for the energy distance and 16/5 for its unbiased form, and
    below 0 for Cramer-Wold where gamma is below 1/4.

    Example:
        >>> n = turning_point(energy_frequencies(512), 512)
        >>> round(n / 514, 1)
        3.2
    """
    gaussian = _noise(frequencies, "gaussian", d, batch_norm)
    sphere = _noise(frequencies, "sphere", d, batch_norm)
    weight = frequencies.weight
    square = weight @ _square(frequencies, "sphere", d)
    return max(0.0, float(weight @ (gaussian - sphere) / square))


def mean_sliced_wasserstein(shape: Shape, d: int, n: int, *, offset: float = 0.5) -> float:
    r"""Mean of :func:`~eae_core.regularizers.sliced_wasserstein_loss`, without batch normalisation.

    .. math:: E L = 1 + \frac1n \sum_i q_i^2 - \frac2n \sum_i q_i\, E\,y_{(i)}

    The sum is the integral of :math:`n y f(y)` times the binomial mean of :math:`q_{1+K}`, K ~
    Bin(n - 1, F(y)), over the density f of a projection.

    Args:
        shape: ``"gaussian"`` or ``"sphere"``.
        d: dimension, at least 3 for the sphere.
        n: points in a batch.
        offset: of the quantiles; 0 for those of VISReg.

    Example:
        >>> gap = [mean_sliced_wasserstein("sphere", 16, n) - mean_sliced_wasserstein("gaussian",
        ...        16, n) for n in (30, 3000)]
        >>> gap[0] < 0 < gap[1]
        True
    """
    quantiles = special.ndtri((np.arange(1, n + 1) - offset) / (n + 1 - 2 * offset))
    y, mass, share = _projection(shape, d)
    expected = [_binomial_mean(quantiles, n - 1, u) for u in share]
    cross = float(np.sum(y * mass * expected))  # the mean of q_(rank) y
    return float(1 + np.mean(quantiles**2) - 2 * cross)


def _projection(shape: Shape, d: int) -> tuple[Array, Array, Array]:
    """Nodes y, their probabilities, and distribution function there, of a coordinate."""
    if shape == "gaussian":
        y = np.linspace(-8.5, 8.5, 681)
        return y, stats.norm.pdf(y) / stats.norm.pdf(y).sum(), special.ndtr(y)
    if d < 3:
        raise ValueError(f"a projection of the sphere needs d of at least 3, got {d}")
    node, weight = special.roots_gegenbauer(400, d / 2 - 1)  # its density, on -1 ... 1
    share = special.betainc((d - 1) / 2, (d - 1) / 2, (1 + node) / 2)
    return math.sqrt(d) * node, weight / weight.sum(), share


def _binomial_mean(values: Array, n: int, p: float) -> float:
    """Mean of values (n + 1,) at a binomial number of n trials."""
    spread = 9 * math.sqrt(n * p * (1 - p)) + 30
    low, high = max(0, math.floor(n * p - spread)), min(n, math.ceil(n * p + spread))
    index = np.arange(low, high + 1)
    return float(stats.binom.pmf(index, n, p) @ values[index])


@cache
def sliced_wasserstein_turning_point(d: int, *, offset: float = 0.5, most: int = 10**5) -> int:
    """The least n at which the sliced Wasserstein term prefers a Gaussian to the sphere.

    Without batch normalisation, by bisection; ``most`` if it is no less.

    Example:
        >>> sliced_wasserstein_turning_point(16)
        259
    """

    def gap(n: int) -> float:
        sphere = mean_sliced_wasserstein("sphere", d, n, offset=offset)
        return sphere - mean_sliced_wasserstein("gaussian", d, n, offset=offset)

    return first_true(lambda n: gap(n) > 0, 2, most)


def first_true(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The least whole number at which a statement holds that stays true, or ``high``.

    Example:
        >>> first_true(lambda n: n * n > 50, 1, 100)
        8
    """
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high


@cache
def knn_turning_point(d: int, *, most: int = 10**15) -> int:
    """The least n at which the nearest-neighbour entropy prefers a Gaussian to the sphere.

    Without batch normalisation; ``most`` if it is no less, as from about d = 40 on.

    Example:
        >>> knn_turning_point(8)
        131
    """
    return first_true(
        lambda n: expected_sphere_estimate(d, n) < expected_gaussian_estimate(d, n), 2, most
    )
