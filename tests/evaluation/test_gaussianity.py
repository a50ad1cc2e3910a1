"""The report accepts Gaussian codes and names what is wrong with others."""

import math

import pytest
import torch
from scipy import stats

from eae_core.evaluation import gaussianity_report


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gaussian_codes_pass():
    n, d = 4000, 8
    report = gaussianity_report(normal(n, d))
    assert report.worst_ks < report.ks_threshold
    assert report.largest_mean < 5 / math.sqrt(n)  # five standard errors, eight coordinates
    assert report.largest_correlation < 5 / math.sqrt(n)
    assert report.mean_norm == pytest.approx(report.expected_norm, abs=5 * 0.7 / math.sqrt(n))
    # The estimate has standard deviation of about sqrt(d / 2 n): two independent ones differ.
    assert abs(report.entropy_gap) < 5 * math.sqrt(d / n)


def test_expected_norms_are_those_of_the_chi_law():
    report = gaussianity_report(normal(50, 5))
    assert report.expected_norm == pytest.approx(stats.chi(5).mean())
    assert report.expected_norm_sd == pytest.approx(stats.chi(5).std())


def test_names_what_is_not_gaussian():
    z = normal(2000, 4)
    sphere = 2 * z / z.norm(dim=1, keepdim=True)
    report = gaussianity_report(sphere)
    assert report.norm_sd < 1e-6
    assert report.entropy_gap > 1
    cube = (2 * torch.special.ndtr(z) - 1) * math.sqrt(3)
    report = gaussianity_report(cube)
    assert report.worst_ks > 2 * report.ks_threshold
    assert report.smallest_variance == pytest.approx(1, abs=0.1)
    shifted = gaussianity_report(z + 0.3)
    assert shifted.largest_mean == pytest.approx(0.3, abs=0.1)
    tied = gaussianity_report(torch.cat([z, z[:, :1] + 0.1 * normal(2000, 1, 1)], 1))
    assert tied.largest_correlation > 0.98


def test_table_shows_codes_beside_the_gaussian():
    report = gaussianity_report(normal(300, 3))
    lines = report.table().splitlines()
    assert "300 codes, d = 3" in lines[0]
    (entropy,) = [line for line in lines if "entropy" in line]
    assert entropy.split()[-2:] == [f"{report.entropy:.3f}", f"{report.gaussian_entropy:.3f}"]


def test_one_dimension_and_bad_codes():
    assert gaussianity_report(normal(100, 1)).largest_correlation == 0
    with pytest.raises(ValueError, match="n x d"):
        gaussianity_report(torch.rand(10))
