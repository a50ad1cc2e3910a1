"""No configuration gets above the ceiling, and simplices get there."""

import math

import pytest
import torch

from eae_book.studies.ceiling import knn_entropy_ceiling, regular_simplex
from eae_book.studies.free_points import maximize_entropy, standardize
from eae_book.studies.shapes import unit_shapes
from eae_core.entropy import knn_entropy


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("n", "d"), [(2, 1), (2, 7), (3, 2), (3, 3), (4, 3), (8, 16), (9, 8), (16, 16), (100, 128)]
)
def test_simplex_has_exact_moments_equal_distances_and_the_ceiling(n, d):
    z = regular_simplex(n, d)
    assert z.shape == (n, d)
    assert z.mean(0).abs().max() < 1e-13
    assert (z.square().mean(0) - 1).abs().max() < 1e-13
    assert torch.pdist(z).numpy() == pytest.approx(math.sqrt(2 * n * d / (n - 1)), rel=1e-13)
    assert knn_entropy(z).item() == pytest.approx(knn_entropy_ceiling(n, d), abs=1e-10)


@pytest.mark.parametrize("k", [2, 5])
def test_with_more_neighbours_clumps_of_k_reach_the_ceiling(k):
    z = regular_simplex(20 // k, 24).repeat(k, 1)
    assert knn_entropy(z, k).item() == pytest.approx(knn_entropy_ceiling(20, 24, k), abs=1e-10)
    assert knn_entropy(regular_simplex(20, 24), k) < knn_entropy_ceiling(20, 24, k) - 0.5


@pytest.mark.parametrize("d", [1, 2, 8, 64])
@pytest.mark.parametrize("k", [1, 3])
def test_no_shape_gets_above_the_ceiling(d, k):
    for n in (k + 2, 60):
        ceiling = knn_entropy_ceiling(n, d, k)
        for law in unit_shapes(d).values():
            z = standardize(law.sample(n, generator=torch.Generator().manual_seed(0)))
            assert knn_entropy(z, k, zero="floor", floor=1e-12) < ceiling + 1e-9, law


def test_ascent_approaches_the_ceiling_from_below_where_a_simplex_exists():
    ceiling = knn_entropy_ceiling(9, 8)
    z = maximize_entropy(normal(9, 8), standardize, steps=300)
    assert ceiling - 0.05 < knn_entropy(z) < ceiling


def test_the_value_of_the_paper_s_setting():
    assert knn_entropy_ceiling(100, 128) == pytest.approx(228.81, abs=0.005)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: knn_entropy_ceiling(5, 2, 5), r"k must lie in 1..n-1 = 4"),
        (lambda: knn_entropy_ceiling(5, 2, 0), "k must lie in"),
        (lambda: knn_entropy_ceiling(1, 2), "k must lie in"),
        (lambda: knn_entropy_ceiling(5, 0), "d must be a whole number of at least 1"),
        (lambda: regular_simplex(4, 2), "d = 2 dimensions has 2 to 3 corners, got n = 4"),
        (lambda: regular_simplex(1, 2), "2 to 3 corners, got n = 1"),
        (lambda: regular_simplex(2, 0), "d must be a whole number"),
    ],
)
def test_impossible_sizes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
