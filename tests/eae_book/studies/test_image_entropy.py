"""Entropy of a model's images: closed forms, what a change of code cannot change, faults."""

import math

import pytest
import torch
from torch import nn

from eae_book.studies.image_entropy import entropy_of_reconstructions, entropy_of_samples
from eae_core.entropy.decoder import decoder_entropy
from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.evaluation import fit_density
from eae_core.models import AE

D, PIXELS = 3, 8
GAUSSIAN = 0.5 * math.log(2 * math.pi * math.e)  # entropy of one coordinate of N(0, I)


def model(decoder):
    return AE(nn.Linear(PIXELS, D), decoder, D).eval()


@pytest.fixture(scope="module")
def linear():
    torch.manual_seed(0)
    return nn.Linear(D, PIXELS)


@pytest.fixture(scope="module")
def curved():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, 16), nn.Tanh(), nn.Linear(16, PIXELS))


def codes(n=4000, seed=0):
    """Correlated Gaussian codes away from the origin."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0, 3]])
    return torch.randn(n, D, generator=generator) @ mix.T + 5


def test_a_linear_decoder_has_a_closed_form(linear):
    metric = (linear.weight.T @ linear.weight).detach().double()
    law = fit_density("gaussian", codes())
    found = entropy_of_samples(model(linear), law, samples=5, scales=[1e-4])
    covariance = law.factors[0] @ law.factors[0].T
    code_entropy = D * GAUSSIAN + 0.5 * float(torch.logdet(covariance))
    assert found.code_entropy == pytest.approx(code_entropy, abs=1e-9)
    assert found.stretch == pytest.approx(0.5 * float(torch.logdet(metric)), abs=1e-4)
    assert found.standard_errors[0] == pytest.approx(0, abs=1e-4)


def test_n01_codes_give_the_entropy_of_the_decoder(curved):
    law = fit_density("standard", torch.zeros(2, D))
    found = entropy_of_samples(model(curved), law, samples=2000, scales=[1e-1, 1e-4], seed=3)
    for scale, entropy in zip(found.scales, found.entropies, strict=True):
        other = decoder_entropy(curved, D, samples=2000, scale=scale, seed=3)
        assert entropy == pytest.approx(other.entropy, abs=5 * other.standard_error)


def test_another_code_for_the_same_images_changes_nothing(curved):
    """Codes w = A z + b with the decoder behind the inverse map draw the same images."""
    torch.manual_seed(1)
    change = torch.randn(D, D) + 3 * torch.eye(D)
    undo = nn.Linear(D, D)
    with torch.no_grad():
        undo.weight.copy_(change.inverse())
        undo.bias.copy_(-change.inverse() @ torch.ones(D))
    z = codes()
    w = z @ change.T + 1
    plain, changed = model(curved), model(nn.Sequential(undo, curved))
    first = entropy_of_samples(plain, fit_density("gaussian", z, reg_covar=0), samples=500)
    # The Cholesky factors differ by a rotation of u, so the draws differ.
    second = entropy_of_samples(changed, fit_density("gaussian", w, reg_covar=0), samples=500)
    assert second.entropy == pytest.approx(first.entropy, abs=6 * first.standard_errors[-1])
    moved = second.code_entropy - first.code_entropy
    assert moved == pytest.approx(math.log(abs(float(change.det()))), abs=1e-3)
    assert abs(moved) > 1
    ratio = second.stretch - first.stretch
    assert ratio == pytest.approx(-moved, abs=6 * first.standard_errors[-1] + 1e-3)


def test_reconstructions_of_gaussian_codes(linear):
    z = codes()
    found = entropy_of_reconstructions(model(linear), z, samples=10)
    law = fit_density("gaussian", z)
    exact = entropy_of_samples(model(linear), law, samples=10)
    bias = expected_gaussian_estimate(D, len(z)) - D * GAUSSIAN
    assert found.entropy - bias == pytest.approx(exact.entropy, abs=0.1)
    assert found.stretch == pytest.approx(exact.stretch, abs=1e-3)


def test_scales_come_falling_and_entropy_falls_with_them(curved):
    law = fit_density("standard", torch.zeros(2, D))
    found = entropy_of_samples(model(curved), law, samples=50, scales=[1e-3, 1.0, 1e-2])
    assert found.scales == (1.0, 1e-2, 1e-3)
    assert list(found.entropies) == sorted(found.entropies, reverse=True)


def test_the_model_keeps_its_mode(curved):
    trained = model(curved).train()
    entropy_of_samples(trained, fit_density("standard", torch.zeros(2, D)), samples=4)
    assert trained.training


def test_impossible_requests_are_refused(curved):
    mixture = fit_density("mixture", codes(200))
    with pytest.raises(ValueError, match="10 Gaussians is no affine image"):
        entropy_of_samples(model(curved), mixture)
    law = fit_density("standard", torch.zeros(2, D))
    with pytest.raises(ValueError, match="samples must be at least 2"):
        entropy_of_samples(model(curved), law, samples=1)
    with pytest.raises(ValueError, match="scale must be above 0"):
        entropy_of_samples(model(curved), law, samples=4, scales=[0.0])
    with pytest.raises(ValueError, match="at least one value of s"):
        entropy_of_samples(model(curved), law, samples=4, scales=[])
    with pytest.raises(ValueError, match="from 2 to the number of codes, 5"):
        entropy_of_reconstructions(model(curved), codes(5), samples=6)
