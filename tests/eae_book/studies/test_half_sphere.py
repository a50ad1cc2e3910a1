"""Decoders of the half-sphere."""

import math
from typing import get_args

import pytest
import torch

from eae_book.studies.half_sphere import (
    HALF_SPHERE_ENTROPY,
    HalfSphere,
    half_sphere,
    half_sphere_moments,
    half_sphere_stretch,
)
from eae_core.entropy.jacobian import jacobian_singular_values

NAMES = get_args(HalfSphere)


def codes(n):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_the_image_is_uniform_on_the_half_sphere(name):
    x = half_sphere(name)(codes(20_000))
    assert torch.allclose(x.norm(dim=1), torch.ones(20_000).double(), atol=1e-12)
    height, angle = x[:, 2], torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) + 0.5
    for uniform in (height, angle):
        assert 0 <= float(uniform.min()) < float(uniform.max()) <= 1
        gap = uniform.sort().values - (torch.arange(20_000).double() + 0.5) / 20_000
        assert float(gap.abs().max()) < 1.95 / math.sqrt(20_000)  # Kolmogorov, one in a thousand
    corner = torch.corrcoef(torch.stack([height, (4 * math.pi * angle).cos()]))[0, 1]
    assert abs(float(corner)) < 4 / math.sqrt(20_000)


@pytest.mark.parametrize("name", NAMES)
def test_the_stretch_is_that_of_the_jacobian(name):
    z = codes(500)
    stretch = half_sphere_stretch(name, z)
    found = jacobian_singular_values(half_sphere(name), z)
    assert torch.allclose(stretch.sort(1, descending=True).values, found, rtol=1e-8, atol=0)
    # Equal areas: the volume is 2 pi times the density of the code.
    assert torch.allclose(stretch.log().sum(1), -z.square().sum(1) / 2, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_the_moments_are_those_of_many_codes(name):
    z = codes(200_000)
    for scale in (0.5, 0.1, 0.01):
        mean, spread = half_sphere_moments(name, scale)
        volume = torch.hypot(half_sphere_stretch(name, z), torch.tensor(scale).double())
        values = HALF_SPHERE_ENTROPY + volume.log().sum(1) + z.square().sum(1) / 2
        assert float(values.mean()) == pytest.approx(mean, abs=4 * spread / math.sqrt(200_000))
        assert float(values.std()) == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_without_noise_the_entropy_is_the_true_one(name):
    means = [half_sphere_moments(name, scale)[0] for scale in (1e-2, 1e-4, 1e-6)]
    assert means == sorted(means, reverse=True)
    assert means[2] == pytest.approx(math.log(2 * math.pi), abs=1e-6)


def test_other_names_and_scales_are_refused():
    for call in (half_sphere, lambda name: half_sphere_moments(name, 0.1)):
        with pytest.raises(ValueError, match="pole, rim, cdf"):
            call("equator")
    for scale in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="above 0"):
            half_sphere_moments("pole", scale)
