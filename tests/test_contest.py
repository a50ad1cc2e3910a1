"""The contest of terms: one budget, weights in units of the term, an optimum at an end extended."""

import argparse
import json
from types import SimpleNamespace

import contest
import pytest
import torch
from contest import SIZES, STEP, TERMS, VARIANTS, Setting, choose, main, next_exponents
from matrix import Cell
from parts import parts_of

from eae_book.cli.parser import build_parser
from eae_book.records import load_records, stale
from eae_book.studies.contest_entries import enter
from eae_book.studies.pinned_variants import pinned_coverage_loss, pinned_whitened_loss
from eae_core.models import MODELS, build_model
from eae_core.regularizers import (
    REGULARIZERS,
    build_regularizer,
    entropy_radial_loss,
    radial_loss,
)
from eae_core.regularizers.entropy_radial import RADIAL_WEIGHT


@pytest.fixture(autouse=True)
def entered():
    """What takes part is known by name here, and by no test after."""
    kept = [(known, dict(known)) for known in (MODELS, REGULARIZERS)]
    enter()
    yield
    for known, before in kept:
        known.clear()
        known.update(before)


def setting(dataset="mnist"):
    return Setting(dataset, 16, 100, None)


@pytest.mark.parametrize(
    ("best", "tried"),
    [(0, [-2, -1, 0, 1, 2]), (3, [-2, -1, 0, 1, 2, 3, 4]), (-3, [-2, -1, 0, 1, 2, -3, -4])],
)
def test_an_optimum_at_an_end_is_extended_and_one_inside_is_not(monkeypatch, best, tried):
    asked = []

    def train(cell: Cell, _):
        exponent = int(cell.variant.rpartition("-c")[2])
        asked.append(exponent)
        return SimpleNamespace(metrics={setting().chosen_by: float(abs(exponent - best))})

    monkeypatch.setattr(contest, "train", train)
    for jobs in (1, 5):
        asked.clear()
        assert choose(setting(), "sigreg", argparse.Namespace(jobs=jobs)) == best
        assert asked[5:] == tried[5:]
        assert sorted(asked) == sorted(tried)


def test_weights_are_chosen_by_a_figure_that_the_records_of_the_data_set_have():
    assert setting("mnist").chosen_by == "fd_classifier_standard"
    assert setting("celeba64").chosen_by == "fd_cifar10_standard"  # faces have no labels
    assert all(
        "score-on" in dict(setting(name).cell("knn", 0, 0, trial=True).words) for name in SIZES
    )


def test_the_search_for_a_weight_ends():
    tried = {}
    while some := next_exponents(tried):
        tried |= {exponent: -float(exponent) for exponent in some}
    assert max(tried) == contest.FURTHEST


def words_of(term):
    return dict(setting().cell(term, 1, 0, trial=True).words)


def test_weights_count_the_spread_of_the_term_and_all_else_is_the_same():
    rest = set()
    for name, entry in TERMS.items():
        words = words_of(name)
        weight = STEP / setting().unit(entry)
        assert words.pop(entry.weight) == pytest.approx(weight, rel=5e-3)
        for special in ("regularizer", "radial-weight"):
            words.pop(special, None)
        rest.add(json.dumps(words, sort_keys=True))
    assert len(rest) == 1


def test_a_variant_changes_one_thing_in_the_pin_and_keeps_its_weight():
    pin = words_of("pin")
    for name, changed in VARIANTS.items():
        words = words_of(name)
        assert words["entropy-weight"] == pin["entropy-weight"]
        assert set(words.items()) - set(pin.items()) == set(changed.items()) - set(pin.items())


@pytest.mark.parametrize("term", [*TERMS, *VARIANTS])
def test_the_command_of_each_knows_its_words(term):
    parsed = build_parser().parse_args(setting().cell(term, 1, 0, trial=False).command("run"))
    assert parsed.model == TERMS.get(term, TERMS["pin"]).model


