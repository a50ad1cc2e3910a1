"""The contest of terms: one budget, weights in units of the term, an optimum at an end extended."""

import argparse
import json
from types import SimpleNamespace

import contest
import pytest
from contest import CHOSEN_BY, STEP, TERMS, Setting, choose, exponents, main
from matrix import Cell
from parts import parts_of

from eae_book.cli.parser import build_parser
from eae_book.records import load_records, stale


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
        return SimpleNamespace(metrics={CHOSEN_BY: float(abs(exponent - best))})

    monkeypatch.setattr(contest, "train", train)
    assert choose(setting(), "sigreg", argparse.Namespace()) == best
    assert asked == tried


def test_the_search_for_a_weight_ends():
    tried = {}
    for exponent in exponents(tried):
        tried[exponent] = -float(exponent)
    assert max(tried) == contest.FURTHEST


def test_weights_count_the_spread_of_the_term_and_all_else_is_the_same():
    cells = {term: setting().cell(term, 1, 0, trial=True) for term in TERMS}
    words = {term: dict(cell.words) for term, cell in cells.items()}
    for term in TERMS:
        weight = STEP / setting().unit(term)
        assert words[term]["entropy-weight"] == pytest.approx(weight, rel=5e-3)
        for special in ("entropy-weight", "regularizer", "radial-weight"):
            words[term].pop(special, None)
    assert len({json.dumps(word, sort_keys=True) for word in words.values()}) == 1
    for cell in cells.values():
        build_parser().parse_args(cell.command("run"))  # the command knows every word


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
    assert main(["cifar10", "--terms", "knn", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "cifar10-eae-d16-n100-none-seed0: not recorded" in said
    assert "knn: weight not chosen yet" in said


def test_records_of_a_term_hang_on_the_revision_of_the_terms():
    """Another SIGReg makes its runs stale, and those of the plain entropy not."""
    found = load_records("models-contest")
    changed = {r.run for r in found if "regularizers" in r.revisions}
    runs = {r.run for r in found if {"pin", "sigreg", "wristband", "mmd"} & set(r.run.split("-"))}
    assert changed == runs
    assert 0 < len(runs) < len(found)
    assert all(stale(r, parts=parts_of(r.experiment, r.parameters)) == [] for r in found)
