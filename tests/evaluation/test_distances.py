"""Distances to N(0, I): exact where theory gives a value, and right in their bands elsewhere."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from eae_core.evaluation import (
    energy_band,
    energy_distance,
    sliced_wasserstein,
    sliced_wasserstein_band,
)
from eae_core.evaluation.distances import (
    mean_distance_to_gaussian,
    mean_gaussian_distance,
    mean_squared_distance,
)


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("d", [1, 2, 16, 128])
def test_mean_distance_is_that_of_the_noncentral_chi_law(d):
    s = np.array([0.0, 1e-6, 1e-3, 1.0, 25.0, 900.0, 1e8])
    scale = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    expected = scale * special.hyp1f1(-0.5, d / 2, -s / 2)
    assert mean_distance_to_gaussian(s, d) == pytest.approx(expected, rel=1e-10)


def test_mean_distances_by_monte_carlo():
    z, other = normal(200_000, 5), normal(200_000, 5, 1)
    distance = (z - other).norm(dim=1)
    error = 5 * distance.std().item() / math.sqrt(len(z))
    assert mean_gaussian_distance(5) == pytest.approx(distance.mean().item(), abs=error)
    x = torch.tensor([0.5, -2.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    distance = (z - x).norm(dim=1)
    exact = mean_distance_to_gaussian(x.square().sum()[None].numpy(), 5)[0]
    assert exact == pytest.approx(distance.mean().item(), abs=error)


def test_mean_distance_in_many_dimensions_does_not_overflow():
    found = mean_distance_to_gaussian(np.array([900.0]), 1000)[0]
    # |x - Z| has a variance below 1: its mean is near the root of its mean square.
    assert math.sqrt(1899) < found < math.sqrt(1900)


def test_energy_distance_is_that_of_a_large_reference_sample():
    z, reference = 1.5 * normal(300, 3) + 0.2, normal(4000, 3, 1)
    between = torch.cdist(z, reference).mean()
    within = torch.pdist(reference).mean()  # without the zeros: an unbiased mean of E|Z - Z'|
    sampled = 2 * between - within - torch.cdist(z, z).mean()
    assert energy_distance(z) == pytest.approx(sampled.item(), abs=0.02)


def test_one_point_twice_has_a_known_energy_distance():
    # 2 E|Z| - E|Z - Z'| - 0 with E|Z| = sqrt(2/pi), E|Z - Z'| = 2/sqrt(pi).
    expected = 2 * math.sqrt(2 / math.pi) - 2 / math.sqrt(math.pi)
    assert energy_distance(torch.zeros(2, 1)) == pytest.approx(expected, abs=1e-10)


def test_sliced_distance_on_a_line_is_the_transport_cost():
    z = normal(7, 1)
    u = (np.arange(700_000) + 0.5) / 700_000
    cost = np.mean((np.repeat(np.sort(z[:, 0]), 100_000) - special.ndtri(u)) ** 2)
    assert sliced_wasserstein(z) == pytest.approx(math.sqrt(cost), rel=1e-3)
    assert sliced_wasserstein(torch.zeros(10, 1)) == pytest.approx(1.0)  # all mass to one point


def test_a_far_shift_costs_its_length_in_every_direction():
    z = normal(4000, 3) + torch.tensor([5.0, 0.0, 0.0])
    assert sliced_wasserstein(z, projections=2000) == pytest.approx(5 / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("n", [2, 3, 50, 2001])
def test_mean_squared_distance_is_what_samples_give(n):
    if n == 2:  # E max = 1/sqrt(pi), m = 1/sqrt(2 pi)
        assert mean_squared_distance(2) == pytest.approx(2 - 2 * math.sqrt(2) / math.pi, abs=1e-9)
    found = np.array([sliced_wasserstein(normal(n, 1, seed)) ** 2 for seed in range(200)])
    error = 5 * found.std(ddof=1) / math.sqrt(200)
    assert mean_squared_distance(n) == pytest.approx(found.mean(), abs=error)


def test_invariances():
    z = normal(200, 4) * torch.tensor([1.0, 2.0, 1.0, 0.5])
    mixed = z[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    rotation = torch.linalg.qr(normal(4, 4, 3)).Q
    assert energy_distance(mixed @ rotation) == pytest.approx(energy_distance(z), abs=1e-10)
    assert sliced_wasserstein(mixed) == pytest.approx(sliced_wasserstein(z), abs=1e-12)
    assert sliced_wasserstein(z.float()) == pytest.approx(sliced_wasserstein(z), abs=1e-6)
    assert sliced_wasserstein(z, seed=1) != sliced_wasserstein(z)


@pytest.mark.parametrize(
    ("distance", "band"),
    [(energy_distance, energy_band), (sliced_wasserstein, sliced_wasserstein_band)],
)
@pytest.mark.parametrize(("n", "d"), [(40, 1), (900, 3), (700, 24)])
def test_bands_hold_for_true_samples_and_exclude_others(distance, band, n, d):
    low, high = band(n, d)
    assert 0 <= low < high
    found = np.array([distance(normal(n, d, seed)) for seed in range(1000, 1060)])
    # At 2.5 % on each side, eight of sixty outside has a probability below 1e-3 per side.
    assert (found < low).sum() <= 6
    assert (found > high).sum() <= 6
    assert distance(3 * normal(n, d)) > high
    assert distance(normal(n, d) + 1) > high


def test_directions_have_nothing_to_do_with_a_sample_of_the_same_seed():
    # With the same generator the first hundred points would lie along the hundred directions.
    z = torch.randn(100, 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    low, high = sliced_wasserstein_band(100, 64)
    assert low < sliced_wasserstein(z, seed=3) < high


@pytest.mark.parametrize(
    ("distance", "band"),
    [(energy_distance, energy_band), (sliced_wasserstein, sliced_wasserstein_band)],
)
def test_of_few_points_a_twentieth_lies_outside_the_band(distance, band):
    """Where a mean that is off by one point is off by much."""
    low, high = band(3, 4)
    generator = torch.Generator().manual_seed(7)
    values = [distance(torch.randn(3, 4, generator=generator)) for _ in range(1000)]
    assert 0.01 < np.mean(np.array(values) < low) < 0.05
    assert 0.01 < np.mean(np.array(values) > high) < 0.05


def test_too_even_a_sample_falls_below_the_band():
    u = (torch.arange(100, dtype=torch.float64) + 0.5) / 100
    even = torch.special.ndtri(u)[:, None]
    assert sliced_wasserstein(even) < sliced_wasserstein_band(100, 1).low
    assert energy_distance(even) < energy_band(100, 1).low


def test_spherical_codes_in_many_dimensions_escape_the_sliced_distance_only():
    z = normal(2000, 64)
    sphere = 8 * z / z.norm(dim=1, keepdim=True)
    high = sliced_wasserstein_band(2000, 64).high
    assert sliced_wasserstein(sphere) < high
    assert stats.kstest(sphere.square().sum(1).numpy(), "chi2", (64,)).statistic > 0.4


@pytest.mark.parametrize("distance", [energy_distance, sliced_wasserstein])
@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.zeros(5), "n x d"),
        (torch.zeros(5, 0), "empty"),
        (torch.zeros(1, 3), "n must be at least 2"),
        (torch.tensor([[0.0], [math.nan]]), "1 of 2 rows of z hold NaN or infinity"),
        (torch.tensor([[0.0], [math.inf]]), "1 of 2 rows of z hold NaN or infinity"),
    ],
)
def test_no_sample_no_distance(distance, z, message):
    with pytest.raises(ValueError, match=message):
        distance(z)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy_band(1, 3), "n must be a whole number of at least 2"),
        (lambda: energy_band(5, 0), "d must be a whole number"),
        (lambda: sliced_wasserstein_band(1, 3), "n must be a whole number of at least 2"),
        (lambda: sliced_wasserstein(torch.zeros(3, 2), projections=0), "projections must be"),
        (lambda: sliced_wasserstein_band(5, 3, projections=0), "projections must be"),
        (lambda: mean_squared_distance(1), "n must be a whole number of at least 2"),
        (lambda: mean_gaussian_distance(0), "d must be a whole number"),
        (lambda: mean_distance_to_gaussian(np.zeros(1), 0), "d must be a whole number"),
        (lambda: sliced_wasserstein_band(5, 0), "d must be a whole number"),
    ],
)
def test_impossible_sizes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_tensor_is_a_type_error():
    with pytest.raises(TypeError, match=r"torch\.as_tensor"):
        energy_distance(np.zeros((3, 2)))
    with pytest.raises(TypeError, match="floating point"):
        sliced_wasserstein(torch.zeros(3, 2, dtype=torch.int64))
