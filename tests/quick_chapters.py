"""Every chapter runs in its quick profile, on embedded data alone.

They are the longest tests, in two files, so that two processes share them.
"""

from pathlib import Path

import pytest

from eae_book.runner.chapter import plan, read_notebook, run
from eae_book.runner.manifest import load_manifest
from eae_book.runner.project import Project
from eae_core.records import read_record

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = load_manifest(ROOT / "notebooks" / "manifest.yml")

# On a machine of its own a chapter takes at most 30 s; beside other tests it may take longer.
MARKS = [pytest.mark.slow, pytest.mark.timeout(240)]
HALF = len(MANIFEST.chapters) // 2


def each(chapters):
    """The parametrisation of a test over chapters."""
    return pytest.mark.parametrize("chapter", chapters, ids=lambda chapter: chapter.id)


def runs_quickly_and_keeps_its_promises(chapter, tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "no data here"))

    class Elsewhere(Project):
        runs = tmp_path / "runs"

    done = run(Elsewhere(ROOT), plan(MANIFEST, chapter, profile="quick"), progress=False)
    cells = read_notebook(done.notebook).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    printed = "".join(o.text for o in outputs if o.get("name") == "stdout")
    assert "holds: " in printed
    assert "fails: " not in printed
    for cell in cells:
        if "figure" in cell.metadata.get("mystnb", {}):
            assert ["image/png" in o.get("data", {}) for o in cell.outputs] == [True], cell.source
    record = read_record(done.record)
    assert record.run == f"{chapter.id}-quick"
    assert record.peak_memory_bytes < 4 * 2**30