def test_codes_of_the_sphere_encoder_have_one_norm_and_noise_costs():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 32, 32)
    model = build_model("sphere_encoder", (1, 32, 32), 4, width=1)
    assert model.encode(x).norm(dim=1).detach() == pytest.approx(2 * torch.ones(8).numpy())
    z = torch.randn(5, 4)
    torch.testing.assert_close(model.eval().decode(z), model.decode(7 * z))  # directions alone
    assert model.sample(3).shape == (3, 1, 32, 32)
    quiet = type(model)(model.encoder, model.decoder, 4, type(model.options)(noise=0.0)).eval()
    exact = float((x - quiet(x)).detach().square().flatten(1).sum(1).mean())
    assert float(quiet.loss(x)["loss"].detach()) == pytest.approx(exact, rel=1e-5)
    with pytest.raises(ValueError, match="noise must be finite"):
        type(model.options)(noise=-1.0)


def test_variants_add_what_they_say_to_the_pin():
    z = torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    pinned = entropy_radial_loss(z)
    aligned = z.clone()
    aligned[:, 1] = 0.9 * z[:, 0] + 0.44 * z[:, 1]  # correlated, variances kept
    for name in ("pinned_decorrelated", "pinned_slices"):
        term = build_regularizer(name)
        more, more_aligned = term(z) - pinned, term(aligned) - entropy_radial_loss(aligned)
        assert 0 < more < more_aligned


def test_the_entropy_of_whitened_codes_changes_under_a_linear_map_by_its_determinant_alone():
    z = torch.randn(200, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    change = torch.randn(4, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    values = [pinned_whitened_loss(c) - RADIAL_WEIGHT * radial_loss(c) for c in (z, z @ change)]
    expected = float(torch.linalg.slogdet(change).logabsdet)
    assert float(values[0] - values[1]) == pytest.approx(expected, rel=1e-9)


def test_coverage_costs_where_no_code_is_and_pulls_the_nearest_code_there():
    torch.manual_seed(2)
    z = torch.randn(300, 2)
    half = z * torch.tensor([1.0, 1.0]).where(z[:, :1] > 0, torch.tensor([-1.0, 1.0]))
    extra = [float(pinned_coverage_loss(c) - entropy_radial_loss(c)) for c in (z, half)]
    assert extra[1] > extra[0] + 0.5  # no code on the left


def test_trials_see_held_out_images_and_what_is_reported_sees_the_test_images():
    trial, final = (dict(setting().cell("knn", 0, 0, trial=t).words) for t in (True, False))
    assert trial["score-on"] == "held-out"
    assert "score-on" not in final
    assert "entropy-weight" not in dict(setting().cell("ae", None, 0, trial=False).words)
    assert dict(setting().cell("none", None, 0, trial=False).words)["entropy-weight"] == 0


def test_a_size_without_a_recorded_spread_says_what_to_run(capsys):
    assert main(["mnist", "--latent-dim", "7", "--terms", "knn", "--dry-run"]) == 1
    assert "measure_preference.py --sizes 100 --dims 7" in capsys.readouterr().err


def test_a_dry_run_trains_nothing_and_names_what_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(contest.subprocess, "run", lambda *_, **__: pytest.fail("it trained"))
    known = contest.recorded
    only = "preference"  # as where no run is recorded yet
    monkeypatch.setattr(contest, "recorded", lambda e, root: known(e, root) if e == only else {})
    assert main(["cifar10", "--terms", "knn", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "cifar10-eae-d16-n100-none-seed0: not recorded" in said
    assert "knn: weight not chosen yet" in said


def test_records_of_a_term_hang_on_the_revision_of_the_terms():
    """Another SIGReg makes its runs stale, and those of the plain entropy not."""
    found = load_records("models-contest")
    changed = {r.run for r in found if "regularizers" in r.revisions}
    others = set(TERMS) - {"knn", "sphere"}
    runs = {r.run for r in found if others & set(r.run.split("-"))}
    assert changed == runs
    assert 0 < len(runs) < len(found)
    assert all(stale(r, parts=parts_of(r.experiment, r.parameters)) == [] for r in found)
