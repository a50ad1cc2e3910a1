"""Probes of the rule itself: what was edited is noticed, and what was only reworded is not.

Each edit is made in memory. Without a new revision a golden number must move; with one, exactly the
records that the edited part decided must be stale, of all that are committed.
"""

from dataclasses import replace

import golden_data  # noqa: F401 (each registers its measures)
import golden_models  # noqa: F401
import golden_runs  # noqa: F401
import golden_scores  # noqa: F401
import golden_terms  # noqa: F401
import pytest
import renew_golden
import torch
from golden import GOLDENS, complaint, read_kept
from parts import parts_of

import eae_book.provenance
from eae_book.gans import gan, lee
from eae_book.records import experiments, recorded, stale
from eae_core.evaluation import fid
from eae_core.models import AE, networks
from eae_core.training import loop


@pytest.fixture(scope="module")
def records():
    """All that are committed and hold today."""
    everything = [record for name in experiments() for record in recorded(name).values()]
    return [record for record in everything if not stale(record)]


def other_networks(patch):
    patch.setattr(torch.nn, "ReLU", torch.nn.Tanh)


def ten_times_the_rate(patch):
    step = torch.optim.Adam.step

    def larger(self, *words, **named):
        for group in self.param_groups:
            group["lr"] *= 10
        result = step(self, *words, **named)
        for group in self.param_groups:
            group["lr"] /= 10
        return result

    patch.setattr(torch.optim.Adam, "step", larger)


def always_seven(patch):
    patch.setattr(fid, "frechet_distance_of_statistics", lambda a, b: 7.0)


def twice_the_loss(patch):
    loss = AE.loss
    patch.setattr(AE, "loss", lambda self, x: {k: 2 * term for k, term in loss(self, x).items()})


def other_critic(patch):
    patch.setattr(gan.F, "softplus", torch.relu)


EDITS = {  # the part, what was done to it, and where its revision stands
    "networks": (other_networks, networks, "REVISION"),
    "training": (ten_times_the_rate, loop, "REVISION"),
    "metric frechet": (always_seven, fid, "REVISION"),
    "model ae": (twice_the_loss, AE, "revision"),
    "generator gan": (other_critic, gan.GAN, "revision"),
    "generator networks": (other_networks, lee, "REVISION"),
}


@pytest.mark.parametrize("part", EDITS)
def test_an_edit_without_a_new_revision_fails_the_golden_test(part, monkeypatch):
    EDITS[part][0](monkeypatch)
    problem = complaint(GOLDENS[part], read_kept()[part], GOLDENS[part].measure())
    assert problem.startswith(f"the numbers of {part} moved, but no revision of {part} did:\n")
    assert "raise the revision" in problem


@pytest.mark.parametrize("part", EDITS)
def test_with_a_new_revision_exactly_the_records_behind_it_are_stale(part, monkeypatch, records):
    _, home, name = EDITS[part]
    concerned = {r.run for r in records if part in parts_of(r.experiment, r.parameters)}
    assert 0 < len(concerned) < len(records)
    monkeypatch.setattr(home, name, 2)
    assert {record.run for record in records if stale(record)} == concerned


def test_other_words_and_other_files_make_no_record_stale(monkeypatch, records):
    monkeypatch.setattr(eae_book.provenance, "CORE", eae_book.provenance.CORE / "cli")
    assert eae_book.provenance.code_hash() not in {record.code_hash for record in records}
    assert not [record.run for record in records if stale(record)]
    assert not stale(replace(records[0], code_hash="0" * 12, commit="other"))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A copy of two golden numbers, to renew; measuring all would take too long."""
    import golden

    path = tmp_path / "golden.json"
    entries = {name: read_kept()[name] for name in ("metric frechet", "codes")}
    monkeypatch.setattr(golden, "KEPT", path)
    monkeypatch.setattr(golden, "GOLDENS", {name: GOLDENS[name] for name in entries})
    golden.write_kept(entries)
    return path


def test_golden_numbers_are_renewed_only_under_a_new_revision(kept, monkeypatch, capsys):
    before = kept.read_bytes()
    assert renew_golden.main([]) == 0
    assert "renewed: none" in capsys.readouterr().out
    assert kept.read_bytes() == before
    always_seven(monkeypatch)
    assert renew_golden.main([]) == 1
    assert "nothing is written" in capsys.readouterr().err
    assert kept.read_bytes() == before
    monkeypatch.setattr(fid, "REVISION", 2)
    assert renew_golden.main([]) == 0
    assert "renewed: metric frechet\n" in capsys.readouterr().out
    assert '"metric frechet": 2' in kept.read_text()
    assert "[7.0]" in kept.read_text()
    monkeypatch.setattr(fid, "REVISION", 1)
    assert renew_golden.main([]) == 1
    assert "has gone back" in capsys.readouterr().err
