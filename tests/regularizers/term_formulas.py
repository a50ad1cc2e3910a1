"""Every term once more, from its formula, in numpy: slow, in float64, and sharing no code."""

import math
from functools import cache

import numpy as np
from scipy import integrate, special, stats


def knn_entropy(z, k=1):
    n, d = z.shape
    rho = np.sort(np.linalg.norm(z[:, None] - z[None], axis=2), axis=1)[:, k]
    volume = d / 2 * math.log(math.pi) - special.gammaln(d / 2 + 1)
    return -(d * np.log(rho).mean() + volume + special.digamma(n) - special.digamma(k))


def radial(z):
    n, d = z.shape
    quantiles = stats.chi(d).ppf((np.arange(n) + 0.5) / n)
    return np.mean((np.sort(np.linalg.norm(z, axis=1)) - quantiles) ** 2)


def entropy_radial(z, radial_weight=20.0):
    return knn_entropy(z) + radial_weight * radial(z)


def koleo(z, k=1):
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    rho = np.sort(np.linalg.norm(u[:, None] - u[None], axis=2), axis=1)[:, 1 : k + 1]
    return -np.log(rho).mean()


def sigreg(z, directions, knots=17, t_max=3.0):
    t = np.linspace(-t_max, t_max, 2 * knots - 1)  # the whole line, where the package folds it
    values = []
    for theta in (directions / np.linalg.norm(directions, axis=0)).T:
        empirical = np.exp(1j * np.outer(t, z @ theta)).mean(1)
        error = np.abs(empirical - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
        values.append(len(z) * np.trapezoid(error, t))
    return np.mean(values)


def sorted_projections(z, directions):
    return np.sort(z @ (directions / np.linalg.norm(directions, axis=0)), axis=0)


def sliced_wasserstein(z, directions):
    quantiles = stats.norm.ppf((np.arange(len(z)) + 0.5) / len(z))
    return np.mean((sorted_projections(z, directions) - quantiles[:, None]) ** 2)


def visreg(z, directions, eps=1e-4):
    mean, deviation = z.mean(0), z.std(0)
    quantiles = stats.norm.ppf(np.arange(1, len(z) + 1) / (len(z) + 1))
    projections = sorted_projections((z - mean) / (deviation + eps), directions)
    shape = np.mean((projections - quantiles[:, None]) ** 2)
    return np.mean((1 - deviation) ** 2) + np.mean(mean**2) + shape


def wristband_parts(z, beta=8.0, alpha=(1 / 12) ** 0.5):
    n, d = z.shape
    norms = np.linalg.norm(z, axis=1)
    u, t = z / norms[:, None], stats.chi2(d).cdf(norms**2)
    repulsion = 0.0
    for i in range(n):
        total = -1.0
        for j in range(n):
            images = sum(np.exp(-beta * (t[i] - r) ** 2) for r in (t[j], -t[j], 2 - t[j]))
            total += np.exp(-beta * alpha**2 * np.sum((u[i] - u[j]) ** 2)) * images
        repulsion += np.log(total / (3 * n - 1)) / (beta * n)
    ranks = (np.arange(n) + 0.5) / n
    eigenvalues = np.linalg.eigvalsh(np.cov(z.T)).clip(0)
    moments = (np.sum(z.mean(0) ** 2) + np.sum((np.sqrt(eigenvalues) - 1) ** 2)) / d
    return repulsion, 12 * np.mean((np.sort(t) - ranks) ** 2), moments


def cramer_wold(z, gamma=None, exact=False):
    n, d = z.shape
    gamma = (4 / (3 * n)) ** 0.4 if gamma is None else gamma

    def overlap(g, squares):
        if exact:
            return special.hyp1f1(0.5, d / 2, -squares / (4 * g)) / np.sqrt(g)
        return (g + squares / (2 * d - 3)) ** -0.5

    squares = np.sum((z[:, None] - z[None]) ** 2, axis=2)
    total = overlap(gamma, squares).mean() + (1 + gamma) ** -0.5
    total -= 2 * overlap(gamma + 0.5, np.sum(z**2, axis=1)).mean()
    return total / (2 * math.sqrt(math.pi))


def mmd(z, scales=(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0), unbiased=True):
    """The Gaussian's side by adaptive quadrature over noncentral chi-square laws."""
    n, d = z.shape
    squares = np.sum((z[:, None] - z[None]) ** 2, axis=2)
    total = 0.0
    for c in (2 * d * s for s in scales):
        kernel = c / (c + squares)
        pairs = (kernel.sum() - n) / (n * (n - 1)) if unbiased else kernel.mean()
        to_gaussian, between = _kernel_means(c, d, tuple(np.sum(z**2, axis=1)))
        total += pairs - 2 * to_gaussian + between
    return total


@cache
def _kernel_means(c, d, squares):
    """Means over N(0, I) for points of these squared norms, and for a second Gaussian."""
    to_gaussian = [_mean(stats.ncx2(d, s), lambda q: c / (c + q)) for s in squares]
    return np.mean(to_gaussian), _mean(stats.chi2(d, scale=2), lambda q: c / (c + q))


def energy(z, unbiased=True):
    n, d = z.shape
    distances = np.linalg.norm(z[:, None] - z[None], axis=2)
    within = distances.sum() / (n * (n - 1) if unbiased else n**2)
    to_gaussian = [_mean(stats.ncx2(d, s), np.sqrt) for s in np.sum(z**2, axis=1)]
    return 2 * np.mean(to_gaussian) - _mean(stats.chi2(d, scale=2), np.sqrt) - within


def covariance(z, form="log_det"):
    d = z.shape[1]
    if form == "vicreg":
        c = np.cov(z.T)
        return np.sum((c - np.diag(np.diag(c))) ** 2) / d
    c, m = np.cov(z.T, bias=True), z.mean(0)
    return 0.5 * (m @ m + np.trace(c) - d - np.linalg.slogdet(c)[1])


def _mean(law, f):
    low, high = law.ppf(1e-14), law.isf(1e-14)
    return integrate.quad(lambda q: f(q) * law.pdf(q), low, high, epsabs=1e-12, limit=400)[0]
