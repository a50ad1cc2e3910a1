"""Every shape has the moments of N(0, I), and the entropy it says."""

import math

import pytest
import torch
from scipy import integrate, stats

from eae_book.studies.shapes import corners, half_rank, sphere, unit_shapes
from eae_core.entropy import gaussian_entropy_bound


@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_moments_are_those_of_the_standard_gaussian(d):
    for name, law in unit_shapes(d).items():
        z = law.sample(20_000, generator=torch.Generator().manual_seed(1))
        assert z.shape == (20_000, d)
        # Five standard errors; the fourth moment of a Laplace coordinate is 6.
        assert z.mean(0).abs().max() < 5 / math.sqrt(20_000), name
        assert (z.var(0) - 1).abs().max() < 5 * math.sqrt(5 / 20_000), name
        assert torch.equal(law.mean, torch.zeros(d, dtype=torch.float64))
        assert torch.equal(law.variance, torch.ones(d, dtype=torch.float64))


@pytest.mark.parametrize("d", [2, 16])
def test_only_the_gaussian_reaches_the_bound(d):
    laws = unit_shapes(d)
    assert next(iter(laws)) == "Gaussian"
    assert laws.pop("Gaussian").entropy == gaussian_entropy_bound(d)
    assert all(law.entropy < gaussian_entropy_bound(d) - 0.1 for law in laws.values())


def test_entropy_of_blurred_corners_is_that_of_the_mixture():
    jitter = 0.1
    mixture = [stats.norm(side, jitter) for side in (-1, 1)]

    def surprise(x):
        p = 0.5 * sum(part.pdf(x) for part in mixture)
        return -p * math.log(p)

    value = 2 * integrate.quad(surprise, 0, 2, points=[1], epsabs=1e-12)[0]
    assert corners(1, jitter=jitter).entropy == pytest.approx(value, abs=1e-8)
    assert corners(7, jitter=jitter).entropy == pytest.approx(7 * value, abs=1e-7)


def test_what_has_no_density():
    z = sphere(5).sample(100, generator=torch.Generator().manual_seed(0))
    assert z.norm(dim=1).numpy() == pytest.approx(math.sqrt(5))
    z = half_rank(9).sample(100, generator=torch.Generator().manual_seed(0))
    assert torch.linalg.matrix_rank(z) == 5
    assert sphere(5).entropy == half_rank(9).entropy == -math.inf
    assert half_rank(1).entropy == gaussian_entropy_bound(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unit_shapes(0), "dimension must be a whole number"),
        (lambda: corners(2, jitter=0.0), r"jitter must lie in \(0, 0.1\]"),
        (lambda: corners(2, jitter=1.0), r"jitter must lie in \(0, 0.1\]"),
    ],
)
def test_impossible_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
