"""The report accepts Gaussian codes and names what is wrong with others."""

import math

import pytest
import torch
from scipy import stats

from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.evaluation import (
    energy_band,
    energy_distance,
    gaussianity_report,
    norm_band,
    norm_distance,
    sliced_wasserstein,
    sliced_wasserstein_band,
)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def within(value: float, band: tuple[float, float]) -> bool:
    return band[0] < value < band[1]


def test_gaussian_codes_pass():
    n, d = 4000, 8
    report = gaussianity_report(normal(n, d))
    assert report.worst_ks < report.ks_threshold
    assert report.largest_mean < 5 / math.sqrt(n)  # five standard errors, eight coordinates
    assert report.largest_correlation < 5 / math.sqrt(n)
    # Standard errors of skewness and kurtosis of Gaussian samples.
    assert report.largest_skewness < 5 * math.sqrt(6 / n)
    assert report.largest_kurtosis < 5 * math.sqrt(24 / n)
    assert report.mean_norm == pytest.approx(report.expected_norm, abs=5 * 0.7 / math.sqrt(n))
    assert within(report.norm_ks, report.norm_ks_band)
    assert within(report.sliced_wasserstein, report.sliced_wasserstein_band)
    assert within(report.energy_distance, report.energy_distance_band)
    # The estimate has a standard deviation of about sqrt(d / 2 n).
    assert abs(report.entropy_gap) < 5 * math.sqrt(d / (2 * n))


def test_expected_values_are_exact():
    report = gaussianity_report(normal(50, 5), k=3)
    assert report.expected_norm == pytest.approx(stats.chi(5).mean())
    assert report.expected_norm_sd == pytest.approx(stats.chi(5).std())
    assert report.gaussian_entropy == expected_gaussian_estimate(5, 50, 3)


def test_third_and_fourth_moments_are_scipys():
    z = normal(60, 3).exp()
    report = gaussianity_report(z)
    assert report.largest_skewness == pytest.approx(abs(stats.skew(z.numpy())).max())
    assert report.largest_kurtosis == pytest.approx(abs(stats.kurtosis(z.numpy())).max())


def test_fields_are_those_of_the_functions():
    z = normal(300, 3).float()
    report = gaussianity_report(z, seed=4)
    assert report.norm_ks == norm_distance(z)
    assert report.norm_ks_band == norm_band(300)
    assert report.sliced_wasserstein == sliced_wasserstein(z, seed=4)
    assert report.sliced_wasserstein_band == sliced_wasserstein_band(300, 3, seed=4)
    assert report.energy_distance == energy_distance(z)
    assert report.energy_distance_band == energy_band(300, 3)


def test_names_what_is_not_gaussian():
    z = normal(2000, 4)
    sphere = 2 * z / z.norm(dim=1, keepdim=True)
    report = gaussianity_report(sphere)
    assert report.norm_sd < 1e-6
    assert report.norm_ks > 10 * report.norm_ks_band.high
    assert report.entropy_gap > 1
    cube = (2 * torch.special.ndtr(z) - 1) * math.sqrt(3)
    report = gaussianity_report(cube)
    assert report.worst_ks > 2 * report.ks_threshold
    assert report.smallest_variance == pytest.approx(1, abs=0.1)
    assert report.sliced_wasserstein > report.sliced_wasserstein_band.high
    shifted = gaussianity_report(z + 0.3)
    assert shifted.largest_mean == pytest.approx(0.3, abs=0.1)
    assert shifted.energy_distance > shifted.energy_distance_band.high
    tied = gaussianity_report(torch.cat([z, z[:, :1] + 0.1 * normal(2000, 1, 1)], 1))
    assert tied.largest_correlation > 0.98


def test_table_shows_codes_beside_the_gaussian():
    report = gaussianity_report(normal(300, 3))
    head, *rows = report.table().splitlines()
    assert "300 codes, d = 3" in head
    assert len({len(line) for line in [head, *rows]}) == 1
    columns = {row[:38].strip(): row[38:].split(maxsplit=1) for row in rows}
    entropy = [f"{report.entropy:.3f}", f"{report.gaussian_entropy:.3f}"]
    assert columns["k-NN entropy (nats)"] == entropy
    low, high = report.energy_distance_band
    energy = [f"{report.energy_distance:.5f}", f"{low:.5f} to {high:.5f}"]
    assert columns["energy distance"] == energy
    worst = [f"{report.worst_ks:.3f}", f"below {report.ks_threshold:.3f}"]
    assert columns["worst KS distance of a coordinate"] == worst


def test_one_dimension_and_bad_codes():
    assert gaussianity_report(normal(100, 1)).largest_correlation == 0
    for bad, message in (
        (torch.rand(10), "n x d"),
        (torch.rand(1, 3), "k must lie in"),
        (torch.tensor([[0.0], [math.nan], [1.0]]), "NaN or infinity"),
        (torch.zeros(4, 2), "coincide"),
    ):
        with pytest.raises(ValueError, match=message):
            gaussianity_report(bad)
