"""Norms, axes and quantiles: exact laws under N(0, I)."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from eae_book.studies.quantiles import normal_quantiles
from eae_core.evaluation import (
    axis_distances,
    axis_threshold,
    norm_band,
    norm_distance,
)


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_norms_of_gaussian_codes_stay_in_the_band():
    low, high = norm_band(50)
    found = np.array([norm_distance(normal(50, 4, seed)) for seed in range(200)])
    # 5 of 200 expected on each side; 15 has a probability below 2e-4.
    assert (found < low).sum() < 15
    assert (found > high).sum() < 15


def test_norms_see_a_shell_a_scale_and_a_core():
    z = normal(1000, 16)
    high = norm_band(1000).high
    shell = 4 * z / z.norm(dim=1, keepdim=True)
    core = torch.cat([0.5 * z[:500], 1.3 * z[500:]])
    for other in (shell, 1.1 * z, core):
        assert norm_distance(other) > 2 * high
    rotated = z @ torch.linalg.qr(normal(16, 16, 1)).Q
    assert norm_distance(rotated) == pytest.approx(norm_distance(z), abs=1e-12)


def test_norm_distance_in_one_dimension_by_hand():
    # |0|^2 twice: the empirical law jumps to 1 at 0, where chi-square is 0.
    assert norm_distance(torch.zeros(2, 1)) == 1.0


def test_axis_distances_are_those_of_scipy_and_find_the_odd_axis():
    z = normal(500, 3)
    z[:, 1] = z[:, 1].abs()
    found = axis_distances(z)
    expected = [stats.ks_1samp(column, stats.norm.cdf).statistic for column in z.T.numpy()]
    assert found == pytest.approx(expected)
    assert found.argmax() == 1
    assert found[1] > axis_threshold(500, 3) > max(found[0], found[2])


def test_threshold_holds_the_level_over_all_axes():
    threshold = axis_threshold(60, 8)
    worst = np.array([axis_distances(normal(60, 8, seed)).max() for seed in range(100)])
    assert (worst > threshold).sum() <= 12  # 5 expected, 13 has a probability below 2e-3
    assert axis_threshold(60, 1) < threshold < axis_threshold(60, 8, level=0.01)


def test_quantiles_of_a_gaussian_lie_on_the_diagonal_within_the_band():
    q = normal_quantiles(normal(5000, 2))
    assert q.observed.shape == (len(q.expected), 2)
    assert len(q.expected) <= 200
    assert (np.diff(q.expected) > 0).all()
    assert (q.low < q.expected).all()
    assert (q.expected < q.high).all()
    assert q.observed[0].tolist() == normal(5000, 2).amin(0).tolist(), "the tails are shown"
    assert q.observed[-1].tolist() == normal(5000, 2).amax(0).tolist()


def test_every_rank_leaves_its_band_in_a_twentieth_of_all_samples():
    q = normal_quantiles(normal(200, 400), points=9)  # 400 samples of 200, one an axis
    for observed, low, high in zip(q.observed, q.low, q.high, strict=True):
        # 10 of 400 expected on each side; 24 or 0 have a probability below 1e-4.
        assert 0 < (observed < low).sum() < 24
        assert 0 < (observed > high).sum() < 24


def test_the_band_of_a_rank_is_that_of_its_order_statistic():
    q = normal_quantiles(normal(5, 1))
    smallest = np.array([normal(5, 1, seed).min().item() for seed in range(2000)])
    below, above = (smallest < q.low[0]).mean(), (smallest > q.high[0]).mean()
    assert below == pytest.approx(0.025, abs=0.015)  # four standard errors
    assert above == pytest.approx(0.025, abs=0.015)


def test_quantiles_of_a_shifted_and_scaled_code_move_as_it_does():
    z = normal(300, 1)
    q, moved = normal_quantiles(z, points=20), normal_quantiles(3 * z + 1, points=20)
    assert moved.observed == pytest.approx(3 * q.observed + 1)
    assert moved.expected == pytest.approx(q.expected)


@pytest.mark.parametrize("function", [axis_distances, norm_distance, normal_quantiles])
@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.zeros(4), "n x d"),
        (torch.zeros(1, 4), "n must be at least 2"),
        (torch.tensor([[0.0], [math.nan]]), "NaN or infinity"),
    ],
)
def test_no_sample_no_statistic(function, z, message):
    with pytest.raises(ValueError, match=message):
        function(z)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: norm_band(1), "n must be a whole number of at least 2"),
        (lambda: axis_threshold(10, 0), "d must be a whole number"),
        (lambda: axis_threshold(10, 2, level=0.0), "level must lie between 0 and 1"),
        (lambda: normal_quantiles(torch.zeros(3, 1), points=1), "at least 2 points"),
    ],
)
def test_impossible_sizes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
