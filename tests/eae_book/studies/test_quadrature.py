"""Volumes of many dimensions from random directions."""

import math

import pytest
import torch
from torch import nn
from torch.func import jacrev

from eae_book.studies.quadrature import quadrature_blocks, stochastic_decoder_entropy
from eae_core import decoder_entropy
from eae_core.entropy.decoder import log_volume

DOUBLE = {"dtype": torch.float64}


def wide_network(d=120, outputs=160):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(d, 200), nn.Tanh(), nn.Linear(200, outputs))
    # A spread of singular values over two decades, as trained decoders have.
    model[0].weight.data *= torch.logspace(-1, 1, d)
    return model.eval()


def signs(n, probes, d):
    generator = torch.Generator().manual_seed(0)
    return 2.0 * torch.randint(2, (n, probes, d), generator=generator).double() - 1


def blocks(decode, z, signs, *, scale=1e-3, steps=10, memory_limit=10**9):
    found = list(quadrature_blocks(decode, z, signs, scale, steps, memory_limit))
    return torch.cat([volume for volume, _ in found]), sum(width for _, width in found)


def along(decode, z, signs, scale):
    """v^T log(A) v / 2 at one code, for the rows of signs."""
    jacobian = jacrev(lambda row: decode(row[None])[0])(z[0]).detach().double()
    values, axes = torch.linalg.eigh(jacobian.T @ jacobian)
    return (signs @ axes).square() @ torch.hypot(
        values.clamp_min(0).sqrt(), 0 * values + scale
    ).log()


@pytest.mark.parametrize("scale", [1e-4, 1e-1])
def test_it_agrees_with_the_exact_method_within_its_error(scale):
    model = wide_network()
    exact = decoder_entropy(model, 120, samples=60, scale=scale)
    rough = stochastic_decoder_entropy(model, 120, samples=60, scale=scale, probes=2, steps=20)
    paired = rough.values - exact.values  # of the same codes: what is left is the probes'
    allowed = 4 * float(paired.std()) / math.sqrt(60) + rough.truncation
    assert abs(float(paired.mean())) < allowed < 12 * rough.standard_error
    assert 0 < rough.truncation < rough.standard_error
    assert rough.standard_error > exact.standard_error


def test_many_probes_give_the_volume_of_a_code():
    model, z = wide_network(40, 60), torch.zeros(1, 40)
    exact = float(log_volume(model, z, scale=1e-3))
    volumes, _ = blocks(model, z.expand(400, -1), signs(400, 1, 40), steps=40)
    error = float(volumes.std()) / math.sqrt(400)
    assert abs(float(volumes.mean()) - exact) < 4 * error < 0.1 * abs(exact)


def test_the_two_rules_lie_on_both_sides_and_close_in():
    model = wide_network(40, 60).double()
    z, v = torch.zeros(1, 40, dtype=torch.float64), signs(30, 1, 40)
    truth = along(model, z, v[:, 0], 1e-3)
    widths = []
    for steps in (2, 5, 10, 20, 40):
        middle, width = blocks(model, z.expand(30, -1), v, steps=steps)
        each = torch.stack(
            [blocks(model, z, v[i : i + 1], steps=steps)[0].squeeze() for i in range(3)]
        )
        assert torch.allclose(each, middle[:3], rtol=0, atol=1e-9)
        for i in range(3):
            one, half = blocks(model, z, v[i : i + 1], steps=steps)
            assert abs(float(one) - float(truth[i])) <= half + 1e-9
        widths.append(width)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1e-6 < 1 < widths[0]
    assert torch.allclose(middle, truth, rtol=0, atol=1e-6)  # d steps leave nothing out


def test_a_recursion_that_ends_early_is_exact():
    z = torch.zeros(3, 8)
    volumes, width = blocks(lambda z: 3 * z, z, signs(3, 2, 8), scale=1e-4, steps=8)
    assert torch.allclose(volumes, torch.full((3,), 8 * math.log(3)).double(), rtol=0, atol=1e-6)
    assert width == pytest.approx(0, abs=1e-6)


def test_a_lost_dimension_is_finite():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(30, 12, generator=generator, dtype=torch.float64)
    weight[:, 11] = 0
    z = torch.zeros(500, 12, dtype=torch.float64)
    volumes, width = blocks(lambda z: z @ weight.T, z, signs(500, 1, 12), scale=1e-4, steps=12)
    exact = float(log_volume(lambda z: z @ weight.T, z[:1], scale=1e-4))
    assert abs(float(volumes.mean()) - exact) < 4 * float(volumes.std()) / math.sqrt(500)
    assert width / 500 < 1e-6


def test_block_size_changes_nothing():
    model, z, v = wide_network(), torch.zeros(20, 120), signs(20, 2, 120)
    whole, _ = blocks(model, z, v)
    parts, _ = blocks(model, z, v, memory_limit=300_000)
    assert len(list(quadrature_blocks(model, z, v, 1e-3, 10, 300_000))) > 1
    assert torch.allclose(whole, parts, rtol=0, atol=1e-3)
    assert not whole.requires_grad


def test_dimensions_beyond_the_outputs_need_no_luck():
    """d = 6 and D = 2: four singular values are the scale, whatever the probes say of the others"""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    z = torch.zeros(300, 6, dtype=torch.float64)
    volumes, width = blocks(lambda z: z @ weight.T, z, signs(300, 1, 6), scale=1e-4, steps=6)
    exact = float(log_volume(lambda z: z @ weight.T, z[:1], scale=1e-4))
    assert exact < 4 * math.log(1e-4) + 5
    assert abs(float(volumes.mean()) - exact) < 4 * float(volumes.std()) / math.sqrt(300) < 0.5
    assert width / 300 < 1e-6
    result = stochastic_decoder_entropy(lambda z: z @ weight.T, 6, samples=100, **DOUBLE)
    reference = decoder_entropy(lambda z: z, 6, samples=100, scale=0, **DOUBLE)
    assert result.entropy - reference.entropy == pytest.approx(exact, abs=4 * result.standard_error)
    assert result.standard_error < 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "needs a finite scale above 0"),
        ({"probes": 0}, "probes must be"),
        ({"steps": 0}, "steps must be"),
        ({"memory_limit": 10}, "one code needs"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        stochastic_decoder_entropy(lambda z: z, 3, **options)


def test_rows_that_depend_on_others_are_refused():
    with pytest.raises(ValueError, match="changes with the rows beside it"):
        stochastic_decoder_entropy(lambda z: z + z.roll(1, 0), 3, samples=200)


def test_a_decoder_without_a_forward_derivative_is_refused():
    class OneWay(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return 2 * gradient

    with pytest.raises(ValueError, match="decoder_entropy takes passes back"):
        stochastic_decoder_entropy(OneWay.apply, 3, samples=12)
