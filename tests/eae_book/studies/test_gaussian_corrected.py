"""The Gaussian-corrected estimator: its definition, its laws, what it is for, what it refuses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import digamma

from eae_book.distributions import gaussian, laplace, student_t, uniform_cube
from eae_book.studies import gaussian_corrected
from eae_book.studies.gaussian_corrected import kpn_entropy
from eae_core.entropy import DuplicatePointsError, knn_entropy

# Five standard errors of a mean over >= 20 draws.
SIGMAS = 5


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def nearest(z: np.ndarray, i: int) -> np.ndarray:
    """Rows of z by their distance from point i, itself first."""
    return np.argsort(np.linalg.norm(z - z[i], axis=1))


@pytest.mark.parametrize(("k", "p"), [(1, 2), (1, 10), (4, 10), (4, 29), (29, 29)])
def test_one_dimension_by_its_definition(k, p):
    # The ball is an interval, for us as for the authors.
    z = normal(30, 1)
    x, terms = z.numpy(), []
    for i in range(30):
        order = nearest(x, i)
        rho = abs(x[order[k], 0] - x[i, 0])
        g = stats.norm(x[order[: p + 1]].mean(), x[order[: p + 1]].std(ddof=1))
        mass = g.cdf(x[i, 0] + rho) - g.cdf(x[i, 0] - rho)
        terms.append(math.log(g.pdf(x[i, 0]) / mass))
    expected = digamma(30) - digamma(k) - np.mean(terms)
    assert float(kpn_entropy(z, k, p)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_two_dimensions_by_their_definition(shrinkage):
    n, k, p = 8, 2, 5
    z = normal(n, 2) * torch.tensor([1.0, 0.3])
    x, terms = z.numpy(), []
    for i in range(n):
        order = nearest(x, i)
        rho = np.linalg.norm(x[order[k]] - x[i])
        near = x[order[: p + 1]]
        covariance = np.cov(near.T)
        covariance *= 1 - shrinkage
        covariance += shrinkage * np.trace(np.cov(near.T)) / 2 * np.eye(2)
        g = stats.multivariate_normal(near.mean(0), covariance)

        def ring(r, g=g, center=x[i]):
            """The angle by equal steps, which is exact for a smooth period."""
            angle = np.linspace(0, 2 * np.pi, 256, endpoint=False)
            points = center + r * np.column_stack([np.cos(angle), np.sin(angle)])
            return 2 * np.pi * r * g.pdf(points).mean()

        terms.append(math.log(g.pdf(x[i]) / integrate.quad(ring, 0, rho, epsrel=1e-11)[0]))
    expected = digamma(n) - digamma(k) - np.mean(terms)
    found = kpn_entropy(z, k, p, shrinkage=shrinkage)
    assert float(found) == pytest.approx(expected, abs=1e-8)


def test_all_points_are_the_default_and_one_fit():
    z = normal(60, 3)
    value = float(kpn_entropy(z, 2))
    assert float(kpn_entropy(z, 2, 59)) == value
    # One point fewer changes each fit a little, and none by much.
    assert float(kpn_entropy(z, 2, 58)) == pytest.approx(value, abs=0.1)


@pytest.mark.parametrize("p", [20, 99])
def test_blocks_do_not_matter(monkeypatch, p):
    z = normal(100, 3)
    value = float(kpn_entropy(z, 2, p))
    monkeypatch.setattr(gaussian_corrected, "BLOCK", 200)
    assert float(kpn_entropy(z, 2, p)) == pytest.approx(value, abs=1e-12)


def errors(law, n, *args, draws=20):
    generator = torch.Generator().manual_seed(1)
    found = [float(kpn_entropy(law.sample(n, generator=generator), *args)) for _ in range(draws)]
    return np.array(found) - law.entropy


def fit_bias(d: int, n: int) -> float:
    """What d means and d (d + 1) / 2 covariances fitted to n points cost, at most, in nats: half a
    nat a parameter and point for the fit, and once more for the point that is judged by it."""
    return d * (d + 3) / (2 * n)


@pytest.mark.parametrize("condition", [1.0, 100.0, 1e4])
@pytest.mark.parametrize(("d", "n"), [(2, 200), (8, 300), (16, 200)])
def test_one_gaussian_for_all_is_right_for_a_gaussian(d, n, condition):
    found = errors(gaussian(d, condition=condition), n, draws=5 if condition == 1e4 else 20)
    slack = SIGMAS * found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean()) < fit_bias(d, n) + slack


def test_a_flat_density_is_wrong_where_a_gaussian_is_right():
    law = gaussian(16, condition=100)
    z = law.sample(300, generator=torch.Generator().manual_seed(1))
    assert float(knn_entropy(z)) > law.entropy + 2
    # Three standard deviations of sqrt(16 / 600), the spread of -log p.
    assert float(kpn_entropy(z)) == pytest.approx(law.entropy, abs=0.5 + fit_bias(16, 300))


def test_many_dimensions():
    # n = 1000, d = 64: a flat density is off by 8.8 nats (known exactly).
    found = errors(gaussian(64), 1000, draws=3)
    assert np.abs(found).max() < fit_bias(64, 1000) + SIGMAS * math.sqrt(64 / 2000)
    assert float(knn_entropy(gaussian(64).sample(1000, generator=torch.Generator()))) > 98


@pytest.mark.parametrize(
    "law", [gaussian(2), laplace(2), student_t(2, 5), uniform_cube(2)], ids=str
)
def test_a_local_fit_in_the_plane(law):
    # The mean correction of a local fit is of the order of the share of the ball in the fit's
    # region, (k/p)^(2/d) = 1/40 times half of d, to which edges add their own at n^(-1/2).
    found = errors(law, 1000, 1, 40, draws=10)
    slack = SIGMAS * found.std(ddof=1) / math.sqrt(len(found))
    assert abs(found.mean()) < 1 / 40 + 1 / math.sqrt(1000) + slack


def test_a_bent_law_needs_local_fits():
    # z2 = z1^2 and a little: a shear keeps the volume, so the entropy is that of w.
    w = normal(2000, 2) * torch.tensor([3.0, 0.1])
    z = torch.stack([w[:, 0], w[:, 1] + w[:, 0] ** 2], 1)
    truth = math.log(2 * math.pi * math.e) + math.log(0.3)
    plain, everywhere, local = knn_entropy(z), kpn_entropy(z), kpn_entropy(z, 1, 20)
    assert abs(local - truth) < 0.5 * abs(plain - truth)
    assert abs(local - truth) < 0.5 * abs(everywhere - truth)


clouds = st.builds(normal, n=st.integers(16, 40), d=st.integers(1, 6), seed=st.integers(0, 2**31))


@settings(max_examples=40)
@given(
    z=clouds,
    k=st.integers(1, 4),
    p=st.one_of(st.none(), st.integers(10, 15)),
    a=st.floats(0.01, 100),
    shift=st.floats(-50, 50),
)
def test_laws(z, k, p, a, shift):
    """Shift changes nothing, scale adds d log a, rotation and permutation change nothing."""
    n, d = z.shape
    value = kpn_entropy(z, k, p)
    rotation = torch.linalg.qr(normal(d, d, seed=1))[0]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    close = {"rtol": 0, "atol": 1e-6}
    torch.testing.assert_close(kpn_entropy(z + shift, k, p), value, **close)
    torch.testing.assert_close(kpn_entropy(a * z, k, p), value + d * math.log(a), **close)
    torch.testing.assert_close(kpn_entropy(z @ rotation, k, p), value, **close)
    torch.testing.assert_close(kpn_entropy(z[order], k, p), value, **close)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept_and_lifted_and_no_gradient_is_promised(dtype):
    z = normal(100, 4).to(dtype).requires_grad_()
    value = kpn_entropy(z, 2, 30)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert value.shape == ()
    assert not value.requires_grad
    assert float(value) == pytest.approx(float(kpn_entropy(z.double(), 2, 30)), abs=1e-5)


def test_shrinkage_takes_the_place_of_points():
    z = normal(60, 20)
    with pytest.raises(ValueError, match=r"p = 10 .* d = 20.*p > 20.*shrinkage=0\.1"):
        kpn_entropy(z, 1, 10)
    assert kpn_entropy(z, 1, 10, shrinkage=0.5).isfinite()
    assert kpn_entropy(z[:5], 1, shrinkage=0.5).isfinite()  # fewer points than dimensions


def test_points_in_a_plane_are_named():
    z = torch.cat([normal(40, 2), torch.zeros(40, 1)], 1)
    with pytest.raises(ValueError, match=r"flat: .* subspace .*shrinkage"):
        kpn_entropy(z)
    with pytest.raises(ValueError, match=r"40 of 40 .* flat"):
        kpn_entropy(z, 1, 10)


@pytest.mark.parametrize("p", [None, 20])
def test_a_needle_is_no_wider_than_it_is(p):
    # Each ball is thousands of times as long as the needle is thick.
    z = normal(500, 2) * torch.tensor([1e5, 1.0])
    truth = math.log(2 * math.pi * math.e * 1e5)
    # Bias of a fit to 21 points, d (d + 3) / 42, and the spread of -log p and of log P.
    tolerance = fit_bias(2, 21) + SIGMAS * math.sqrt((1 + math.pi**2 / 3) / 500)
    assert float(kpn_entropy(z, 1, p)) == pytest.approx(truth, abs=tolerance)
    assert float(knn_entropy(z)) > truth + 4


def test_a_needle_too_thin_for_its_covariance_is_refused():
    z = normal(300, 2) * torch.tensor([1.0, 1e-9])
    with pytest.raises(ValueError, match="flat"):
        kpn_entropy(z)


def test_duplicates_are_counted():
    z = normal(50, 4)
    z[3] = z[4]
    with pytest.raises(DuplicatePointsError, match="2 of 50 points"):
        kpn_entropy(z)
    assert kpn_entropy(z, 2).isfinite()


GOOD = torch.rand(50, 3)


@pytest.mark.parametrize(
    ("z", "options", "error", "message"),
    [
        ([[0.0]], {}, TypeError, r"torch\.as_tensor"),
        (torch.ones(9, 2, dtype=torch.int64), {}, TypeError, r"z\.float\(\)"),
        (torch.rand(9), {}, ValueError, r"z\[:, None\]"),
        (torch.rand(0, 2), {}, ValueError, "empty"),
        (torch.full((9, 2), math.nan), {}, ValueError, "9 of 9 rows"),
        (GOOD, {"k": 50}, ValueError, r"1\.\.n-1 = 49"),
        (GOOD, {"k": 0}, ValueError, r"1\.\.n-1 = 49"),
        (GOOD, {"k": 1.0}, TypeError, "k must be an integer"),
        (GOOD, {"p": 50}, ValueError, r"k\.\.n-1 = 1\.\.49"),
        (GOOD, {"k": 9, "p": 8}, ValueError, r"k\.\.n-1 = 9\.\.49"),
        (GOOD, {"p": 20.0}, TypeError, "p must be an integer"),
        (GOOD, {"p": True}, TypeError, "p must be an integer"),
        (GOOD, {"p": 3}, ValueError, "p > 3"),
        (GOOD, {"shrinkage": -0.1}, ValueError, r"0\.\.1"),
        (GOOD, {"shrinkage": math.nan}, ValueError, r"0\.\.1"),
    ],
)
def test_refuses(z, options, error, message):
    with pytest.raises(error, match=message):
        kpn_entropy(z, **options)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_points_of_any_size(scale):
    z = normal(200, 3)
    found, plain = kpn_entropy(z * scale), kpn_entropy(z)
    assert float(found - plain) == pytest.approx(3 * math.log(scale), rel=1e-6)


def test_a_neighbour_may_be_counted_by_numpy():
    z = normal(60, 2)
    assert kpn_entropy(z, np.int64(2), np.int64(20)) == kpn_entropy(z, 2, 20)
