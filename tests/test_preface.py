"""The preface counts claims, and the records behind it count the same."""

import re
from pathlib import Path

import pytest
import torch

from eae_book.records import load_records
from eae_book.runner.manifest import load_manifest

ROOT = Path(__file__).resolve().parents[1]
PREFACE = (ROOT / "book" / "preface.md").read_text(encoding="utf-8")
CHAPTERS = load_manifest(ROOT / "notebooks" / "manifest.yml").chapters
SIZES = {"cpu": "sizes of these pages", "quick": "quick sizes"}


@pytest.mark.parametrize("profile", SIZES)
def test_claims_at_other_seeds_are_as_many_as_recorded(profile):
    records = [r for r in load_records("claims") if r.parameters["profile"] == profile]
    assert [r.parameters["chapter"] for r in records] == [c.name for c in CHAPTERS]
    assert {tuple(r.seeds) for r in records} == {(10, 20, 30)}
    claims, failed = (sum(sum(r.metrics[key]) for r in records) for key in ("claims", "failed"))
    assert f"{claims:,} claims at the {SIZES[profile]}, and {failed or 'none'} fail" in PREFACE


def test_the_lines_for_a_model_of_yours_run_as_they_stand():
    (snippet,) = re.findall(r"^```python\n(.*?)^```", PREFACE, re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(snippet, "the preface", "exec"), names)
    assert torch.isfinite(names["loss"])
    assert names["encoder"].weight.grad.abs().sum() > 0
