"""The weighted estimator: its weights, its exact mean, its laws, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eae_book.distributions import gaussian, laplace
from eae_book.studies.weighted import neighbor_weights, weighted_knn_entropy
from eae_core.entropy import DuplicatePointsError, gaussian_entropy_bound, knn_entropy
from eae_core.entropy.expectation import expected_gaussian_estimate

# Five standard errors of a mean over >= 40 draws: a correct build fails once in a million seeds.
SIGMAS = 5


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gamma_ratios(d: int, k_max: int) -> np.ndarray:
    """Gamma(j + 2l/d) / Gamma(j) for l = 1..floor(d/4) and j = 1..k_max, by the recursion
    Gamma(x + 1) = x Gamma(x)."""
    rows = []
    for power in (2 * term / d for term in range(1, d // 4 + 1)):
        row = [math.gamma(1 + power)]
        for j in range(1, k_max):
            row.append(row[-1] * (j + power) / j)
        rows.append(row)
    return np.array(rows).reshape(d // 4, k_max)


@pytest.mark.parametrize("k_max", [20, 50, 1000])
@pytest.mark.parametrize("d", range(1, 17))
def test_weights_meet_their_constraints(d, k_max):
    weights = neighbor_weights(d, k_max).numpy()
    assert weights.shape == (k_max,)
    assert weights.sum() == pytest.approx(1, abs=1e-11 * np.abs(weights).sum())
    ratios = gamma_ratios(d, k_max)
    residual = np.abs(ratios @ weights) / (ratios @ np.abs(weights))
    assert (residual < 1e-13).all()


@pytest.mark.parametrize(("d", "k_max"), [(3, 50), (4, 50), (8, 50), (16, 100), (16, 9)])
def test_weights_lie_on_the_multiples_of_k_over_d(d, k_max):
    support = {math.floor(j * k_max / d) for j in range(1, d + 1)} - {0}
    assert set((neighbor_weights(d, k_max).nonzero()[:, 0] + 1).tolist()) == support


@pytest.mark.parametrize(("d", "k_max"), [(4, 50), (8, 50), (12, 200), (13, 40)])
def test_weights_have_the_least_norm(d, k_max):
    # The least of all solutions is a combination of the constraints: nothing of it lies outside.
    weights = neighbor_weights(d, k_max).numpy()
    used = weights.nonzero()[0]
    constraints = np.vstack([np.ones((1, k_max)), gamma_ratios(d, k_max)])[:, used]
    fit = np.linalg.lstsq(constraints.T, weights[used], rcond=None)[0]
    np.testing.assert_allclose(constraints.T @ fit, weights[used], atol=1e-6 * abs(weights).max())


@pytest.mark.parametrize("k_max", [4, 40, 4_000, 4_000_000])
def test_four_dimensions_by_hand(k_max):
    # One constraint g, so w is what is left of (1, 1, 1, 1) beside g, scaled to sum 1. For large j
    # Gamma(j + 1/2) / Gamma(j) = sqrt(j) (1 - 1/8j + 1/128j^2 + 5/1024j^3 - ...).
    j = np.arange(1, 5) * (k_max // 4)
    if k_max == 4:
        g = np.array([math.gamma(m + 0.5) / math.gamma(m) for m in j])
    else:
        x = 1 / j
        g = np.sqrt(j) * (
            1 - x / 8 + x**2 / 128 + 5 * x**3 / 1024 - 21 * x**4 / 32768 - 399 * x**5 / 262144
        )
    left = 1 - g * g.sum() / (g @ g)
    weights = neighbor_weights(4, k_max).numpy()
    # At j = 10 the series ends at 1e-8; beyond, rounding decides.
    tolerance = 1e-6 if k_max == 40 else 1e-11
    np.testing.assert_allclose(weights[j - 1], left / left.sum(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_few_dimensions_need_no_cancellation(d):
    weights = neighbor_weights(d, 6 * d)
    assert weights[weights > 0].tolist() == [1 / d] * d
    z = normal(100, d)
    mean = torch.stack([knn_entropy(z, 6 * (j + 1)) for j in range(d)]).mean()
    torch.testing.assert_close(weighted_knn_entropy(z, 6 * d), mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "d", "k_max"), [(60, 5, 20), (60, 8, 59), (200, 13, 30)])
def test_is_the_weighted_mean_of_single_neighbours(n, d, k_max):
    z, weights = normal(n, d), neighbor_weights(d, k_max)
    expected = sum(float(w) * float(knn_entropy(z, j + 1)) for j, w in enumerate(weights) if w != 0)
    assert float(weighted_knn_entropy(z, k_max)) == pytest.approx(expected, abs=1e-9)


def exact_mean(d: int, n: int, k_max: int) -> float:
    weights = neighbor_weights(d, k_max)
    return sum(
        float(w) * expected_gaussian_estimate(d, n, j + 1) for j, w in enumerate(weights) if w != 0
    )


@pytest.mark.parametrize(("d", "n", "k_max"), [(2, 100, 10), (4, 200, 20), (8, 1000, 50)])
def test_mean_on_gaussians_is_exact(d, n, k_max):
    law, generator = gaussian(d), torch.Generator().manual_seed(d)
    samples = [law.sample(n, generator=generator) for _ in range(40)]
    found = np.array([float(weighted_knn_entropy(z, k_max)) for z in samples])
    standard_error = found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean() - exact_mean(d, n, k_max)) < SIGMAS * standard_error


def test_large_neighbours_keep_their_spread_and_lose_their_bias():
    # Measured before this code was written, at d = 8, n = 1000: -0.054 for k = 1, 0.289 for k = 50
    # and -0.071 weighted, each to a few hundredths.
    truth = gaussian_entropy_bound(8)
    assert expected_gaussian_estimate(8, 1000, 1) - truth == pytest.approx(-0.054, abs=0.05)
    assert expected_gaussian_estimate(8, 1000, 50) - truth == pytest.approx(0.289, abs=0.05)
    assert exact_mean(8, 1000, 50) - truth == pytest.approx(-0.071, abs=0.05)
    # Where points abound the first term dominates, and it cancels.
    far, near = (
        f(5, 10**8, 100) - gaussian_entropy_bound(5)
        for f in (expected_gaussian_estimate, exact_mean)
    )
    assert abs(near) < 0.1 * abs(far)


clouds = st.builds(normal, n=st.integers(12, 40), d=st.integers(1, 9), seed=st.integers(0, 2**31))


@settings(max_examples=40)
@given(z=clouds, k_max=st.integers(5, 11), a=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_laws(z, k_max, a, shift):
    """Shift changes nothing, scale adds d log a, rotation and permutation change nothing."""
    n, d = z.shape
    value = weighted_knn_entropy(z, k_max)
    rotation = torch.linalg.qr(normal(d, d, seed=1))[0]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    # As for one neighbour (1e-7), times weights whose absolute values add up to less than 100.
    close = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(weighted_knn_entropy(z + shift, k_max), value, **close)
    torch.testing.assert_close(weighted_knn_entropy(a * z, k_max), value + d * math.log(a), **close)
    torch.testing.assert_close(weighted_knn_entropy(z @ rotation, k_max), value, **close)
    torch.testing.assert_close(weighted_knn_entropy(z[order], k_max), value, **close)


def test_a_smooth_law_that_is_no_gaussian():
    # The spread is at most sqrt((var log p + 2 psi'(1)) / n) times the weights' norm.
    law, n = laplace(4), 2000
    z = law.sample(n, generator=torch.Generator().manual_seed(0))
    spread = math.sqrt((4 + 2 * math.pi**2 / 6) / n) * float(neighbor_weights(4, 20).norm())
    assert float(weighted_knn_entropy(z, 20)) == pytest.approx(law.entropy, abs=SIGMAS * spread)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept_and_lifted_and_no_gradient_is_promised(dtype):
    z = normal(100, 4).to(dtype).requires_grad_()
    value = weighted_knn_entropy(z, 20)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert value.shape == ()
    assert not value.requires_grad
    assert float(value) == pytest.approx(float(weighted_knn_entropy(z.double(), 20)), abs=1e-5)


def test_duplicates_are_counted_where_they_matter():
    z = normal(50, 4)
    z[3] = z[4]
    with pytest.raises(DuplicatePointsError, match=r"2 of 50 points coincide .* number 1.*unique"):
        weighted_knn_entropy(z, 4)
    assert weighted_knn_entropy(z, 8).isfinite()  # the first weight is on the second neighbour


GOOD = torch.rand(50, 8)


@pytest.mark.parametrize(
    ("z", "k_max", "error", "message"),
    [
        ([[0.0]], 1, TypeError, r"torch\.as_tensor"),
        (torch.ones(9, 2, dtype=torch.int64), 1, TypeError, r"z\.float\(\)"),
        (torch.rand(9), 1, ValueError, r"z\[:, None\]"),
        (torch.rand(0, 2), 1, ValueError, "empty"),
        (torch.full((9, 2), math.nan), 1, ValueError, "9 of 9 rows"),
        (torch.full((9, 2), math.inf), 1, ValueError, "9 of 9 rows"),
        (GOOD, 50, ValueError, r"1\.\.n-1 = 49"),
        (GOOD, 0, ValueError, "at least 1"),
        (GOOD, -3, ValueError, "at least 1"),
        (GOOD, 2, ValueError, r"3 constraints in d = 8 .* k_max = 2 gives 2; use k_max >= 3"),
        (GOOD, 2.0, TypeError, "k_max must be an integer"),
        (GOOD, True, TypeError, "k_max must be an integer"),
        (torch.rand(100, 40), 60, ValueError, "d = 40, k_max = 60 reach .*knn_entropy"),
        (torch.rand(1, 2), 1, ValueError, r"1\.\.n-1 = 0"),
    ],
)
def test_refuses(z, k_max, error, message):
    with pytest.raises(error, match=message):
        weighted_knn_entropy(z, k_max)


@pytest.mark.parametrize("k_max", [3, 4, 5])
def test_the_fewest_neighbours_that_suffice_do(k_max):
    assert weighted_knn_entropy(GOOD, k_max).isfinite()


def test_weights_refuse_no_dimension():
    with pytest.raises(ValueError, match="d must be at least 1"):
        neighbor_weights(0, 5)
    with pytest.raises(TypeError, match="d must be an integer"):
        neighbor_weights(2.0, 5)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_points_of_any_size(scale):
    z = normal(200, 3)
    found, plain = weighted_knn_entropy(z * scale, 20), weighted_knn_entropy(z, 20)
    assert float(found - plain) == pytest.approx(3 * math.log(scale), rel=1e-6)


def test_a_neighbour_may_be_counted_by_numpy():
    z = normal(60, 2)
    assert weighted_knn_entropy(z, np.int64(9)) == weighted_knn_entropy(z, 9)
