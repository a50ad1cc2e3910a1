"""Free points under one term: it gets smaller, and what is said of them is right."""

import pytest
import torch

from eae_book.studies.free_points import standardize
from eae_book.studies.settled_points import describe, settle
from eae_core.regularizers import energy_loss, radial_loss, sigreg_loss


def test_the_term_falls_and_the_moments_hold():
    start = standardize(torch.randn(50, 4, generator=torch.Generator().manual_seed(2)))
    z = settle(energy_loss, 50, 4, steps=60, seed=2)
    assert energy_loss(z) < energy_loss(start)
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.square().mean(0), torch.ones(4))


def test_terms_that_draw_follow_the_seed_and_leave_the_generator_alone():
    def term(z):
        return sigreg_loss(z, slices=4)

    state = torch.get_rng_state()
    first, again = (settle(term, 20, 3, steps=5, seed=1) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sphere_is_described_as_one():
    d = 16
    z = torch.nn.functional.normalize(torch.randn(500, d)) * d**0.5
    found = describe(z)
    assert found.norm_spread < 1e-5
    assert found.radial == pytest.approx(radial_loss(z).item(), rel=1e-4)
    assert 0 < found.largest_correlation < 0.3
