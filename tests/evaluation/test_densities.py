"""Densities of codes against closed forms, scikit-learn, and the laws of scale and shift."""

import math

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from eae_core.evaluation.densities import (
    DENSITIES,
    DegenerateCodesError,
    Density,
    codes_needed,
    fit_density,
)


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ring(n: int, d: int = 2, seed: int = 0) -> torch.Tensor:
    """Ten narrow Gaussians, one after the other, on a circle of radius 10; the rest are noise."""
    z = 0.3 * normal(n, d, seed)
    angle = 2 * math.pi * (torch.arange(n) % 10) / 10
    z[:, 0] += 10 * angle.cos()
    z[:, 1] += 10 * angle.sin()
    return z


def test_standard_is_the_standard_gaussian():
    density = fit_density("standard", 5 + normal(10, 3))
    z = normal(50, 3)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(density.log_density(z), expected)


def test_gaussian_has_the_codes_moments():
    codes = normal(500, 4) @ normal(4, 4, 1) + 7
    density = fit_density("gaussian", codes, reg_covar=0)
    law = torch.distributions.MultivariateNormal(codes.mean(0), torch.cov(codes.T))
    torch.testing.assert_close(density.log_density(codes), law.log_prob(codes))


def test_mixture_is_scikit_learns_on_the_scaled_codes():
    codes = 4 * ring(400, 3) - 20
    density = fit_density("mixture", codes, seed=3)
    centre, scale = codes.mean(0), codes.var(0).mean().sqrt()
    mixture = GaussianMixture(10, max_iter=2000, random_state=3).fit((codes - centre) / scale)
    expected = mixture.score_samples((codes - centre) / scale) - 3 * math.log(scale)
    np.testing.assert_allclose(density.log_density(codes).numpy(), expected, rtol=1e-8)
    assert density.iterations == mixture.n_iter_


