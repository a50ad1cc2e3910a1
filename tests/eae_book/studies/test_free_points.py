"""Free points climb, hold their constraint, and go where theory says they can."""

import math

import pytest
import torch

from eae_book.studies.free_points import maximize_entropy, standardize
from eae_core.entropy import gaussian_entropy_bound, knn_entropy


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_standardized_moments_are_exact_and_nothing_else_moves():
    z = 3 * normal(40, 5).exp() + 7
    s = standardize(z)
    assert s.mean(0).abs().max() < 1e-14
    assert (s.square().mean(0) - 1).abs().max() < 1e-14
    assert torch.allclose(standardize(s), s)
    assert torch.allclose(standardize(2 * z - 11), s)  # shifts and scales leave no trace
    assert torch.allclose(s * z.std(0, correction=0) + z.mean(0), z)


def test_ascent_raises_the_estimate_and_holds_the_constraint():
    start = normal(60, 4)
    before = start.clone()
    heights = []
    z = maximize_entropy(
        start, standardize, steps=100, on_step=lambda step, _, entropy: heights.append(entropy)
    )
    assert torch.equal(start, before), "the start is the caller's"
    assert not z.requires_grad
    assert len(heights) == 101
    assert heights[0] == knn_entropy(standardize(start)).item()
    assert heights[-1] == knn_entropy(z).item()
    assert heights[-1] > heights[0] + 0.5
    assert (z.square().mean(0) - 1).abs().max() < 1e-12


def test_three_points_in_the_plane_become_an_equilateral_triangle():
    # The ceiling of Jensen's inequality is reached by the regular simplex alone.
    z = maximize_entropy(normal(3, 2), standardize, steps=400)
    assert torch.pdist(z) == pytest.approx([math.sqrt(6)] * 3, abs=1e-4)


def test_any_constraint_k_and_estimate_serve():
    def circle(x):
        return x / x.norm(dim=1, keepdim=True)

    z = maximize_entropy(normal(5, 2), circle, steps=300, learning_rate=0.1)
    angle = torch.atan2(z[:, 1], z[:, 0]).sort().values
    gaps = torch.cat([angle.diff(), angle[:1] + 2 * math.pi - angle[-1:]])
    assert gaps.sort().values == pytest.approx([2 * math.pi / 5] * 5, abs=0.05)

    layer = torch.nn.BatchNorm1d(3, affine=False).double()
    assert maximize_entropy(normal(20, 3), layer, steps=2, k=3).shape == (20, 3)

    # With -|z - 1|^2 for an estimate, all points go where it is largest.
    z = maximize_entropy(
        normal(4, 2), lambda x: x, steps=1000, estimate=lambda z: -(z - 1).square().sum()
    )
    assert z.flatten() == pytest.approx([1.0] * 8, abs=1e-3)


def test_many_points_in_the_plane_beat_the_gaussian():
    z = maximize_entropy(normal(100, 2), standardize, steps=200)
    assert knn_entropy(z) > gaussian_entropy_bound(2) + 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"steps": 5, "learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"steps": 5, "learning_rate": math.nan}, "learning_rate must be above 0"),
        ({"steps": 5, "constraint": lambda x: x[:-1]}, "made 9 points of 10"),
        ({"steps": 5, "estimate": lambda z: z.sum(1)}, r"must be a scalar, got shape \(10,\)"),
        ({"steps": 5, "points": torch.zeros(4)}, "points must be n x d"),
    ],
)
def test_impossible_arguments_are_named(arguments, message):
    options = {"points": normal(10, 2), "constraint": standardize} | arguments
    with pytest.raises(ValueError, match=message):
        maximize_entropy(options.pop("points"), options.pop("constraint"), **options)


def test_an_estimate_that_breaks_down_is_an_error():
    with pytest.raises(ArithmeticError, match="is nan after 0 steps; try a smaller"):
        maximize_entropy(normal(5, 2), lambda x: x, steps=2, estimate=lambda z: z.sum() * math.nan)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.ones(1, 3), "n must be at least 2"),
        (torch.ones(5), "n x d"),
        (torch.tensor([[1.0, 2.0], [1.0, 3.0]]), "1 of 2 coordinates of z are constant"),
        (torch.tensor([[math.nan], [0.0]]), "NaN or infinity"),
    ],
)
def test_what_has_no_variance_cannot_be_standardized(z, message):
    with pytest.raises(ValueError, match=message):
        standardize(z)
