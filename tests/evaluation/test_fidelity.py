"""Kernel distance against its mean in closed form; precision and recall on sets with known ones."""

import math

import numpy as np
import pytest
import torch

from eae_core.evaluation.fidelity import kernel_distance, precision_recall


def normal(n: int, p: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kernel_distance_of_equal_laws_is_zero_within_its_error():
    """Disjoint subsets: the standard error is the deviation over the root of their number."""
    values = [
        kernel_distance(normal(100, 5, 2 * i), normal(100, 5, 2 * i + 1), subsets=1).mean
        for i in range(100)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values))
    assert min(values) < 0 < max(values)  # unbiased, so half of the estimates are below zero


def test_kernel_distance_of_constants():
    """k = (x y / p + 1)^3 is 27 / 8 within ones, 1 within zeros, 1 between, for p = 2 and x = y."""
    ones, zeros = torch.full((5, 2), 2**-0.5), torch.zeros(7, 2)
    found = kernel_distance(ones, zeros, subsets=3)
    assert found.mean == pytest.approx(1.5**3 - 1, rel=1e-6)
    assert found.sd == pytest.approx(0, abs=1e-12)


def test_kernel_distance_of_scaled_gaussians_in_one_dimension():
    """E (x y + 1)^3 = 1 + 3 E x^2 E y^2 for independent symmetric x, y: 3 (s^2 - t^2)^2."""
    s, t, n = 1.0, 1.5, 1500
    found = kernel_distance(s * normal(n, 1), t * normal(n, 1, 1), subset_size=n, subsets=1)
    expected = 3 * (s**2 - t**2) ** 2
    # About the largest term of the variance, that of 6 (t^2 - s^2) y^2 averaged over n.
    error = 6 * (t**2 - s**2) * math.sqrt(2 / n) * math.hypot(s**2, t**2)
    assert found.mean == pytest.approx(expected, abs=5 * error)


def test_kernel_distance_follows_its_seed():
    x, y = normal(60, 3), normal(50, 3, 1)
    first = kernel_distance(x, y, subset_size=20, seed=1)
    assert first == kernel_distance(x, y, subset_size=20, seed=1)
    assert first != kernel_distance(x, y, subset_size=20, seed=2)


def test_a_part_of_the_law_is_precise_and_does_not_recall():
    real = torch.cat([normal(300, 3), 50 + normal(300, 3, 1)])
    found = precision_recall(normal(600, 3, 2), real)
    assert found.precision > 0.8
    assert 0.4 < found.recall <= 0.5
    swapped = precision_recall(real, normal(600, 3, 2))
    assert swapped == (found.recall, found.precision)


def test_disjoint_and_equal_sets_and_blocks():
    x = normal(50, 3)
    assert precision_recall(x, x) == (1, 1)
    assert precision_recall(x, x + 100) == (0, 0)
    y = 0.5 * normal(40, 3, 1)
    assert precision_recall(x, y, block_size=7) == precision_recall(x, y)


def test_balls_reach_to_the_kth_neighbour():
    real = torch.tensor([[0.0], [1.0], [3.0]])  # radii 1, 1, 2 for k = 1
    generated = torch.tensor([[1.9], [2.1], [5.1], [-1.5]])
    # 1.9 and 2.1 lie in the ball about 3, -1.5 and 5.1 in none.
    assert precision_recall(generated, real, k=1).precision == 0.5
    # Radii of the generated: 0.2, 0.2, 3.0, 3.4, so 0 and 1 and 3 all lie in a ball.
    assert precision_recall(generated, real, k=1).recall == 1


@pytest.mark.parametrize("function", [kernel_distance, precision_recall])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.rand(9, 3), torch.rand(9, 4), "same p"),
        (torch.rand(9), torch.rand(9), "features must be n x d"),
        (torch.rand(9, 3), torch.rand(1, 3), "at least"),
        (torch.full((9, 3), torch.nan), torch.rand(9, 3), "NaN"),
    ],
)
def test_refuses(function, a, b, message):
    with pytest.raises(ValueError, match=message):
        function(a, b)


def test_refuses_options():
    x = torch.rand(9, 2)
    with pytest.raises(ValueError, match="subsets"):
        kernel_distance(x, x, subsets=0)
    with pytest.raises(ValueError, match="at least 10 points"):
        precision_recall(x, x, k=9)
    with pytest.raises(ValueError, match="k must"):
        precision_recall(x, x, k=0)
