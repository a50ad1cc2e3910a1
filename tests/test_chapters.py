"""Every chapter runs: at quick size on embedded data alone, and as it is committed.

The second takes long and is for `make regress`, and so is the first but for the chapters in SOME.
That the others call what there is as it can be called, `test_notebooks.py` sees without running
them, and what they compute is held by tests of their functions and by `tests/golden/`.

nbval, which does such things, compares texts and has no tolerance; here the runner executes a
chapter as it does for the book, and its numbers are compared with the committed ones.
"""

from pathlib import Path

import pytest

from eae_book.records import read_record
from eae_book.render.cleaning import clean
from eae_book.render.comparison import differences
from eae_book.runner.chapter import plan, read_notebook, run
from eae_book.runner.manifest import load_manifest
from eae_book.runner.project import Project
from eae_core.data import data_root, dataset_info
from eae_core.data.prepared import is_prepared

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = load_manifest(ROOT / "notebooks" / "manifest.yml")
# Two fifths of what all take: those whose cells use most of both packages for it.
SOME = {"02", "03", "12", "13", "14", "15", "16", "17", "18", "19", "20"}
each_chapter = pytest.mark.parametrize("chapter", MANIFEST.chapters, ids=lambda each: each.id)
some_now = pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(each, id=each.id, marks=[] if each.id in SOME else pytest.mark.regress)
        for each in MANIFEST.chapters
    ],
)


@pytest.fixture
def execute(tmp_path):
    """Runs a chapter apart from the reader's own runs."""

    class Elsewhere(Project):
        @property
        def runs(self):
            return tmp_path / "runs"

    def execute(chapter, profile):
        planned = plan(MANIFEST, chapter, profile=profile)
        return run(Elsewhere(ROOT), planned, progress=False)

    return execute


# On a machine of its own a chapter takes at most 30 s; beside other tests it may take longer.
@pytest.mark.slow
@pytest.mark.timeout(240)
@some_now
def test_a_chapter_runs_quickly_and_keeps_its_promises(chapter, tmp_path, monkeypatch, execute):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "no data here"))
    done = execute(chapter, "quick")
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


def missing_data(chapter):
    """The data sets that a chapter needs at its written size and that are not prepared."""
    infos = map(dataset_info, chapter.needs)
    return [
        info.name
        for info in infos
        if not info.embedded and not is_prepared(data_root() / info.name)
    ]


@pytest.mark.regress
@pytest.mark.timeout(3600)
@each_chapter
def test_a_chapter_shows_what_is_committed(chapter, execute):
    if missing := missing_data(chapter):
        pytest.skip("; ".join(f"{n} is not prepared: eae data prepare {n}" for n in missing))
    committed = read_notebook(MANIFEST.notebook(chapter))
    executed = clean(committed, read_notebook(execute(chapter, "cpu").notebook), root=ROOT)
    found = differences(committed, executed, tolerance=chapter.tolerance)
    assert found == [], f"{len(found)} differ"


def test_chapters_whose_data_is_absent_are_known(tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path))
    absent = {chapter.id: missing_data(chapter) for chapter in MANIFEST.chapters}
    assert absent["05"] == ["mnist"]
    assert absent["01"] == [], "the digits come with scikit-learn"
