"""The variational autoencoder with a Bernoulli likelihood."""

import math

import pytest
import torch
from torch import nn

from eae_book.gans.lee_vae import LeeVAE


class Said(nn.Module):
    """An encoder that gives the same numbers for every image."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = nn.Parameter(torch.tensor(outputs))

    def forward(self, x):
        return self.outputs.expand(len(x), -1)


def model_of(encoder, logits):
    """Decodes every code to images 1 x 1 x 2 with these logits."""
    layer = nn.Linear(1, 2)
    layer.weight = nn.Parameter(torch.zeros(2, 1))
    layer.bias = nn.Parameter(torch.tensor(logits))
    decoder = nn.Sequential(layer, nn.Unflatten(1, (1, 1, 2)), nn.Sigmoid())
    return LeeVAE(Said(encoder), decoder, 1)


def test_the_terms_are_those_worked_out_by_hand():
    mean, spread = 0.7, -0.4
    model = model_of([mean, spread], [0.5, -2.0])
    x = torch.tensor([[[[1.0, 0.25]]], [[[0.0, 0.0]]]])
    terms = model.loss(x)
    p = [1 / (1 + math.exp(-u)) for u in (0.5, -2.0)]
    first = -math.log(p[0]) - 0.25 * math.log(p[1]) - 0.75 * math.log(1 - p[1])
    second = -math.log(1 - p[0]) - math.log(1 - p[1])
    assert terms["reconstruction"].item() == pytest.approx((first + second) / 2, rel=1e-6)
    sigma = math.log(1 + math.exp(spread)) + 1e-6
    kl = 0.5 * (mean**2 + sigma**2 - 1 - 2 * math.log(sigma))
    assert terms["kl"].item() == pytest.approx(kl, rel=1e-5)
    assert terms["loss"] == terms["reconstruction"] + terms["kl"]


def test_a_spread_of_nothing_is_finite():
    terms = model_of([0.0, -200.0], [0.0, 0.0]).loss(torch.zeros(2, 1, 1, 2))
    # sigma is 1e-6: the divergence is (1e-12 - 1) / 2 + log 1e6
    assert terms["kl"].item() == pytest.approx(6 * math.log(10) - 0.5, rel=1e-5)


def test_sure_and_wrong_pixels_cost_their_logit_instead_of_infinity():
    terms = model_of([0.0, 0.0], [300.0, -300.0]).loss(torch.tensor([[[[0.0, 1.0]]]] * 2))
    assert terms["reconstruction"].item() == pytest.approx(600)


def test_codes_are_drawn_around_the_mean_with_the_spread():
    mean, sigma = 2.0, math.log(1 + math.e)  # spread 1
    seen = []
    model = model_of([mean, 1.0], [0.0, 0.0])
    model.decoder[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model.loss(torch.zeros(20_000, 1, 1, 2))
    (z,) = seen
    assert z.mean().item() == pytest.approx(mean, abs=4 * sigma / math.sqrt(20_000))
    assert z.std().item() == pytest.approx(sigma, abs=0.03)
    assert torch.equal(model.encode(torch.zeros(3, 1, 1, 2)), torch.full((3, 1), mean))


def test_a_decoder_without_logits_is_refused():
    with pytest.raises(TypeError, match=r"whose last layer is nn\.Sigmoid, got Linear"):
        LeeVAE(Said([0.0, 0.0]), nn.Linear(1, 2), 1)
    with pytest.raises(TypeError, match=r"nn\.Sigmoid, got Sequential"):
        LeeVAE(Said([0.0, 0.0]), nn.Sequential(nn.Sigmoid(), nn.Linear(1, 2)), 1)


def test_images_outside_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"images must lie in \[0, 1\]"):
        model_of([0.0, 0.0], [0.0, 0.0]).loss(2 * torch.ones(2, 1, 1, 2))
