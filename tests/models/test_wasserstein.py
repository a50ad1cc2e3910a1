"""The discrepancy against quadrature, and the objective of WAE."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from eae_core.models import WAE, WAEOptions, imq_mmd
from eae_core.models.wasserstein import SCALES


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_two_points_each_by_hand():
    """One scale of 1 in one dimension: k(x, y) = 2 / (2 + (x - y)^2)."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    within = 2 / 3 + 2 / 6  # each pair counts twice of n (n - 1) = 2
    across = (2 / 2 + 2 / 6 + 2 / 3 + 2 / 3) / 4
    assert imq_mmd(x, y, scales=[1.0]).item() == pytest.approx(within - 2 * across)


def expected_kernel(shift: float, variance: float, d: int) -> float:
    r"""E k(x, y) for x - y ~ N(shift 1, variance I), from C / (C + s) = int C exp(-t (C + s)) dt.

    E exp(-t |x - y|^2) = (1 + 2 t v)^(-d/2) exp(-t d shift^2 / (1 + 2 t v)).
    """

    def integrand(u: float, base: float) -> float:  # t = u / C
        t = u / base
        wide = 1 + 2 * t * variance
        return math.exp(-u - t * d * shift**2 / wide) * wide ** (-d / 2)

    return sum(quad(integrand, 0, np.inf, args=(2 * d * scale,))[0] for scale in SCALES)


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (0.5, 1.0), (0.0, 1.5), (0.3, 0.5)])
@pytest.mark.parametrize("d", [1, 8])
def test_the_mean_over_batches_is_the_discrepancy_of_two_gaussians(shift, spread, d):
    """Unbiased, so batches of 20 are enough; four standard errors of 400 of them."""
    batches = [
        imq_mmd(shift + spread * draw(20, d, seed=i), draw(20, d, seed=1000 + i)).item()
        for i in range(400)
    ]
    true = (
        expected_kernel(0.0, 2 * spread**2, d)
        + expected_kernel(0.0, 2.0, d)
        - 2 * expected_kernel(shift, spread**2 + 1, d)
    )
    assert true >= -1e-9
    assert np.mean(batches) == pytest.approx(true, abs=4 * np.std(batches) / 20)


def test_laws_of_the_discrepancy():
    x, y = draw(30, 4), draw(25, 4, seed=1) + 1
    value = imq_mmd(x, y)
    torch.testing.assert_close(imq_mmd(y, x), value)  # symmetric
    torch.testing.assert_close(imq_mmd(x.flip(0), y), value)  # of samples, not of sequences
    torch.testing.assert_close(imq_mmd(x + 3, y + 3), value)  # of distances alone
    rotation = torch.linalg.qr(draw(4, 4, seed=2)).Q
    torch.testing.assert_close(imq_mmd(x @ rotation, y @ rotation), value)


def test_gradient_pulls_the_sample_towards_the_other_one():
    x = (draw(40, 3) + 2).requires_grad_()
    imq_mmd(x, draw(40, 3, seed=1)).backward()
    assert (x.grad.mean(0) > 0).all()  # downhill is towards 0
    same = draw(5, 2).requires_grad_()
    imq_mmd(same[[0, 0, 1, 2, 3]], draw(5, 2, seed=1)).backward()
    assert same.grad.isfinite().all()  # at distance 0 too


def test_precision_is_kept():
    x, y = draw(50, 8), draw(50, 8, seed=1)
    exact = imq_mmd(x, y)
    assert exact.dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        single = imq_mmd(x.float(), y.float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact.item(), abs=1e-5)
    far = imq_mmd(x.float() + 1000, y.float() + 1000)  # where an expanded square would fail
    assert far.item() == pytest.approx(exact.item(), abs=1e-3)


@pytest.mark.parametrize(("n", "m", "d"), [(1, 5, 2), (5, 1, 2)])
def test_a_sample_of_one_is_refused(n, m, d):
    with pytest.raises(ValueError, match="at least 2"):
        imq_mmd(draw(n, d), draw(m, d))


def test_samples_of_other_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"got shapes \(5, 2\) and \(5, 3\)"):
        imq_mmd(draw(5, 2), draw(5, 3))


def test_objective_is_error_plus_weighted_discrepancy(linear_encoder, grey):
    model = WAE(linear_encoder(3), grey(0.25), 3, WAEOptions(mmd_weight=5.0))
    x = torch.rand(12, 1, 2, 2)
    torch.manual_seed(7)
    terms = model.loss(x)
    torch.manual_seed(7)
    prior = torch.randn(12, 3)
    torch.testing.assert_close(terms["mmd"], imq_mmd(model.encoder(x), prior))
    error = (x - 0.25).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(terms["reconstruction"], error)
    torch.testing.assert_close(terms["loss"], error + 5 * terms["mmd"])


def test_noise_reaches_the_encoder_alone_and_is_cut_off(linear_encoder, grey):
    model = WAE(linear_encoder(3), grey(0.25), 3, WAEOptions(input_noise=0.01))
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.rand(500, 1, 2, 2)
    terms = model.loss(x)
    noise = seen[0] - x
    assert noise.abs().max() <= 0.01 + 1e-6
    # P(|N(0, 1)| > 1) = 0.317 of the values lie at the cut; 4 standard errors of 2,000.
    assert (noise.abs() > 0.00999).float().mean().item() == pytest.approx(0.317, abs=0.042)
    torch.testing.assert_close(terms["reconstruction"], (x - 0.25).square().sum((1, 2, 3)).mean())
    seen.clear()
    model.encode(x)
    assert torch.equal(seen[0], x)


@pytest.mark.parametrize("option", ["mmd_weight", "input_noise"])
def test_impossible_options(option):
    with pytest.raises(ValueError, match=f"{option} must be finite and at least 0"):
        WAEOptions(**{option: -1.0})
