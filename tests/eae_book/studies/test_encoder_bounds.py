"""Fitted encoders: bounds above the entropy, optima that are reached, families, starts, faults."""

import math

import pytest
import torch
from torch import nn

from eae_book.studies.encoder_bounds import fit_encoder_bound
from eae_book.studies.posterior_bounds import posterior_bounds
from eae_book.studies.posterior_encoder import EncoderOptions

D, PIXELS = 4, 12


@pytest.fixture(scope="module")
def decoder():
    """Linear, with columns of unequal lengths that are far from orthogonal."""
    torch.manual_seed(0)
    network = nn.Linear(D, PIXELS, bias=False).eval()
    with torch.no_grad():
        network.weight[:, 1] += network.weight[:, 0]
        network.weight *= torch.tensor([3.0, 1.0, 0.3, 0.1])
    return network


def metric_of(network):
    weight = network.weight.detach().double()
    return weight.T @ weight


def exact_entropy(network):
    metric = metric_of(network)
    return 0.5 * D * math.log(2 * math.pi * math.e) + 0.5 * float(torch.logdet(metric))


def diagonal_loss(network):
    metric = metric_of(network)
    return 0.5 * float(metric.diagonal().log().sum() - torch.logdet(metric))


def fit(network, samples=2000, scale=1e-4, **options):
    options = EncoderOptions(**{"width": 4, "steps": 300, "batch_size": 32} | options)
    return fit_encoder_bound(network, D, (PIXELS,), options, scale=scale, samples=samples)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("start", ["noise", "metric"])
def test_the_best_decoder_aware_posterior_is_reached(decoder, covariance, start):
    found = fit(decoder, mean="decoder", covariance=covariance, start=start, learning_rate=1e-2)
    loss = diagonal_loss(decoder) if covariance == "diagonal" else 0.0
    best = exact_entropy(decoder) + loss
    assert best - 5 * found.standard_error < found.bound < best + 0.2 + 5 * found.standard_error
    assert found.misfit == pytest.approx(D / 2, abs=0.3)


@pytest.mark.parametrize("mean", ["free", "decoder"])
@pytest.mark.parametrize("covariance", ["diagonal", "full"])
@pytest.mark.parametrize("scale", [1e-4, 0.3])
def test_a_bound_lies_above_the_entropy(decoder, mean, covariance, scale):
    found = fit(decoder, mean=mean, covariance=covariance, scale=scale, steps=100)
    # -log p(x) itself is half the posterior's trace below the entropy formula.
    eigenvalues = torch.linalg.eigvalsh(metric_of(decoder))
    formula = 0.5 * D * math.log(2 * math.pi * math.e)
    formula += 0.5 * float((eigenvalues + scale**2).log().sum())
    trace = float((scale**2 / (eigenvalues + scale**2)).sum())
    assert found.bound > formula - 0.5 * trace - 5 * found.standard_error


def test_the_metric_start_is_the_best_constant_covariance(decoder):
    for covariance in ("diagonal", "full"):
        found = fit(decoder, mean="decoder", covariance=covariance, steps=1)
        best = posterior_bounds(decoder, D, samples=2000)
        expected = best.constant_full if covariance == "full" else best.constant_diagonal
        assert found.start == pytest.approx(expected, abs=10 * best.standard_error)


def test_a_free_mean_is_far_looser_at_a_small_scale(decoder):
    free, aware = (fit(decoder, mean=mean, covariance="full") for mean in ("free", "decoder"))
    assert free.bound > aware.bound + 1000
    assert free.misfit > 0.9 * (free.bound - aware.bound)


def test_the_prior_is_a_bad_start(decoder):
    bounds = {s: fit(decoder, mean="decoder", start=s).bound for s in ("prior", "metric")}
    assert bounds["prior"] > bounds["metric"] + 1000


def test_images_get_a_convolutional_encoder_and_others_a_dense_one():
    decode = nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8))).eval()
    options = EncoderOptions(width=2, steps=2, batch_size=4)
    found = fit_encoder_bound(decode, 2, (1, 8, 8), options, samples=9)
    assert any(isinstance(layer, nn.Conv2d) for layer in found.encoder.modules())
    assert len(found.values) == 9
    assert found.curve["step"] == [1, 2]


def test_the_same_seed_gives_the_same_bound_and_leaves_no_trace(decoder):
    before = torch.get_rng_state()
    first, second = (fit(decoder, steps=5, samples=10) for _ in range(2))
    assert torch.equal(first.values, second.values)
    assert not torch.equal(first.values, fit(decoder, steps=5, samples=10, seed=1).values)
    assert torch.equal(before, torch.get_rng_state())
    assert decoder.weight.grad is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": "known"}, "mean must be one of free, decoder, got 'known'"),
        ({"covariance": "low rank"}, "covariance must be one of diagonal, full"),
        ({"start": "zero"}, "start must be one of prior, noise, metric"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EncoderOptions(**options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"scale": math.inf}, "scale must be above 0 and finite"),
        ({"samples": 1}, "samples must be at least 2"),
        ({"device": "tpu"}, "unknown device"),
    ],
)
def test_impossible_sizes_are_refused(decoder, words, message):
    with pytest.raises(ValueError, match=message):
        fit_encoder_bound(decoder, D, (PIXELS,), **words)


def test_another_image_shape_is_named(decoder):
    with pytest.raises(ValueError, match=r"images of shape \(12,\), image_shape is \(1, 28, 28\)"):
        fit_encoder_bound(decoder, D, (1, 28, 28))


def test_a_fit_that_blows_up_says_where():
    with pytest.raises(FloatingPointError, match="the bound is nan within the 1 steps before"):
        fit_encoder_bound(lambda z: z * math.nan, 2, (2,), EncoderOptions(start="noise", steps=3))
