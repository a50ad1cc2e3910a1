"""Pages that are older than their code, or that show fewer records than there are."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_checkout import code, entry, write_manifest, write_notebook

from eae_book.records import new_record, write_record
from eae_book.render.freshness import code_digest, outdated_pages
from eae_book.render.refresh import refresh
from eae_book.runner.chapter import read_notebook
from eae_book.runner.manifest import load_manifest
from eae_book.runner.project import Project

ROOT = Path(__file__).resolve().parents[3]
MANIFEST = load_manifest(ROOT / "notebooks" / "manifest.yml")


@pytest.fixture(scope="module")
def committed():
    return outdated_pages(MANIFEST, ROOT / "data" / "results")


@pytest.mark.parametrize("chapter", MANIFEST.chapters, ids=lambda chapter: chapter.name)
def test_a_committed_page_is_as_new_as_its_code_and_its_records(committed, chapter):
    renew = f"renew it: python -m eae_book refresh {chapter.id}"
    assert committed.get(chapter.name, []) == [], renew


@pytest.fixture
def page(tmp_path):
    """A refreshed chapter that shows one record; its checkout."""
    write_manifest(tmp_path, entry(inputs=["demo"]))
    write_notebook(tmp_path, "01_first", code("import math\nprint(epochs)"))
    project = Project(tmp_path)
    record = new_record("demo", "a", parameters={}, metrics={"error": 1.0})
    write_record(record, project.results)
    refresh(project, progress=False, report=lambda line: None)
    return project, record


def reasons(project):
    return outdated_pages(load_manifest(project.manifest), project.results).get("01_first", [])


@pytest.mark.slow
def test_refresh_remembers_what_a_page_was_made_from(page):
    project, record = page
    assert reasons(project) == []

    write_record(replace(record, notes="said otherwise"), project.results)
    assert reasons(project) == [], "words decide nothing"
    write_record(replace(record, metrics={"error": 2.0}), project.results)
    assert reasons(project) == ["it shows older numbers of demo"]
    write_record(record, project.results)
    write_record(replace(record, run="b"), project.results)
    assert reasons(project) == ["it shows 1 records of demo, there are 2"]
    (project.results / "demo" / "b.json").unlink()

    write_notebook(project.root, "01_first", code("from math import pi\nprint(epochs)  # all"))
    assert reasons(project) == [], "a moved module and a comment change no output"
    write_notebook(project.root, "01_first", code("print(epochs + 1)"))
    assert reasons(project) == ["its code cells have changed since its outputs were made"]
    (project.results / "chapters" / "01-cpu.json").unlink()
    assert len(reasons(project)) == 2, "a page without a record"


def test_each_code_cell_counts_and_no_text_does():
    chapter = read_notebook(MANIFEST.notebook(MANIFEST.chapters[0]))
    digests = {code_digest(chapter)}
    for cell in chapter.cells:
        if cell.cell_type == "markdown":
            cell.source += " more"
    assert {code_digest(chapter)} == digests
    cells = [cell for cell in chapter.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.source += "\n0"
        digests.add(code_digest(chapter))
    assert len(digests) == len(cells) + 1
