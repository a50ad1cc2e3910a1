"""The shapes of the study have the moments that batch norm sees, and its arithmetic is right."""

import math

import numpy as np
import pytest
import torch

from eae_book.studies import preference as p


@pytest.mark.parametrize("name", p.SHAPES)
def test_shapes_have_mean_0_and_variance_1(name):
    """Over many draws: batch norm would hide a wrong scale, but not that of a single batch."""
    n, d = 200, 6
    sums, squares = torch.zeros(d), torch.zeros(d)
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        z = p.SHAPES[name](torch.randn(n, d, generator=generator), generator)
        assert z.shape == (n, d)
        sums, squares = sums + z.mean(0) / 300, squares + z.square().mean(0) / 300
    # Ten centres a batch: a standard error of sqrt(0.75 / 10 / 300) = 0.016 of the mean.
    assert sums.abs().max() < 0.08
    assert (squares - 1).abs().max() < 0.12


def test_what_the_shapes_are():
    d, generator = 8, torch.Generator().manual_seed(0)
    g = torch.randn(2000, d, generator=generator)
    z = {name: shape(g, generator) for name, shape in p.SHAPES.items()}
    torch.testing.assert_close(z["sphere"].norm(dim=1), torch.full((2000,), math.sqrt(d)))
    assert z["wide norms"].norm(dim=1).std() > 1.7 * g.norm(dim=1).std()
    assert z["cube"].abs().max() <= math.sqrt(3)
    kurtosis = {name: float(x.pow(4).mean() / x.square().mean() ** 2) for name, x in z.items()}
    assert kurtosis["Laplace"] == pytest.approx(6, abs=0.8)
    values = torch.linalg.svdvals(z["half rank"])
    assert values[d // 2] < 0.1 * values[d // 2 - 1]
    nearest = torch.cdist(z["ten clusters"], z["ten clusters"])
    assert (nearest < 2.5).float().mean() == pytest.approx(0.1, abs=0.06)
    ring = z["ring"][:, :2].norm(dim=1)
    assert ring.std() < 0.15
    assert ring.mean() == pytest.approx(math.sqrt(2), abs=0.05)
    pairs = torch.corrcoef(z["correlated pairs"].T)
    assert pairs[0, 1] == pytest.approx(0.5, abs=0.06)
    assert pairs[1, 2].abs() < 0.08
    assert z["heavy coordinate"][:, 0].abs().max() > g[:, 0].abs().max()


def test_two_clusters_have_two_modes_along_their_line():
    generator = torch.Generator().manual_seed(3)
    g = torch.randn(4000, 3, generator=generator)
    state = generator.get_state()
    z = p.SHAPES["two clusters"](g, generator)
    line = torch.randn(3, generator=torch.Generator().set_state(state))
    along = z @ (line / line.norm())
    assert ((along.abs() - 0.95).abs() < 0.6).float().mean() > 0.93


def test_the_same_directions_for_all_shapes():
    """A term that draws directions sees none of the draw in a difference of equal batches."""
    columns = p.columns()
    terms = {"sigreg": p.study_terms(50, 4)["sigreg"]}
    state = torch.get_rng_state()
    values = dict(zip(columns, p.batch_values(terms, 50, 4, 0)["sigreg"], strict=True))
    assert values["norm spread 1"] == pytest.approx(values["Gaussian"], rel=1e-4)
    assert values["norm spread 0"] == pytest.approx(values["sphere"], rel=1e-6)
    assert values["norm spread 2"] == pytest.approx(values["wide norms"], rel=1e-6)
    assert torch.equal(torch.get_rng_state(), state)


def test_preference_is_in_standard_deviations():
    rng = np.random.default_rng(0)
    gaussian = 5 + 2 * rng.standard_normal(400)
    table = np.repeat(gaussian[:, None], 1 + len(p.SHAPES) + len(p.SPREADS), axis=1)
    table[:, 1] += 3 + rng.standard_normal(400)
    table[:, 1 + len(p.SHAPES) :] += (np.array(p.SPREADS) - 0.8) ** 2
    found = p.preference(table)
    assert found.values["sphere"] == pytest.approx(1.5, abs=4 * found.errors["sphere"])
    assert found.errors["sphere"] == pytest.approx(0.5 / 20, rel=0.2)
    assert found.norm_spread == pytest.approx(0.8, abs=0.01)
    assert found.undecided == []
    table[:, 2] += 20 * rng.standard_normal(400)
    assert p.preference(table).undecided == ["wide norms"]


def test_terms_leave_when_their_signs_are_decided():
    seen = []
    found = p.measure(
        30, 4, least=20, most=60, block=20, names=["radial", "energy"],
        on_block=lambda done, _: seen.append(done),
    )  # fmt: skip
    assert seen[0] == 20
    assert all(20 <= preference.batches <= 60 for preference in found.values())
