"""Bounds of the best Gaussian posteriors: closed forms, orders, limits, faults."""

import math

import pytest
import torch
from torch import nn

from eae_book.studies.posterior_bounds import (
    bound_values,
    decoder_metric,
    misfit_of,
    posterior_bounds,
)


def linear(d, pixels, seed=0):
    """A matrix (pixels, d), and the decoder z -> A z."""
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(pixels, d, generator=generator, dtype=torch.float64)
    return matrix, lambda z: z @ matrix.T.to(z.dtype)


def curved(d, pixels, seed=0):
    """A smooth decoder whose Jacobian changes from code to code."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(d, 16), nn.Tanh(), nn.Linear(16, pixels)).double().eval()
    with torch.no_grad():
        network[0].weight *= 3
    return network


def entropy_of(matrix, scale):
    """d/2 log 2 pi e + 1/2 log det (A^T A + s^2 I), the entropy formula of a linear decoder."""
    d = matrix.shape[1]
    metric = matrix.T @ matrix + scale**2 * torch.eye(d, dtype=matrix.dtype)
    return 0.5 * d * math.log(2 * math.pi * math.e) + 0.5 * float(torch.logdet(metric)), metric


@pytest.mark.parametrize(("d", "pixels", "scale"), [(1, 3, 1e-4), (4, 9, 1e-2), (12, 12, 0.5)])
def test_a_linear_decoder_has_closed_forms(d, pixels, scale):
    matrix, decode = linear(d, pixels)
    entropy, metric = entropy_of(matrix, scale)
    found = posterior_bounds(decode, d, scale=scale, samples=2000, dtype=torch.float64)
    assert found.full == pytest.approx(entropy, abs=5 * found.standard_error)
    loss = 0.5 * float(metric.diagonal().log().sum() - torch.logdet(metric))
    assert found.diagonal - found.full == pytest.approx(loss, abs=1e-9)
    assert found.constant_full == pytest.approx(found.full, abs=1e-9)
    assert found.constant_diagonal == pytest.approx(found.diagonal, abs=1e-9)
    # Without linearisation nothing changes, at any scale.
    undamped = found.sampled[0]
    assert undamped.damping == scale
    assert undamped.bound == pytest.approx(entropy, abs=5 * undamped.standard_error)


def test_damping_costs_what_its_closed_form_says():
    """1/2 tr((A^T A + s^2 I) S) - d/2 - 1/2 log det S more, with S = (A^T A + c^2 I)^-1."""
    d, scale, c = 3, 1e-3, 2.0
    matrix, decode = linear(d, 7)
    entropy, metric = entropy_of(matrix, scale)
    found = posterior_bounds(
        decode, d, scale=scale, dampings=[c], samples=4000, dtype=torch.float64
    ).tightest
    covariance = (metric + (c**2 - scale**2) * torch.eye(d, dtype=torch.float64)).inverse()
    loss = 0.5 * float((metric @ covariance).trace() - d - torch.logdet(metric @ covariance))
    assert loss > 0.1
    assert found.bound == pytest.approx(entropy + loss, abs=5 * found.standard_error)


def test_damping_helps_where_the_decoder_is_flat_but_not_linear():
    def decode(z):  # the second coordinate acts by its cube
        return torch.stack((z[:, 0], 0.3 * z[:, 1] ** 3), 1)

    found = posterior_bounds(decode, 2, samples=2000, dtype=torch.float64)
    assert found.tightest.damping > found.scale
    assert found.sampled[0].bound > found.tightest.bound + 10
    assert found.tightest.bound > found.full - 5 * found.tightest.standard_error


@pytest.mark.parametrize("seed", range(3))
def test_families_are_ordered(seed):
    found = posterior_bounds(curved(5, 20, seed), 5, dtype=torch.float64, seed=seed)
    assert found.full < found.diagonal < found.constant_diagonal
    assert found.full < found.constant_full < found.constant_diagonal


def test_the_linearisation_is_lost_with_the_scale():
    decode = curved(3, 10)

    def error(scale):
        found = posterior_bounds(decode, 3, scale=scale, samples=4000, dtype=torch.float64)
        return abs(found.sampled[0].bound - found.full), found.sampled[0]

    small, found = error(1e-4)
    assert small < 5 * found.standard_error
    assert error(0.3)[0] > 0.1


def test_float32_is_enough_at_the_papers_scale():
    decode = curved(8, 100)
    exact = posterior_bounds(decode, 8, dtype=torch.float64, samples=200)
    rounded = posterior_bounds(decode.float(), 8, samples=200)
    assert rounded.full == pytest.approx(exact.full, abs=1e-3)
    assert rounded.tightest.bound == pytest.approx(exact.tightest.bound, abs=0.02)


def test_a_posterior_mean_lies_below_the_code_by_half_the_trace():
    """The exact posterior gives -log p(x) itself, half its trace below the entropy formula."""
    scale, n = 0.7, 20_000
    matrix, decode = linear(3, 5)
    entropy, metric = entropy_of(matrix, scale)
    covariance = scale**2 * metric.inverse()
    generator = torch.Generator().manual_seed(1)
    code = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    x = decode(code)
    mean = x @ matrix @ metric.inverse()
    z = mean + noise @ torch.linalg.cholesky(covariance).T
    trace = covariance.trace().expand(n)
    log_det = -0.5 * torch.logdet(metric).expand(n)
    values = bound_values(misfit_of(x, decode(z), scale), mean, trace, log_det)
    density = torch.distributions.MultivariateNormal(
        torch.zeros(5, dtype=torch.float64),
        matrix @ matrix.T + scale**2 * torch.eye(5, dtype=torch.float64),
    ).log_prob(x)
    correction = 0.5 * (5 - 3) * math.log(2 * math.pi * scale**2)
    tolerance = 5 * float(values.std()) / math.sqrt(n)
    assert float(values.mean()) == pytest.approx(float(-density.mean()) - correction, abs=tolerance)
    exact = entropy - 0.5 * float(covariance.trace())
    assert float(values.mean()) == pytest.approx(exact, abs=tolerance)


def test_the_metric_is_that_of_autograd():
    decode = curved(4, 6)
    z = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    jacobian = torch.stack([torch.autograd.functional.jacobian(decode, row) for row in z])
    torch.testing.assert_close(decoder_metric(decode, z), jacobian.mT @ jacobian)


def test_images_of_any_shape():
    _, decode = linear(2, 12)
    flat = posterior_bounds(decode, 2, samples=20)
    shaped = posterior_bounds(lambda z: decode(z).unflatten(1, (3, 2, 2)), 2, samples=20)
    assert shaped == flat


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"scale": 0.0}, "scale must be above 0"),
        ({"samples": 1}, "samples must be at least 2"),
        ({"latent_dim": 0}, "latent_dim must be a whole number"),
    ],
)
def test_impossible_sizes_are_refused(words, message):
    words = {"latent_dim": 2, "samples": 10} | words
    with pytest.raises(ValueError, match=message):
        posterior_bounds(linear(2, 4)[1], words.pop("latent_dim"), **words)


def test_a_decoder_that_gives_nan_is_named():
    with pytest.raises(ValueError, match="the decoder gives NaN or infinity"):
        posterior_bounds(lambda z: z * math.nan, 2, samples=4)
