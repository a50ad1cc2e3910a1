"""Codes of any place and size: right in single precision, or refused by name."""

import contextlib

import pytest
import torch
from term_table import NAMES, codes, terms

from eae_core.regularizers import koleo_loss, mmd_loss, wristband_loss
from eae_core.regularizers.common import pair_squares

Z = codes(40, 4)
PLACES = {
    "far from the origin": Z + 1e4,
    "farther": 1e3 * Z + 1e8,
    "two clusters": torch.cat([Z[:20], Z[20:] + 1e5]),
    "one far away": torch.cat([Z[:39], 1e9 * Z[39:]]),
    "a constant coordinate": Z * torch.tensor([1.0, 1.0, 1.0, 0.0], dtype=torch.float64),
    "a point": torch.ones(40, 4, dtype=torch.float64),
    "nothing": torch.zeros(40, 4, dtype=torch.float64),
    "pairs that coincide": Z[torch.arange(40) // 2],
    "small": 1e-10 * Z,
    "squares vanish": 1e-30 * Z,
    "large": 1e10 * Z,
    "squares overflow": 1e25 * Z,
    "as large as numbers are": 1e37 * Z,
    "two": Z[:2],
    "more dimensions than codes": codes(5, 30),
}
REMEDIES = "scale them|remove|form=|no direction|larger batch|floor="
#: of projections this large single precision does not know the phase
PERIODIC = ("farther", "large", "squares overflow", "as large as numbers are", "one far away")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NAMES)
def test_any_place_and_size_is_right_or_refused(name, place):
    z = PLACES[place].float().requires_grad_()
    term = terms(z.shape[1])[name]
    value = None
    with contextlib.suppress(ValueError):  # refused: by whom and how, see below
        value = term(z)
    if value is None:
        with pytest.raises(ValueError, match=REMEDIES):
            term(z)
        return
    (gradient,) = torch.autograd.grad(value, z)
    assert value.isfinite()
    assert gradient.isfinite().all()
    if name == "sigreg" and place in PERIODIC:
        return
    exact = term(z.detach().double().requires_grad_())
    assert value.item() == pytest.approx(exact.item(), rel=1e-3, abs=1e-4)


def test_refusals_say_the_size_and_the_remedy():
    with pytest.raises(
        ValueError, match=r"codes reach .*e\+25, .*float32; scale them down, or give"
    ):
        terms(4)["radial"](PLACES["squares overflow"].float())
    assert terms(4)["radial"](PLACES["squares overflow"]).isfinite()


def test_pairs_keep_their_distance_wherever_they_lie():
    """The expanded square lost it: 2.34 for 1.90, with a gradient six times too long."""
    for place in ("two clusters", "farther", "one far away"):
        z = PLACES[place].float()
        wide = z.double()
        exact = (wide[:, None] - wide).square().sum(-1)
        torch.testing.assert_close(
            pair_squares(z).double(), exact, rtol=1e-4, atol=1e-4
        )  # 1e10 in float64
    z = PLACES["two clusters"].float().requires_grad_()
    (found,) = torch.autograd.grad(mmd_loss(z), z)
    wide = z.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(mmd_loss(wide), wide)
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("factor", [1e-30, 1e-13, 1e20])
def test_directions_have_no_length(factor):
    z = Z.float()
    assert koleo_loss(factor * z).item() == pytest.approx(koleo_loss(z).item(), abs=1e-5)


def test_zeros_have_no_direction():
    z = Z.float()
    z[3] = 0
    with pytest.raises(ValueError, match="1 of 40 codes are zero and have no direction"):
        koleo_loss(z)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(wristband_loss(z, batches=16), z)
    assert gradient.abs().max() < 10
