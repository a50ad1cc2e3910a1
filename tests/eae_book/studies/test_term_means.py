"""Exact means of terms, against simulated batches and against arbitrary precision."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch

from eae_book.studies import term_means as m
from eae_book.studies.preference import with_norm_spread
from eae_core import regularizers as r
from eae_core.regularizers import common
from eae_core.regularizers.mmd import SCALES

BATCHES = 10_000
# Distances of many batches are taken one batch after the other, but not in Python.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")


@pytest.fixture
def values(monkeypatch):
    """Of a term on simulated batches, many in one call, for which no number may be looked at."""
    monkeypatch.setattr(common, "values_are_looked_at", lambda z: False)

    def values(term, shape: str, n: int, d: int, *, batches: int = BATCHES, batch_norm=False):
        def value(z):
            z = with_norm_spread(z, 0.0) if shape == "sphere" else z
            return term(standardize(z) if batch_norm else z)

        torch.manual_seed(1)
        z = torch.randn(batches, n, d, generator=generator(0), dtype=torch.float64)
        at_once = max(1, 400_000 // (n * n * d))
        return torch.vmap(value, randomness="different", chunk_size=at_once)(z).numpy()

    return values


def standardize(z):
    z = z - z.mean(0)
    return z / z.square().mean(0).sqrt()


def generator(seed):
    return torch.Generator().manual_seed(seed)


def sigreg(z):
    return r.sigreg_loss(z, slices=8)


def cramer_wold(z):
    return r.cramer_wold_loss(z, gamma=0.5, form="exact")


def biased_energy(z):
    return r.energy_loss(z, unbiased=False)


TERMS = {
    "sigreg": (sigreg, lambda d, n: m.sigreg_frequencies(n)),
    "cramer_wold": (cramer_wold, lambda d, n: m.cramer_wold_frequencies(0.5)),
    "mmd": (r.mmd_loss, lambda d, n: m.mmd_frequencies(d, SCALES)),
    "energy": (biased_energy, lambda d, n: m.energy_frequencies(d, unbiased=False)),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gaussian", "sphere"])
@pytest.mark.parametrize("name", TERMS)
def test_means_are_those_of_simulated_batches(values, name, shape):
    n, d = 12, 6
    term, frequencies = TERMS[name]
    drawn = values(term, shape, n, d)
    exact = m.mean_of_term(frequencies(d, n), shape, d, n)
    assert abs(drawn.mean() - exact) < 4 * drawn.std() / math.sqrt(BATCHES)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gaussian", "sphere"])
def test_sliced_wasserstein_mean_is_that_of_simulated_batches(values, shape):
    n, d = 12, 6
    drawn = values(lambda z: r.sliced_wasserstein_loss(z, slices=8), shape, n, d)
    exact = m.mean_sliced_wasserstein(shape, d, n)
    assert abs(drawn.mean() - exact) < 4 * drawn.std() / math.sqrt(BATCHES)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gaussian", "sphere"])
@pytest.mark.parametrize("name", TERMS)
def test_means_under_batch_norm_hold_to_first_order(values, name, shape):
    """What is left falls like 1 / n^2, beside leading terms of 1 / n: a share of a few / n."""
    n, d = 100, 8
    term, frequencies = TERMS[name]
    drawn = values(term, shape, n, d, batches=1000, batch_norm=True)
    found = m.mean_of_term(frequencies(d, n), shape, d, n, batch_norm=True)
    scale = max(abs(found), drawn.std())
    error = 4 * drawn.std() / math.sqrt(1000)
    assert abs(drawn.mean() - found) < error + 5 / n * scale


@pytest.mark.slow
def test_the_preference_turns_where_it_should(values):
    """The biased energy distance in d = 32 under batch normalisation: n* is about 43."""
    d = 32
    turn = m.turning_point(m.energy_frequencies(d, unbiased=False), d)
    assert 35 < turn < 55
    for n, sign in ((round(turn / 2), -1), (round(turn * 2.5), 1)):
        pairs = [values(biased_energy, s, n, d, batches=1000, batch_norm=True) for s in SHAPES]
        gap = pairs[1] - pairs[0]  # the same Gaussian draws
        assert sign * gap.mean() > 4 * gap.std() / math.sqrt(len(gap))


SHAPES = ("gaussian", "sphere")


@pytest.mark.parametrize("d", [3, 16, 512, 1000])
@pytest.mark.parametrize("t", [0.1, 1.3, 4.5, 9.0])
def test_characteristic_function_and_derivatives(d, t):
    mpmath.mp.dps = 40
    found = m.characteristic("sphere", d, np.array([t]))
    for order in range(4):
        expected = mpmath.diff(lambda x: mpmath.hyp0f1(mpmath.mpf(d) / 2, -d * x * x / 4), t, order)
        assert found[order][0] == pytest.approx(float(expected), abs=1e-11)


@pytest.mark.parametrize(
    ("frequencies", "limit"),
    [
        (lambda d: m.sigreg_frequencies(1, knots=200, t_max=9.0), 24 / 35),
        (lambda d: m.energy_frequencies(d, unbiased=False), 16 / 15),
        (m.energy_frequencies, 16 / 5),
    ],
)
def test_turning_points_grow_like_the_dimension(frequencies, limit):
    d = 1000
    # What is left falls like 24 / d.
    assert m.turning_point(frequencies(d), d) / (d + 2) == pytest.approx(limit, rel=0.03)


def test_terms_that_prefer_the_gaussian_at_every_n():
    """Cramer-Wold with a narrow smoothing under batch norm, and all of them without it."""
    assert m.turning_point(m.cramer_wold_frequencies(0.1), 256) == 0
    for _, frequencies in TERMS.values():
        assert m.turning_point(frequencies(64, 100), 64, batch_norm=False) == 0


def test_exact_gaussian_means_by_hand():
    for d in (3, 40):
        ratio = 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))  # E|Z - Z'|
        biased = m.energy_frequencies(d, unbiased=False)
        assert m.mean_of_term(biased, "gaussian", d, 7) == pytest.approx(ratio / 7, rel=1e-5)
        assert m.mean_of_term(m.energy_frequencies(d), "gaussian", d, 7) == pytest.approx(0)
    whole = m.sigreg_frequencies(50, knots=400, t_max=9.0)
    expected = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))
    assert m.mean_of_term(whole, "gaussian", 5, 50) == pytest.approx(expected, rel=1e-6)


def test_sliced_wasserstein_of_two_points_by_hand():
    """q = -a, a and E(y_(2) - y_(1)) = 2 / sqrt(pi)."""
    a = 0.6744897501960817  # of 3/4
    expected = 1 + a**2 - a * 2 / math.sqrt(math.pi)
    assert m.mean_sliced_wasserstein("gaussian", 5, 2) == pytest.approx(expected, rel=1e-9)


def test_dimensions_that_are_not_known():
    with pytest.raises(ValueError, match="d of at least 3"):
        m.mean_sliced_wasserstein("sphere", 2, 10)
    with pytest.raises(ValueError, match="up to 1000 dimensions"):
        m.turning_point(m.sigreg_frequencies(10), 1001)


def test_the_entropy_needs_exponentially_many_points():
    turns = [m.knn_turning_point(d) for d in (4, 8, 12, 16)]
    assert turns[0] < 10
    ratios = [b / a for a, b in itertools.pairwise(turns)]
    assert all(ratio > 15 for ratio in ratios)
    assert m.knn_turning_point(64, most=10**9) == 10**9


def test_the_least_number_is_the_least():
    n = m.sliced_wasserstein_turning_point(8)
    gaps = [
        m.mean_sliced_wasserstein("sphere", 8, k) - m.mean_sliced_wasserstein("gaussian", 8, k)
        for k in (n - 1, n)
    ]
    assert gaps[0] <= 0 < gaps[1]
