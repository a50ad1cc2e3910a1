"""The gap to a Gaussian: its two forms, its calibration, and its gradient."""

import math

import pytest
import torch

from eae_book.distributions import standardized, uniform_cube
from eae_book.studies.gaussian_gap import gaussian_gap
from eae_core.entropy import gaussian_entropy_bound, knn_entropy
from eae_core.entropy.expectation import expected_gaussian_estimate


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("n", "d", "k"), [(100, 2, 1), (60, 64, 3)])
def test_both_are_a_constant_minus_the_estimate(n, d, k):
    z = normal(n, d)
    gap = gaussian_gap(z, k)
    estimate = float(knn_entropy(z, k))
    assert gap.raw.item() == pytest.approx(gaussian_entropy_bound(d) - estimate)
    assert gap.calibrated.item() == pytest.approx(expected_gaussian_estimate(d, n, k) - estimate)


@pytest.mark.parametrize(("n", "d", "k"), [(100, 2, 1), (100, 16, 1), (50, 64, 5)])
def test_calibrated_is_zero_on_average_for_gaussians(n, d, k):
    gaps = torch.stack([gaussian_gap(normal(n, d, seed), k).calibrated for seed in range(200)])
    assert abs(gaps.mean()) < 5 * gaps.std() / math.sqrt(200)


def test_a_scale_adds_to_the_gap():
    z = normal(100, 8)
    for one, two in zip(gaussian_gap(z), gaussian_gap(z / 2), strict=True):
        assert (two - one).item() == pytest.approx(8 * math.log(2))


def test_a_cube_in_few_dimensions_lacks_the_entropy_it_should():
    law = standardized(uniform_cube(2))
    z = law.sample(4000, generator=torch.Generator().manual_seed(0))
    # Standard deviation sqrt((0 + 2 psi'(1)) / n) = 0.03; the edges add up to 0.02 to the estimate.
    expected = gaussian_entropy_bound(2) - law.entropy
    assert gaussian_gap(z).calibrated.item() == pytest.approx(expected, abs=5 * 0.03 + 0.02)


def test_gradient_is_minus_that_of_the_entropy():
    z = normal(30, 3).requires_grad_()
    (expected,) = torch.autograd.grad(-knn_entropy(z, 2), z)
    for gap in gaussian_gap(z, 2):
        (gradient,) = torch.autograd.grad(gap, z, retain_graph=True)
        torch.testing.assert_close(gradient, expected)


def test_options_reach_the_estimate():
    z = normal(30, 2)
    z[1] = z[0]
    with pytest.raises(ValueError, match="coincide"):
        gaussian_gap(z)
    assert gaussian_gap(z, zero="floor", floor=1e-3).raw.isfinite()
    with pytest.raises(ValueError, match=r"1\.\.n-1 = 29"):
        gaussian_gap(z, 30)
    with pytest.raises(TypeError, match="integer"):
        gaussian_gap(z, 1.5)
