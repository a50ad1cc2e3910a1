"""The estimator against laws of known entropy, against SciPy, and against its own symmetries."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import digamma, polygamma

from eae_book.distributions import (
    Distribution,
    exponential,
    gaussian,
    laplace,
    spherical_t,
    student_t,
    two_gaussians,
    uniform_ball,
    uniform_cube,
)
from eae_core.entropy import gaussian_entropy_bound, knn_entropy, unit_ball_log_volume
from eae_core.entropy.expectation import expected_gaussian_estimate


def errors(law: Distribution, n: int, k: int = 1, *, draws: int) -> np.ndarray:
    """Estimate minus truth for independent samples, in nats."""
    generator = torch.Generator().manual_seed(n + 1000 * law.dimension)
    return np.array(
        [float(knn_entropy(law.sample(n, generator=generator), k)) for _ in range(draws)]
    ) - np.array(law.entropy)


def standard_error(sample: np.ndarray) -> float:
    return float(sample.std(ddof=1)) / math.sqrt(len(sample))


# Five standard errors of a mean over >= 40 draws: a correct build fails once in a million seeds.
SIGMAS = 5


@pytest.mark.parametrize(
    ("d", "n", "k"),
    [
        (1, 100, 1), (2, 100, 1), (8, 100, 1), (16, 100, 1), (32, 100, 1), (64, 100, 1),
        (128, 100, 1), (2, 1000, 1), (16, 1000, 1), (64, 1000, 1), (2, 100, 5), (16, 100, 5),
        (64, 100, 20), (8, 30, 29),
    ],
)  # fmt: skip
def test_gaussian_bias_is_the_exact_one(d: int, n: int, k: int) -> None:
    measured = errors(gaussian(d), n, k, draws=200 if n <= 100 else 40)
    exact = expected_gaussian_estimate(d, n, k) - gaussian_entropy_bound(d)
    assert abs(measured.mean() - exact) < SIGMAS * standard_error(measured)


@pytest.mark.parametrize("n", [4, 10, 100])
def test_unit_interval_bias_has_a_closed_form(n: int) -> None:
    # The n + 1 gaps of n uniform points are exchangeable. An inner point's distance is the smaller
    # of two gaps, an outer point's is one gap; their mean logarithms give (2 log 2 - 1) / n.
    measured = errors(uniform_cube(1), n, draws=1000)
    assert abs(measured.mean() - (2 * math.log(2) - 1) / n) < SIGMAS * standard_error(measured)


@pytest.mark.parametrize(("d", "n", "k"), [(1, 10, 1), (2, 200, 1), (2, 200, 5), (3, 300, 2)])
def test_no_bias_where_the_density_is_constant_on_every_ball(d: int, n: int, k: int) -> None:
    # On a torus no ball meets a boundary. Its distances are not the estimator's, so this holds its
    # constants, log V_d + psi(n) - psi(k), to the law they were derived for. For d = 3 the largest
    # ball, of mass 20 / 300, still has a radius below the half period 1/2.
    rng = np.random.default_rng(0)
    constants = unit_ball_log_volume(d) + digamma(n) - digamma(k)
    estimates = []
    for _ in range(200):
        z = rng.random((n, d))
        rho = cKDTree(z, boxsize=1.0).query(z, k=[k + 1])[0][:, 0]
        estimates.append(d * np.log(rho).mean() + constants)
    measured = np.array(estimates)  # the truth is 0
    assert abs(measured.mean()) < SIGMAS * standard_error(measured)


def boundary_allowance(d: int, n: int) -> float:
    """Largest leading-order bias of a uniform law in the unit cube, in nats.

    A ball of radius rho, of volume 1/n, crosses one of the 2d faces for a share 2 d rho of the
    points, and at a face it loses at most half its volume: log 2 of local error.
    """
    rho = math.exp((-math.log(n) - unit_ball_log_volume(d)) / d)
    return 2 * d * rho * math.log(2)


@pytest.mark.parametrize(("d", "n"), [(1, 1000), (2, 100), (2, 1000), (3, 1000), (8, 1000)])
def test_cube_bias_is_positive_and_at_most_that_of_its_faces(d: int, n: int) -> None:
    measured = errors(uniform_cube(d), n, draws=100)
    slack = SIGMAS * standard_error(measured)
    assert -slack < measured.mean() < boundary_allowance(d, n) + slack


# Per law: an upper limit of the variance of log p per coordinate, in nats^2.
LOW_DIMENSIONAL: dict[str, tuple[Callable[[int], Distribution], float]] = {
    "gaussian": (gaussian, 0.5),
    "ball": (uniform_ball, 0.0),
    "laplace": (laplace, 1.0),
    "exponential": (exponential, 1.0),
    "t of 3": (lambda d: student_t(d, 3), 1.5),
    "cauchy": (lambda d: student_t(d, 1), 3.3),
    "spherical t": (lambda d: spherical_t(d, 3), 2.0),
    "two gaussians": (lambda d: two_gaussians(d, 6), 0.5),
}


@pytest.mark.parametrize("name", LOW_DIMENSIONAL)
@pytest.mark.parametrize(("d", "n"), [(1, 1000), (1, 4000), (2, 1000), (2, 4000)])
def test_low_dimensional_laws_from_one_sample(name: str, d: int, n: int) -> None:
    # The variance of one estimate is at most (var log p + 2 psi'(1)) / n, where psi'(1) = pi^2 / 6
    # is the variance of log P and the factor 2 covers points that share a neighbour. The bias is at
    # most a boundary's, of order rho: curvature gives rho^2, and tails little at these n.
    build, log_density_variance = LOW_DIMENSIONAL[name]
    law = build(d)
    z = law.sample(n, generator=torch.Generator().manual_seed(1))
    sd = math.sqrt((d * log_density_variance + 2 * float(polygamma(1, 1))) / n)
    tolerance = boundary_allowance(d, n) + SIGMAS * sd
    assert float(knn_entropy(z)) == pytest.approx(law.entropy, abs=tolerance)


def whitened_entropy(z: torch.Tensor) -> float:
    factor = torch.linalg.cholesky(torch.cov(z.T))
    white = torch.linalg.solve_triangular(factor, z.T, upper=False).T
    return float(knn_entropy(white) + factor.diagonal().log().sum())


@pytest.mark.parametrize("condition", [100.0, 1e4])
def test_whitening_makes_the_condition_number_immaterial(condition: float) -> None:
    # One seed gives the same normals w, and z = A w with det A = 1: the whitened clouds of z and w
    # differ by a rotation. The cloud's coordinates lose 2 of 15 digits to the condition of A.
    law, round_law = gaussian(8, condition=condition), gaussian(8)
    z, w = (a.sample(400, generator=torch.Generator().manual_seed(3)) for a in (law, round_law))
    assert whitened_entropy(z) == pytest.approx(whitened_entropy(w), abs=1e-9)
    # Without it, the estimate is off by more than ten standard deviations of 2 / sqrt(n) = 0.1 for
    # a condition of 1e4, and by a quarter of that for 100.
    excess = 1.0 if condition == 1e4 else 0.25
    assert float(knn_entropy(z)) > float(knn_entropy(w)) + excess


SCIPY_LAWS = [gaussian, uniform_cube, laplace, exponential]


@pytest.mark.parametrize("method", ["vasicek", "van es", "ebrahimi", "correa", "auto"])
@pytest.mark.parametrize("build", SCIPY_LAWS)
@pytest.mark.parametrize("n", [1000, 4000])
def test_agrees_with_scipy_in_one_dimension(
    method: str, build: Callable[[int], Distribution], n: int
) -> None:
    # Both see the same points, so the spread of log p cancels; what is left of ours is the spread
    # of log P, at most 2 psi'(1) / n. SciPy's spacings reach over m = sqrt(n) points to either
    # side: a bias of at most 1 / (2 m) inside, and at both ends 2 m / n of the points see
    # windows cut by up to half, log 2 each.
    z = build(1).sample(n, generator=torch.Generator().manual_seed(2))
    theirs = float(stats.differential_entropy(z[:, 0].numpy(), method=method))
    m = math.floor(math.sqrt(n) + 0.5)
    spread = math.sqrt(2 * float(polygamma(1, 1)) / n)
    tolerance = SIGMAS * spread + 1 / (2 * m) + 2 * m / n * math.log(2)
    assert float(knn_entropy(z)) == pytest.approx(theirs, abs=tolerance)


clouds = st.builds(
    lambda n, d, seed: torch.randn(
        n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    ),
    st.integers(8, 60),
    st.integers(1, 12),
    st.integers(0, 2**31),
)
neighbours = st.integers(1, 7)
# Coordinates keep 15 digits; the smallest of 60 distances is far above 1e-6 of the cloud's size, so
# its logarithm keeps 8 after a shift by 100 or a rotation, and d <= 12 of them make up the sum.
ROUNDING = 1e-7


@given(clouds, neighbours, st.floats(-100, 100))
def test_a_shift_changes_nothing(z: torch.Tensor, k: int, shift: float) -> None:
    assert float(knn_entropy(z + shift, k)) == pytest.approx(float(knn_entropy(z, k)), abs=ROUNDING)


@given(clouds, neighbours, st.floats(1e-6, 1e6))
def test_a_scale_adds_d_log_a(z: torch.Tensor, k: int, a: float) -> None:
    expected = float(knn_entropy(z, k)) + z.shape[1] * math.log(a)
    assert float(knn_entropy(a * z, k)) == pytest.approx(expected, abs=ROUNDING)


@given(clouds, neighbours, st.integers(0, 2**31))
def test_a_rotation_changes_nothing(z: torch.Tensor, k: int, seed: int) -> None:
    d = z.shape[1]
    rotation = torch.from_numpy(np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0])
    expected = float(knn_entropy(z, k))
    assert float(knn_entropy(z @ rotation, k)) == pytest.approx(expected, abs=ROUNDING)


@given(clouds, neighbours, st.integers(0, 2**31))
def test_the_order_of_points_and_coordinates_does_not_matter(
    z: torch.Tensor, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(z.shape[0]), rng.permutation(z.shape[1])
    shuffled = z[rows][:, columns]
    assert float(knn_entropy(shuffled, k)) == pytest.approx(float(knn_entropy(z, k)), abs=ROUNDING)


@given(clouds)
def test_a_farther_neighbour_is_farther(z: torch.Tensor) -> None:
    # Without its constants the estimate is d times a mean log distance, which grows with k.
    logs = [float(knn_entropy(z, k)) + float(digamma(k)) for k in range(1, len(z))]
    assert logs == sorted(logs)
