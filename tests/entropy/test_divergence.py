"""Cross-entropy and divergence: their formulas, their laws, exact means, and what they refuse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import digamma

from eae_core.entropy import (
    DuplicatePointsError,
    knn_cross_entropy,
    knn_entropy,
    knn_kl_divergence,
    unit_ball_log_volume,
)
from eae_core.entropy.expectation import _squared_norms, ball_masses, expected_gaussian_estimate

ESTIMATES = (knn_cross_entropy, knn_kl_divergence)
# Five standard errors of a mean over many draws: a correct build fails once in a million seeds.
SIGMAS = 5


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cross_entropy_by_definition(x: torch.Tensor, y: torch.Tensor, k: int) -> torch.Tensor:
    d, m = x.shape[1], len(y)
    nu = (x[:, None] - y).square().sum(-1).kthvalue(k, dim=1).values.sqrt()
    return d * nu.log().mean() + unit_ball_log_volume(d) + float(digamma(m + 1) - digamma(k))


@pytest.mark.parametrize(("n", "m"), [(40, 40), (60, 7), (5, 80)])
@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("d", [1, 3, 30])
def test_both_equal_their_formulas(n, m, k, d):
    x, y = normal(n, d), normal(m, d, seed=1) + 0.5
    expected = cross_entropy_by_definition(x, y, k)
    torch.testing.assert_close(knn_cross_entropy(x, y, k), expected, rtol=1e-12, atol=1e-12)
    divergence = expected - knn_entropy(x, k)
    torch.testing.assert_close(knn_kl_divergence(x, y, k), divergence, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_local_terms_average_to_the_estimate(estimate):
    x, y = normal(30, 4), normal(50, 4, seed=1)
    local = estimate(x, y, 2, reduction="none")
    assert local.shape == (30,)
    torch.testing.assert_close(local.mean(), estimate(x, y, 2))
    torch.testing.assert_close(local.sum(), estimate(x, y, 2, reduction="sum"))


@pytest.mark.parametrize(("n", "m"), [(100, 99), (100, 5000), (5000, 100), (3, 2)])
def test_the_published_constant_differs_by_the_stated_amount(n, m):
    x, y = normal(n, 2), normal(m, 2, seed=1)
    own = cKDTree(x.numpy()).query(x.numpy(), k=[2])[0]
    other = cKDTree(y.numpy()).query(x.numpy(), k=[1])[0]
    published = 2 * np.log(other / own).mean() + math.log(m / (n - 1))
    difference = float(knn_kl_divergence(x, y)) - published
    g = [float(digamma(j + 1)) - math.log(j) for j in (m, n - 1)]
    assert difference == pytest.approx(g[0] - g[1], abs=1e-10)
    remainder = 1 / (12 * min(m, n - 1) ** 2)
    assert difference == pytest.approx(1 / (2 * m) - 1 / (2 * n - 2), abs=remainder)


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("engine", ["dense", "blocked", "kdtree"])
def test_gradients_reach_both_samples(estimate, engine):
    x, y = normal(9, 3).requires_grad_(), normal(7, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: estimate(x, y, 2, engine=engine), (x, y))
    assert torch.autograd.gradcheck(lambda x, y: estimate(x, y, reduction="none"), (x, y))


samples = st.builds(
    lambda n, m, d, seed: (normal(n, d, seed), normal(m, d, seed + 1) + 0.3),
    n=st.integers(6, 30),
    m=st.integers(4, 30),
    d=st.integers(1, 10),
    seed=st.integers(0, 2**31),
)


@settings(max_examples=40)
@given(pair=samples, k=st.integers(1, 4), a=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_laws(pair, k, a, shift):
    """A motion of both changes nothing; a scale adds d log a to the one, nothing to the other."""
    x, y = pair
    d = x.shape[1]
    rotation = torch.linalg.qr(normal(d, d, seed=1))[0]
    generator = torch.Generator().manual_seed(len(x))
    orders = [torch.randperm(len(z), generator=generator) for z in pair]
    for estimate, gain in ((knn_cross_entropy, d * math.log(a)), (knn_kl_divergence, 0.0)):
        value = estimate(x, y, k)
        # As for the entropy: coordinates up to 50 over distances of 1e-5 at least.
        close = {"rtol": 0, "atol": 1e-7}
        torch.testing.assert_close(estimate(x + shift, y + shift, k), value, **close)
        torch.testing.assert_close(estimate(x @ rotation, y @ rotation, k), value, **close)
        torch.testing.assert_close(estimate(a * x, a * y, k), value + gain, **close)
        torch.testing.assert_close(estimate(x[orders[0]], y[orders[1]], k), value, **close)


def draws(p_scale: float, q_scale: float, n: int, m: int, d: int, k: int, count: int):
    """Both estimates on pairs of isotropic Gaussian samples, (count, 2)."""
    rng = torch.Generator().manual_seed(n + 1000 * d)
    found = []
    for _ in range(count):
        x = p_scale * torch.randn(n, d, generator=rng, dtype=torch.float64)
        y = q_scale * torch.randn(m, d, generator=rng, dtype=torch.float64)
        found.append([float(estimate(x, y, k)) for estimate in ESTIMATES])
    return np.array(found)


def far_from(measured: np.ndarray, expected: float) -> float:
    return abs(measured.mean() - expected) / (measured.std(ddof=1) / math.sqrt(len(measured)))


@pytest.mark.parametrize(
    ("d", "n", "m", "k"),
    [(1, 50, 50, 1), (2, 30, 200, 1), (2, 200, 30, 3), (8, 100, 20, 1), (64, 40, 100, 2)],
)
def test_means_on_equal_gaussians_are_exact(d, n, m, k):
    # A point of x sees the m points of y as it sees the others of a sample of m + 1: the mean of
    # the cross-entropy is that of the entropy at m + 1.
    found = draws(1.0, 1.0, n, m, d, k, count=200)
    cross = expected_gaussian_estimate(d, m + 1, k)
    assert far_from(found[:, 0], cross) < SIGMAS
    assert far_from(found[:, 1], cross - expected_gaussian_estimate(d, n, k)) < SIGMAS


def expected_cross_entropy(d: int, m: int, k: int, s: float) -> float:
    """Exact mean for p = N(0, I), q = N(0, s^2 I), by the double sum of expectation.py."""
    squared_norm, norm_weight = _squared_norms(d)
    mass, mass_weight = ball_masses(m + 1, k)
    squares = stats.ncx2.ppf(mass, d, squared_norm[:, None] / s**2)
    mean_log = norm_weight @ (0.5 * np.log(squares)) @ mass_weight + math.log(s)
    return d * mean_log + unit_ball_log_volume(d) + float(digamma(m + 1) - digamma(k))


@pytest.mark.parametrize(("d", "s"), [(1, 1.5), (2, 2.0), (2, 0.8), (4, 1.3)])
@pytest.mark.parametrize(("n", "m"), [(400, 100), (100, 400), (200, 200)])
def test_gaussians_of_different_scales(d, s, n, m):
    found = draws(1.0, s, n, m, d, 1, count=60)
    cross = expected_cross_entropy(d, m, 1, s)
    assert far_from(found[:, 0], cross) < SIGMAS
    assert far_from(found[:, 1], cross - expected_gaussian_estimate(d, n, 1)) < SIGMAS


@pytest.mark.parametrize(("d", "s"), [(1, 1.5), (2, 2.0), (2, 0.8), (4, 1.3)])
def test_means_approach_the_closed_form(d, s):
    # The means that the test above finds at a few hundred points; the local bias falls with the
    # volume of a ball to the power 2/d, slower where the tails of p lie beyond those of q.
    true_kl = d * (math.log(s) + 0.5 / s**2 - 0.5)
    biases = [
        expected_cross_entropy(d, m, 1, s) - expected_gaussian_estimate(d, m, 1) - true_kl
        for m in (100, 10_000, 1_000_000)
    ]
    assert abs(biases[0]) > abs(biases[1]) > abs(biases[2])
    assert abs(biases[2]) < 0.01


@pytest.mark.parametrize(("n", "m"), [(50, 200), (200, 50)])
def test_shifted_gaussians(n, m):
    shift = torch.tensor([1.0, 0.0], dtype=torch.float64)
    found = np.array(
        [
            float(knn_kl_divergence(normal(n, 2, seed), normal(m, 2, seed + 10_000) + shift))
            for seed in range(200)
        ]
    )
    slack = SIGMAS * found.std(ddof=1) / math.sqrt(200)
    # KL = 1/2; the points of x far from y overstate its density in the thin tail.
    assert 0.5 - 0.15 - slack < found.mean() < 0.5 + slack


@pytest.mark.parametrize(("d", "n", "m", "k"), [(1, 10, 3, 1), (2, 30, 400, 2), (2, 400, 30, 1)])
def test_constants_are_exact_where_densities_are_constant(d, n, m, k):
    # On a torus no ball meets an edge, so both laws are uniform on every ball: the truth is 0.
    rng = np.random.default_rng(0)
    cross = unit_ball_log_volume(d) + digamma(m + 1) - digamma(k)
    found = []
    for _ in range(300):
        x, y = rng.random((n, d)), rng.random((m, d))
        own = d * np.log(cKDTree(x, boxsize=1.0).query(x, k=[k + 1])[0]).mean()
        other = d * np.log(cKDTree(y, boxsize=1.0).query(x, k=[k])[0]).mean()
        found.append([other + cross, other - own + digamma(m + 1) - digamma(n)])
    found = np.array(found)
    assert far_from(found[:, 0], 0.0) < SIGMAS
    assert far_from(found[:, 1], 0.0) < SIGMAS


def test_small_divergences_of_wide_spaces_keep_their_digits_in_float32():
    x, y = normal(300, 128, dtype=torch.float32), normal(300, 128, 1, dtype=torch.float32)
    value, wide = knn_kl_divergence(x, y), knn_kl_divergence(x.double(), y.double())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(wide.item(), abs=1e-6)  # two entropies of 200 nats


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_wider_dtype_is_used(dtype):
    x, y = normal(50, 3).to(dtype), normal(40, 3, seed=1)
    for estimate in ESTIMATES:
        assert estimate(x, y).dtype == torch.float64
        assert estimate(x, y).item() == estimate(x.double(), y).item()
        assert estimate(x, y.to(dtype)).dtype == torch.float32


def test_autocast_does_not_reach_the_estimates():
    x, y = normal(300, 32, dtype=torch.float32), normal(200, 32, 1, dtype=torch.float32)
    for estimate in ESTIMATES:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = estimate(x, y)
        assert inside.item() == estimate(x, y).item()


def test_shared_rows_are_counted_with_a_remedy():
    x, y = normal(20, 2), normal(30, 2, seed=1)
    y[:3] = x[5:8]
    for estimate in ESTIMATES:
        with pytest.raises(DuplicatePointsError, match=r"3 of 20 points of x .* in y.*independent"):
            estimate(x, y)
        assert estimate(x, y, 2).isfinite()


def test_duplicates_within_x_concern_the_divergence_alone():
    x, y = normal(20, 2), normal(30, 2, seed=1)
    x[3] = x[4]
    assert knn_cross_entropy(x, y).isfinite()
    with pytest.raises(DuplicatePointsError, match=r"2 of 20 points of x .* in x.*plus infinity"):
        knn_kl_divergence(x, y)


def test_duplicates_within_y_do_not_matter():
    x, y = normal(20, 2), normal(30, 2, seed=1)
    for estimate in ESTIMATES:
        assert estimate(x, torch.cat([y, y])).isfinite()


def test_floor_replaces_small_distances_and_stops_their_gradient():
    x = normal(20, 2).requires_grad_()
    local = knn_cross_entropy(x, x.detach()[:5], zero="floor", floor=1e-3, reduction="none")
    offset = unit_ball_log_volume(2) + float(digamma(6) - digamma(1))
    assert local[0].item() == pytest.approx(2 * math.log(1e-3) + offset)
    (gradient,) = torch.autograd.grad(local[:5].sum(), x)
    assert gradient.abs().max() == 0
    assert knn_kl_divergence(x, x.detach(), zero="floor", floor=1e-3).isfinite()


GOOD = torch.rand(10, 2)


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        ([[0.0]], GOOD, TypeError, r"x must be a torch\.Tensor"),
        (GOOD, GOOD.numpy(), TypeError, r"torch\.as_tensor\(y\)"),
        (GOOD, torch.ones(10, 2, dtype=torch.int64), TypeError, r"y\.float\(\)"),
        (torch.rand(10), GOOD, ValueError, r"x\[:, None\]"),
        (GOOD, torch.rand(10, 3), ValueError, r"same d.*\(10, 2\).*\(10, 3\)"),
        (GOOD, torch.rand(0, 2), ValueError, "y is empty"),
        (torch.rand(0, 2), GOOD, ValueError, "x is empty"),
        (torch.full((10, 2), math.nan), GOOD, ValueError, "10 of 10 rows of x"),
        (GOOD, torch.tensor([[0.0, math.inf]]), ValueError, "1 of 1 rows of y"),
        (GOOD, torch.rand(10, 2, device="meta"), ValueError, "x is on cpu and y on meta"),
    ],
)
def test_refuses_bad_samples(estimate, x, y, error, message):
    with pytest.raises(error, match=message):
        estimate(x, y)


def test_refuses_neighbours_out_of_reach():
    few, many = torch.rand(3, 2), torch.rand(10, 2)
    for estimate in ESTIMATES:
        for k in (0, -1, 4):
            with pytest.raises(ValueError, match=r"1\.\.m = 3"):
                estimate(many, few, k)
    assert knn_cross_entropy(few, many, 10).isfinite()  # x may be of any size, y is enough
    assert knn_cross_entropy(few[:1], many).isfinite()
    with pytest.raises(ValueError, match=r"1\.\.n-1 = 2"):
        knn_kl_divergence(few, many, 3)


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 1.5}, TypeError, "integer"),
        ({"k": True}, TypeError, "integer"),
        ({"reduction": "batch"}, ValueError, "mean, sum, none"),
        ({"zero": "skip"}, ValueError, "raise, floor"),
        ({"zero": "floor"}, ValueError, "floor > 0"),
        ({"floor": 1e-6}, ValueError, "pass both"),
        ({"engine": "annoy"}, ValueError, "dense, blocked, kdtree"),
    ],
)
def test_refuses_bad_options(estimate, options, error, message):
    with pytest.raises(error, match=message):
        estimate(GOOD, torch.rand(10, 2), **options)
