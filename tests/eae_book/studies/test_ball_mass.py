"""The mass of a Gaussian in a ball, against SciPy's laws and against quadrature."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from eae_book.studies.ball_mass import log_mass_over_flat_mass
from eae_core.entropy import unit_ball_log_volume


def ratio(variances, offsets, radius):
    """For one ball."""
    found = log_mass_over_flat_mass(
        np.array([variances], dtype=float), np.array([offsets], dtype=float), np.array([radius])
    )
    assert found.shape == (1,)
    return float(found[0])


def log_flat_mass(variances, offsets, radius):
    """log g(c) V_d r^d"""
    log_density = stats.norm.logpdf(offsets, scale=np.sqrt(variances)).sum()
    d = len(variances)
    return log_density + unit_ball_log_volume(d) + d * math.log(radius)


@pytest.mark.parametrize("radius", [1e-3, 0.5, 2.0, 6.0, 20.0])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("d", [1, 2, 8, 64])
def test_equal_variances_are_the_noncentral_chi_square_law(d, scale, radius):
    offsets = np.random.default_rng(d).normal(size=d) * scale
    variances = np.full(d, scale**2)
    log_mass = stats.ncx2.logcdf((radius / scale) ** 2, d, (offsets**2).sum() / scale**2)
    expected = log_mass - log_flat_mass(variances, offsets, radius)
    # SciPy's own law keeps about ten digits in its far tail.
    assert ratio(variances, offsets, radius) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("offset", [0.0, 0.7, 5.0, 30.0])
@pytest.mark.parametrize("radius", [1e-4, 0.3, 3.0, 40.0])
def test_an_interval_is_a_difference_of_normal_probabilities(offset, radius):
    # From the side where both are small; at 1e-4 the difference keeps ten of its digits.
    mass = stats.norm.cdf(radius - offset) - stats.norm.cdf(-radius - offset)
    expected = math.log(mass) - log_flat_mass([1.0], [offset], radius)
    assert ratio([1.0], [offset], radius) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("narrow", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("offsets", [(0.0, 0.0), (0.4, -0.05), (-1.5, 0.1)])
@pytest.mark.parametrize("radius", [0.05, 0.8])
def test_a_disc_by_quadrature(narrow, offsets, radius):
    variances = (1.0, narrow**2)

    def strip(x):
        """Density at x along the first axis, times the mass of the chord across it."""
        half = math.sqrt(radius**2 - x**2)
        chord = [(side * half - offsets[1]) / narrow for side in (-1, 1)]
        return stats.norm.pdf(x - offsets[0]) * (
            stats.norm.cdf(chord[1]) - stats.norm.cdf(chord[0])
        )

    # Chords shrink within `narrow` of the ends.
    breaks = [-radius, *(s * radius * (1 - narrow) for s in (-1, 1)), radius]
    mass = sum(
        integrate.quad(strip, a, b, epsabs=0, epsrel=1e-11, limit=200)[0]
        for a, b in itertools.pairwise(breaks)
        if b > a
    )
    expected = math.log(mass) - log_flat_mass(variances, offsets, radius)
    assert ratio(variances, offsets, radius) == pytest.approx(expected, abs=1e-8)


def test_unequal_variances_in_many_dimensions_by_drawing():
    rng = np.random.default_rng(0)
    variances, offsets, radius = np.logspace(-1, 1, 6), rng.normal(size=6) * 0.5, 0.9
    points = rng.normal(size=(200_000, 6))
    points *= (
        radius
        * rng.random((len(points), 1)) ** (1 / 6)
        / np.linalg.norm(points, axis=1, keepdims=True)
    )  # uniform in the ball
    over_center = np.exp((-((points - offsets) ** 2) + offsets**2) @ (0.5 / variances))
    error = over_center.std() / math.sqrt(len(points)) / over_center.mean()
    expected = math.log(over_center.mean())
    assert ratio(variances, offsets, radius) == pytest.approx(expected, abs=5 * error)


def test_a_small_ball_sees_a_flat_density():
    # To second order the ratio is r^2 / (2 (d + 2)) times the Laplacian of g over g.
    variances, offsets, r = np.array([1.0, 4.0, 0.5]), np.array([0.3, 1.0, -0.6]), 1e-3
    laplacian = ((offsets / variances) ** 2 - 1 / variances).sum()
    expected = r**2 / (2 * 5) * laplacian
    assert ratio(variances, offsets, r) == pytest.approx(expected, rel=1e-4)


def test_a_large_ball_holds_everything():
    variances, offsets = np.array([1.0, 4.0, 0.5]), np.array([0.3, 1.0, -0.6])
    expected = 0.0 - log_flat_mass(variances, offsets, 50.0)
    assert ratio(variances, offsets, 50.0) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("d", [2, 64, 300])
def test_masses_beyond_the_range_of_floats(d):
    # At 5,000 standard deviations an axis the density is exp(-1.25e7 d). Over a ball as small as
    # this it is exponential along the line to the peak; its mean is a Bessel function.
    offset, r = 5000.0, 1e-4
    slope = offset * math.sqrt(d) * r
    expected = math.log(special.hyp0f1(0.5 * d + 1, 0.25 * slope**2))
    assert ratio(np.ones(d), np.full(d, offset), r) == pytest.approx(expected, abs=1e-8)
    assert math.isfinite(ratio(np.ones(d), np.full(d, 50.0), 3.0))


def test_every_ball_is_summed_to_its_own_end():
    # Balls of very different size side by side give what each gives alone.
    rng = np.random.default_rng(1)
    variances = np.exp(rng.normal(size=(40, 3)))
    offsets, radii = rng.normal(size=(40, 3)), np.exp(rng.normal(size=40) * 1.5)
    together = log_mass_over_flat_mass(variances, offsets, radii)
    alone = [ratio(*one) for one in zip(variances, offsets, radii, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-11)


@pytest.mark.parametrize("narrow", [0.0099, 1e-3, 1e-7])
@pytest.mark.parametrize("deviations", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("others", [1, 7])
def test_a_direction_far_narrower_than_the_ball_is_integrated_out(narrow, deviations, others):
    # Gauss-Hermite sums across the narrow direction, the noncentral chi-square law for the others.
    variances, offsets = [narrow**2] + [1.0] * others, [deviations * narrow] + [0.4] * others
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    left = np.maximum(0.64 - (narrow * (deviations + node)) ** 2, 0)
    mass = weight @ stats.ncx2.cdf(left, others, others * 0.16) / weight.sum()
    expected = math.log(mass) - log_flat_mass(variances, offsets, 0.8)
    assert ratio(variances, offsets, 0.8) == pytest.approx(expected, abs=1e-4 * (others + 1) / 2)


def test_a_ball_too_wide_for_the_series_is_refused():
    with pytest.raises(ValueError, match=r"1000 times as wide as the narrowest .* limit is 316"):
        ratio([1.0, 1e-6], [0.0, 0.1], 1.0)  # a hundred deviations from the plane of the others