def test_mixture_finds_the_components():
    density = fit_density("mixture", ring(3000))
    radius = density.means.norm(dim=1)
    angle = torch.atan2(density.means[:, 1], density.means[:, 0]).sort().values
    # 300 codes a component of deviation 0.3: five standard errors of a mean are 0.087.
    assert (radius - 10).abs().max() < 0.087
    assert (angle.diff() - 2 * math.pi / 10).abs().max() < 2 * 0.0087
    torch.testing.assert_close(density.weights, torch.full((10,), 0.1).double(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("d", [1, 2])
def test_density_integrates_to_one(name, d):
    # Overlapping components, so that a grid of step 0.1 sees them all.
    density = fit_density(name, normal(400, d))
    t = torch.arange(-8, 8, 0.1, dtype=torch.float64)
    grid = torch.cartesian_prod(*[t] * d).reshape(-1, d)
    total = density.log_density(grid).exp().sum() * 0.1**d
    narrowest = density.factors.diagonal(dim1=1, dim2=2).min()
    assert narrowest > 0.08  # a trapezoid sum is exact to 1e-9 for a step of 1.25 deviations
    assert total.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_have_the_moments_of_the_density(name):
    density = fit_density(name, ring(2000, 3) + 1)
    n = 20_000
    z = density.sample(n, seed=5).double()
    mean = density.weights @ density.means
    spread = density.means - mean
    within = torch.einsum("c,cij,ckj->ik", density.weights, density.factors, density.factors)
    covariance = within + torch.einsum("c,ci,cj->ij", density.weights, spread, spread)
    sd = covariance.diagonal().sqrt()
    assert ((z.mean(0) - mean).abs() < 5 * sd / math.sqrt(n)).all()
    # var(x y) <= sqrt(E x^4 E y^4), and a fourth moment is at most 3 sd^4 for each law here
    # (a Gaussian's; a law spread over a circle has a smaller one).
    band = 5 * math.sqrt(3 / n) * torch.outer(sd, sd)
    assert ((torch.cov(z.T) - covariance).abs() < band).all()


def test_samples_come_in_random_order():
    """scikit-learn returns all of the first component, then all of the second, ..."""
    density = fit_density("mixture", ring(1000))
    z = density.sample(2000, seed=0).double()
    nearest = torch.cdist(z, density.means).argmin(1)
    same = (nearest[1:] == nearest[:-1]).double().mean().item()
    assert abs(same - 0.1) < 5 * math.sqrt(0.1 * 0.9 / 2000)
    # The numbers from each component are multinomial, not rounded shares.
    counts = nearest.bincount(minlength=10).double()
    assert counts.std() > 0
    assert (counts - 200).abs().max() < 5 * math.sqrt(2000 * 0.1 * 0.9)


def test_seed_decides_and_the_global_generators_are_left_alone():
    codes = ring(500)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 (the legacy generator is what scikit-learn falls back on)
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = fit_density("mixture", codes, seed=2).sample(50, seed=4)
    assert torch.equal(torch.rand(1), expected[0])
    assert np.random.rand() == expected[1]  # noqa: NPY002
    assert torch.equal(first, fit_density("mixture", codes, seed=2).sample(50, seed=4))
    assert not torch.equal(first, fit_density("mixture", codes, seed=2).sample(50, seed=5))
    assert first.dtype == torch.float32


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_scale_and_shift(name, scale):
    """Codes that are scaled and shifted give samples that are, down to tiny codes."""
    codes = ring(500)
    plain = fit_density(name, codes).sample(100, seed=0).double()
    moved = fit_density(name, scale * (codes + 3)).sample(100, seed=0).double()
    torch.testing.assert_close(moved / scale - 3, plain, atol=1e-4, rtol=1e-4)


def test_smallest_numbers_of_codes():
    for d in (1, 3, 20):
        assert codes_needed("standard", d) == 1
        needed = codes_needed("gaussian", d)
        assert needed == d + 1
        fit_density("gaussian", normal(max(needed, 2), d))
        with pytest.raises(ValueError, match=f"at least {codes_needed('mixture', d)} codes"):
            fit_density("mixture", normal(codes_needed("mixture", d) - 1, d))
    # The paper's own setting must pass: 40,000 codes in 128 dimensions.
    assert codes_needed("mixture", 128) < 40_000


def test_codes_in_a_subspace():
    flat = torch.cat([normal(200, 2), torch.zeros(200, 1)], 1)
    for name in ("gaussian", "mixture"):
        with pytest.raises(DegenerateCodesError, match="reg_covar"):
            fit_density(name, flat, reg_covar=0)
        assert fit_density(name, flat).sample(100, seed=0)[:, 2].abs().max() < 0.01
    tied = normal(200, 2)
    tied = torch.cat([tied, tied.sum(1, keepdim=True)], 1).float()  # singular up to rounding
    with pytest.raises(DegenerateCodesError, match="reg_covar"):
        fit_density("gaussian", tied, reg_covar=0)
    for name in ("gaussian", "mixture"):
        with pytest.raises(DegenerateCodesError, match="equal"):
            fit_density(name, torch.ones(200, 3))


def test_a_mixture_that_has_not_settled_says_so():
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        density = fit_density("mixture", normal(300, 2), max_iter=1)
    assert not density.converged
    assert fit_density("mixture", normal(300, 2)).converged


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "gausian"}, "did you mean 'gaussian'"),
        ({"name": "kde"}, "possible: standard, gaussian, mixture"),
        ({"codes": torch.full((50, 2), torch.nan)}, "NaN"),
        ({"codes": torch.rand(50)}, "n x d"),
        ({"codes": torch.rand(3, 3)}, "at least 4 codes"),
        ({"reg_covar": -1.0}, "reg_covar"),
        ({"name": "mixture", "max_iter": 0}, "max_iter"),
    ],
)
def test_refuses(change, message):
    arguments = {"name": "gaussian", "codes": normal(200, 2)} | change
    with pytest.raises(ValueError, match=message):
        fit_density(**arguments)


def test_a_density_refuses_codes_of_another_size():
    density = fit_density("standard", torch.zeros(2, 3))
    assert isinstance(density, Density)
    assert density.dimension == 3
    with pytest.raises(ValueError, match="n x 3"):
        density.log_density(torch.zeros(5, 2))
    with pytest.raises(ValueError, match="NaN"):
        density.log_density(torch.full((5, 3), torch.inf))
    with pytest.raises(ValueError, match="at least 1"):
        density.sample(0, seed=0)
