"""The exact mean of the estimator on Gaussians and spheres, against closed forms and others."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import special, stats

from eae_book.studies.shapes import sphere
from eae_book.studies.sphere import expected_sphere_estimate
from eae_core.entropy import gaussian_entropy_bound, knn_entropy, unit_ball_log_volume
from eae_core.entropy.expectation import expected_gaussian_estimate


@pytest.mark.parametrize("d", [1, 2, 5, 64, 1024])
def test_two_points_have_a_closed_form(d: int) -> None:
    # z1 - z2 ~ N(0, 2 I), so log rho = (log 2 + log chi^2_d) / 2, whose mean is known.
    mean_log_rho = 0.5 * (math.log(4) + special.digamma(d / 2))
    expected = d * mean_log_rho + unit_ball_log_volume(d) + 1.0  # psi(2) - psi(1) = 1
    assert expected_gaussian_estimate(d, 2) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("d", "n", "k"), [(1, 20, 1), (2, 100, 1), (8, 100, 3), (64, 100, 1)])
def test_agrees_with_gaussian_quadrature(d: int, n: int, k: int) -> None:
    # Gauss-Laguerre in |z|^2 / 2, Gauss-Legendre in the rank of P, in panels towards both ends.
    node, weight = special.roots_genlaguerre(60, d / 2 - 1)
    node, weight = node[weight > 1e-17 * weight.sum()], weight[weight > 1e-17 * weight.sum()]
    steps = 10.0 ** np.arange(-14, 0)
    edges = np.concatenate([steps, [0.3, 0.5, 0.7], 1 - steps[::-1]])
    x, w = np.polynomial.legendre.leggauss(40)
    rank = np.concatenate([(a + b) / 2 + (b - a) / 2 * x for a, b in pairwise(edges)])
    rank_weight = np.concatenate([(b - a) / 2 * w for a, b in pairwise(edges)])
    squared_rho = stats.ncx2.ppf(special.betaincinv(k, n - k, rank), d, 2 * node[:, None])
    mean_log_rho = weight / weight.sum() @ (0.5 * np.log(squared_rho)) @ rank_weight
    expected = d * mean_log_rho + unit_ball_log_volume(d) + special.digamma(n) - special.digamma(k)
    assert expected_gaussian_estimate(d, n, k) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("d", [3, 4])
def test_bias_approaches_the_leading_term_of_the_expansion(d: int) -> None:
    # Berrett, Samworth and Yuan (2019): the bias is, to first order in n^(-2/d),
    # -Gamma(1 + 2/d) / (2 (d + 2) (V_d n)^(2/d)) * integral of (Laplacian f) f^(-2/d),
    # where the integral for N(0, I) is 2 pi (d/(d-2))^(d/2) * 2d/(d-2).
    def leading(n: int) -> float:
        integral = 2 * math.pi * (d / (d - 2)) ** (d / 2) * 2 * d / (d - 2)
        ball = math.exp(unit_ball_log_volume(d)) * n
        return -special.gamma(1 + 2 / d) / (2 * (d + 2) * ball ** (2 / d)) * integral

    ratios = [
        (expected_gaussian_estimate(d, n) - gaussian_entropy_bound(d)) / leading(n)
        for n in (10**4, 10**8, 10**12)
    ]
    assert ratios == sorted(ratios)  # closing in from below ...
    assert 0.9 < ratios[-1] < 1.0  # ... slowly


def test_bias_in_one_dimension_vanishes_and_in_many_does_not() -> None:
    def bias(d: int, n: int) -> float:
        return expected_gaussian_estimate(d, n) - gaussian_entropy_bound(d)

    assert abs(bias(1, 10**6)) < 1e-6
    assert bias(4, 100) < 0 < bias(16, 100)  # the sign turns with the dimension
    assert bias(64, 10**12) > 1  # a trillion points are not enough


@pytest.mark.parametrize(
    ("d", "n", "k", "message"),
    [(2, 5, 5, r"1..n-1 = 4 for n = 5"), (2, 5, 0, "k must lie in"), (0, 5, 1, "dimension")],
)
def test_bad_arguments(d: int, n: int, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_gaussian_estimate(d, n, k)


@pytest.mark.parametrize("d", [2, 3, 16, 128])
def test_two_points_of_a_sphere_have_a_closed_form(d: int) -> None:
    # rho^2 / 4d ~ Beta((d-1)/2, (d-1)/2), whose mean logarithm is psi((d-1)/2) - psi(d-1).
    mean_square = math.log(4 * d) + special.digamma((d - 1) / 2) - special.digamma(d - 1)
    expected = 0.5 * d * mean_square + unit_ball_log_volume(d) + 1.0
    assert expected_sphere_estimate(d, 2) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("d", "n", "k"), [(2, 30, 1), (5, 50, 3), (64, 100, 1)])
def test_sphere_is_what_samples_give(d: int, n: int, k: int) -> None:
    generator, law = torch.Generator().manual_seed(0), sphere(d)
    found = [knn_entropy(law.sample(n, generator=generator), k).item() for _ in range(200)]
    error = 5 * np.std(found, ddof=1) / math.sqrt(len(found))
    assert expected_sphere_estimate(d, n, k) == pytest.approx(np.mean(found), abs=error)


def test_the_estimate_on_a_sphere_falls_without_end_but_slowly() -> None:
    # One dimension is missing, so the estimate falls like log n / (d - 1).
    fall = expected_sphere_estimate(4, 10**9) - expected_sphere_estimate(4, 10**12)
    assert fall == pytest.approx(math.log(1000) / 3, rel=1e-3)
    for n, prefers_sphere in ((10**5, True), (10**6, False)):
        difference = expected_sphere_estimate(16, n) - expected_gaussian_estimate(16, n)
        assert (difference > 0) == prefers_sphere


@pytest.mark.parametrize(
    ("d", "n", "k", "message"),
    [(1, 5, 1, "at least 2, got 1"), (2, 5, 5, r"1..n-1 = 4 for n = 5"), (2, 5, 0, "k must lie")],
)
def test_bad_arguments_of_the_sphere(d: int, n: int, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_sphere_estimate(d, n, k)
