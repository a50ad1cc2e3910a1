"""VAE and CV-VAE against closed forms."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from eae_core.models import CVVAE, VAE, CVVAEOptions, VAEOptions, gaussian_kl


def test_divergence_of_a_gaussian():
    """Half of 1 + 1/4 - 1 + 2 log 2, and of 4 + 4 - 1 - 2 log 2, for each of two images."""
    mean = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    sigma = torch.tensor([[0.5, 2.0], [0.5, 2.0]])
    by_hand = 0.5 * (0.25 + 2 * math.log(2) + 7 - 2 * math.log(2))
    assert gaussian_kl(mean, sigma.log()).item() == pytest.approx(by_hand)
    assert gaussian_kl(torch.zeros(3, 2), torch.zeros(3, 2)).item() == 0


def test_divergence_agrees_with_torch_and_is_averaged_over_the_batch():
    g = torch.Generator().manual_seed(0)
    mean, log_sigma = torch.randn(2, 9, 5, generator=g)
    expected = kl_divergence(Normal(mean, log_sigma.exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert gaussian_kl(mean, log_sigma).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["vae", "cv_vae"])
def test_objective_of_linear_networks(kind, linear_encoder, linear_decoder):
    """E |x - A z|^2 = |x - A mu|^2 + |A sigma|^2, met by 20,000 draws of one image."""
    torch.manual_seed(0)
    matrix = torch.randn(4, 2)
    if kind == "vae":
        model = VAE(linear_encoder(4), linear_decoder(matrix), 2, VAEOptions(beta=0.3))
    else:
        options = CVVAEOptions(beta=0.3, sigma=0.7)
        model = CVVAE(linear_encoder(2), linear_decoder(matrix), 2, options)
    n = 20_000
    image = torch.rand(1, 1, 2, 2)
    x = image.expand(n, -1, -1, -1)
    with torch.no_grad():
        outputs = model.encoder(image)[0]
        terms = model.loss(x)
    mean = outputs[:2]
    sigma = torch.full((2,), 0.7) if kind == "cv_vae" else (5 * outputs[2:].tanh()).exp()
    residual, spread = image.flatten() - matrix @ mean, matrix * sigma
    expected = residual.square().sum() + spread.square().sum()
    # |r - S e|^2 for e ~ N(0, I) has variance 4 |S'r|^2 + 2 |S'S|^2.
    variance = 4 * (spread.T @ residual).square().sum() + 2 * (spread.T @ spread).square().sum()
    error = 4 * (variance / n).sqrt().item()
    kl = 0.5 * (mean.square() + sigma.square() - 1 - 2 * sigma.log()).sum()
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    assert terms["reconstruction"].item() == pytest.approx(expected.item(), abs=error)
    total = terms["reconstruction"] + 0.3 * terms["kl"]
    assert terms["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    torch.testing.assert_close(model.encode(image)[0], mean)


def test_log_sigma_is_bounded_whatever_the_encoder_says(linear_encoder, grey):
    model = VAE(linear_encoder(4), grey(0.5), 2)
    with torch.no_grad():
        model.encoder[1].bias[:] = torch.tensor([1e4, 0.0, 1e4, -1e4])
    mean, log_sigma = model.posterior(torch.zeros(1, 1, 2, 2))
    assert log_sigma.tolist() == [[5.0, -5.0]]
    assert mean[0, 0] == 1e4  # the mean is not


def test_constant_variance_gives_rae_up_to_a_constant(linear_encoder, grey):
    model = CVVAE(linear_encoder(3), grey(0.5), 3, CVVAEOptions(sigma=0.7))
    x = torch.rand(5, 1, 2, 2)
    latent = 0.5 * model.encoder(x).square().sum(1).mean()
    constant = 3 * 0.5 * (0.49 - 1 - 2 * math.log(0.7))
    assert model.loss(x)["kl"].item() == pytest.approx(latent.item() + constant, rel=1e-5)


def test_an_encoder_of_means_alone_is_refused(linear_encoder, grey):
    with pytest.raises(ValueError, match="2 x 3 numbers an image, mean and log sigma, got shape"):
        VAE(linear_encoder(3), grey(0.5), 3).loss(torch.rand(5, 1, 2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VAEOptions(beta=-0.1), "beta must be finite and at least 0"),
        (lambda: CVVAEOptions(beta=float("nan")), "beta"),
        (lambda: CVVAEOptions(sigma=0), "sigma must be finite and above 0"),
        (lambda: CVVAEOptions(sigma=float("inf")), "sigma must be finite"),
    ],
)
def test_impossible_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
