"""The same samples through other packages: equal where the conventions agree, and how they differ.

NPEET, infomeasure and entropy_estimators are no dependencies; their tests run where somebody has
installed them. benchmarks/peers.py tells how.
"""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import digamma, polygamma
from sklearn.neighbors import NearestNeighbors

from eae_book.distributions import (
    Distribution,
    exponential,
    gaussian,
    laplace,
    student_t,
    uniform_cube,
)
from eae_core.entropy import knn_cross_entropy, knn_entropy, knn_kl_divergence, unit_ball_log_volume


@pytest.fixture(autouse=True)
def _quiet():
    """Warnings of other packages are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def draw(law: Distribution, n: int, seed: int = 0) -> torch.Tensor:
    return law.sample(n, generator=torch.Generator().manual_seed(seed))


def formula(rho: np.ndarray, d: int, k: int, *, log_volume: float | None = None) -> float:
    log_volume = unit_ball_log_volume(d) if log_volume is None else log_volume
    return float(d * np.log(rho).mean() + log_volume + digamma(len(rho)) - digamma(k))


def in_max_norm(z: torch.Tensor, k: int) -> float:
    """The estimator with cubes of side 2 rho for balls: the convention of most packages."""
    d = z.shape[1]
    rho = cKDTree(z.numpy()).query(z.numpy(), k=[k + 1], p=np.inf)[0][:, 0]
    return formula(rho, d, k, log_volume=d * math.log(2))


LAWS = [gaussian(1), gaussian(3), gaussian(16), laplace(2), uniform_cube(4), exponential(8)]


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_scipy_tree(law, k, offset):
    z = draw(law, 300) + offset
    rho = cKDTree(z.numpy()).query(z.numpy(), k=[k + 1])[0][:, 0]
    assert knn_entropy(z, k).item() == pytest.approx(formula(rho, law.dimension, k), abs=1e-10)


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
def test_scikit_learn(law, algorithm):
    z = draw(law, 300)
    search = NearestNeighbors(n_neighbors=3, algorithm=algorithm).fit(z.numpy())
    rho = search.kneighbors()[0][:, -1]
    assert knn_entropy(z, 3).item() == pytest.approx(formula(rho, law.dimension, 3), abs=1e-10)


@pytest.mark.parametrize("law", [gaussian(1), laplace(1), exponential(1), student_t(1, 5)], ids=str)
@pytest.mark.parametrize("method", ["vasicek", "van es", "ebrahimi", "correa"])
def test_scipy_spacings_in_one_dimension(law, method):
    # At k = m = sqrt(n), where both look equally far. On the same points the spread of log p
    # cancels; of the noise of the ball's mass ours keeps 2 psi'(k) / n at most, and neighbouring
    # points share their balls, as do the windows. Bias: a window or ball cut at an end, for
    # 2 k / n of the points and at most log 2 each, and 1 / (2 k) for the count of a window.
    n = 4000
    k = math.isqrt(n)
    z = draw(law, n, seed=3)
    theirs = float(stats.differential_entropy(z[:, 0].numpy(), method=method, window_length=k))
    spread = math.sqrt(2 * k * float(polygamma(1, k)) / n)
    tolerance = 5 * spread + 2 * k / n * math.log(2) + 1 / (2 * k)
    assert knn_entropy(z, k).item() == pytest.approx(theirs, abs=tolerance)


def test_divergence_by_two_scipy_trees():
    x, y = draw(gaussian(3), 200), draw(laplace(3), 90, seed=1)
    own = cKDTree(x.numpy()).query(x.numpy(), k=[3])[0]
    other = cKDTree(y.numpy()).query(x.numpy(), k=[2])[0]
    expected = 3 * np.log(other / own).mean() + digamma(91) - digamma(200)
    assert knn_kl_divergence(x, y, 2).item() == pytest.approx(expected, abs=1e-10)


# The noise that NPEET adds to a coordinate is below 1e-10: relative to the closest of 300 points
# on a line, some 1e-5 apart, that is 1e-5, and for one point in 300 only.
NOISE = 1e-6


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("law", [gaussian(1), gaussian(3), laplace(2)], ids=str)
def test_npeet(law, k):
    npeet = pytest.importorskip("npeet.entropy_estimators")
    z = draw(law, 300)
    nats, bits = npeet.entropy(z.numpy(), k=k, base=math.e), npeet.entropy(z.numpy(), k=k)
    assert nats == pytest.approx(in_max_norm(z, k), abs=NOISE)
    assert bits * math.log(2) == pytest.approx(nats, abs=NOISE)
    if law.dimension == 1:  # where all norms agree
        assert knn_entropy(z, k).item() == pytest.approx(nats, abs=NOISE)


@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 40), (40, 100)])
def test_npeet_divergence_has_the_published_constant(n, m):
    npeet = pytest.importorskip("npeet.entropy_estimators")
    x, y = draw(gaussian(1), n), draw(laplace(1), m, seed=1)
    theirs = npeet.kldiv(x.numpy(), y.numpy(), k=2, base=math.e)
    constants = digamma(m + 1) - digamma(n) - math.log(m / (n - 1))
    assert knn_kl_divergence(x, y, 2).item() == pytest.approx(theirs + constants, abs=1e-10)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("law", [gaussian(1), gaussian(3), laplace(2)], ids=str)
def test_infomeasure(law, k):
    measure = pytest.importorskip("infomeasure")
    z = draw(law, 300)
    euclidean = measure.entropy(z.numpy(), approach="kl", k=k, minkowski_p=2, noise_level=0)
    cubes = measure.entropy(z.numpy(), approach="kl", k=k, noise_level=0)
    assert knn_entropy(z, k).item() == pytest.approx(euclidean, abs=1e-10)
    assert cubes == pytest.approx(in_max_norm(z, k), abs=1e-10)


@pytest.mark.parametrize("k", [2, 4])  # k = 1 is an IndexError there
def test_infomeasure_cross_entropy_counts_one_point_less(k):
    # psi(m) for psi(m + 1), which is 1/m less; for equal sizes only, see the chapter.
    measure = pytest.importorskip("infomeasure")
    x, y = draw(gaussian(2), 80), draw(laplace(2), 80, seed=1)
    options = {"approach": "kl", "k": k, "minkowski_p": 2, "noise_level": 0}
    cross = measure.cross_entropy(x.numpy(), y.numpy(), **options)
    divergence = measure.kld(x.numpy(), y.numpy(), **options)
    assert knn_cross_entropy(x, y, k).item() == pytest.approx(cross + 1 / 80, abs=1e-10)
    assert knn_kl_divergence(x, y, k).item() == pytest.approx(divergence + 1 / 80, abs=1e-10)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("law", [gaussian(1), gaussian(3), laplace(2)], ids=str)
def test_entropy_estimators_in_its_own_norm(law, k):
    other = pytest.importorskip("entropy_estimators.continuous")
    z = draw(law, 300)
    assert other.get_h(z.numpy(), k=k) == pytest.approx(in_max_norm(z, k), abs=1e-10)
