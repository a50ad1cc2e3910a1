"""Terms in units of their own spread on Gaussian batches."""

import pytest
import torch

from eae_core.regularizers import calibrated, energy_loss, sigreg_loss


def test_gaussian_batches_have_mean_0_and_deviation_1():
    term = calibrated(energy_loss, batches=400)
    torch.manual_seed(5)
    values = torch.stack([term(torch.randn(50, 4)) for _ in range(400)])
    # Two means of 400 values each, and two deviations: 4 standard errors of their difference.
    assert values.mean().abs() < 4 * (2 / 400) ** 0.5
    assert values.std().item() == pytest.approx(1, abs=0.35)


def test_batch_norm_is_another_unit():
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    z = (z - z.mean(0)) / z.std(0, correction=0)
    plain, normed = calibrated(energy_loss), calibrated(energy_loss, batch_norm=True)
    assert normed.spread(50, 4).deviation < plain.spread(50, 4).deviation
    assert plain(z) < normed(z)


def test_it_is_measured_once_a_size_and_leaves_the_generator_alone():
    calls = []

    def term(z):
        calls.append(z.shape)
        return sigreg_loss(z, slices=4)

    measured = calibrated(term, batches=5)
    z = torch.randn(20, 3)
    torch.manual_seed(7)
    expected = sigreg_loss(z, slices=4)
    torch.manual_seed(7)
    value = measured(z)
    mean, deviation = measured.spread(20, 3)
    assert value.item() == pytest.approx((expected.item() - mean) / deviation, rel=1e-5)
    measured(z)
    assert len(calls) == 5 + 2
    measured(torch.randn(21, 3))
    assert len(calls) == 5 + 2 + 5 + 1


def test_gradient_is_that_of_the_term_in_the_new_unit():
    z = torch.randn(20, 3).requires_grad_()
    term = calibrated(energy_loss, batches=20)
    (found,) = torch.autograd.grad(term(z), z)
    (plain,) = torch.autograd.grad(energy_loss(z), z)
    torch.testing.assert_close(found, plain / term.spread(20, 3).deviation)


def test_every_process_measures_the_same_spread():
    spreads = []
    for seed in (1, 2):
        torch.manual_seed(seed)  # which decides nothing
        spreads.append(calibrated(sigreg_loss, batches=3).spread(10, 2))
    assert spreads[0] == spreads[1] != calibrated(sigreg_loss, batches=4).spread(10, 2)


def test_impossible_calibrations():
    with pytest.raises(ValueError, match="batches must be at least 2"):
        calibrated(energy_loss, batches=1)
    with pytest.raises(ValueError, match="batch_norm=True holds fixed"):
        calibrated(lambda z: z[0, 0] * 0, batches=3)(torch.ones(5, 2))
