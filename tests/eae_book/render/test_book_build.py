"""The whole book, tiny: run, reused, rendered; and what stays when something fails."""

import re

import pytest
from tiny_checkout import (
    code,
    entry,
    run_folders,
    write_book,
    write_manifest,
    write_notebook,
)

from eae_book.records import new_record, read_record, write_record
from eae_book.render import pages
from eae_book.render.book import build_book, build_committed
from eae_book.render.refresh import refresh
from eae_book.runner.chapter import read_notebook
from eae_book.runner.project import Project
from eae_core.errors import CommandError, UsageError

pytestmark = pytest.mark.slow

PRINT = """\
import os, sys
print("epochs", epochs, "in", os.getcwd())
print(f"{5 * 10}%", file=sys.stderr)
"""


def quiet(_line):
    pass


@pytest.fixture
def checkout(tmp_path):
    write_manifest(tmp_path, entry(), entry(id="02", slug="second", title="The second"))
    write_notebook(tmp_path, "01_first", code(PRINT))
    write_notebook(tmp_path, "02_second", code("print('two')"))
    write_book(tmp_path, "01_first", "02_second")
    return Project(tmp_path)


def test_a_book_is_run_once_and_rendered(checkout):
    told = []
    built = build_book(checkout, progress=False, report=told.append)
    assert built.page == checkout.html / "index.html"
    assert (built.pages, built.fresh) == (4, True)
    assert [line.split(":")[0] for line in told] == ["[1/2] 01 The first", "[2/2] 02 The second"]

    page = (checkout.html / "notebooks" / "01_first.html").read_text()
    assert "epochs 1 in notebooks" in page, "the quick profile, and no path of this machine"
    assert "In this run these values replace those above" in page
    assert "50%" not in page
    assert "colab" not in page
    runs = (checkout.html / "book" / "runs.html").read_text()
    assert 'href="../notebooks/02_second.html"' in runs
    assert (checkout.runs / "book" / "book" / "runs.md").is_file()
    assert not list(checkout.runs.glob(".book-*"))

    first_run, stamp = run_folders(checkout), (checkout.html / "index.html").stat().st_mtime_ns
    told.clear()
    again = build_book(checkout, progress=False, report=told.append)
    assert not again.fresh
    assert all("unchanged, ran before in" in line for line in told)
    assert run_folders(checkout) == first_run
    assert (checkout.html / "index.html").stat().st_mtime_ns == stamp

    write_notebook(checkout.root, "02_second", code("print('changed')"))
    told.clear()
    assert build_book(checkout, progress=False, report=told.append).fresh
    assert ["unchanged" in line for line in told] == [True, False]
    assert "changed" in (checkout.html / "notebooks" / "02_second.html").read_text()


def test_a_failing_chapter_stops_the_book_but_not_the_other_chapters(checkout):
    write_notebook(checkout.root, "01_first", code("1 / 0"))
    told = []
    with pytest.raises(CommandError, match=r"chapter 01 failed in cell \[3\]"):
        build_book(checkout, progress=False, report=told.append)
    assert told[0] == "[1/2] 01 The first: failed"
    assert told[1].startswith("[2/2] 02 The second: ")
    assert not checkout.html.exists()


def test_the_old_book_stays_when_the_new_one_does_not_build(checkout):
    old = checkout.html / "index.html"
    old.parent.mkdir(parents=True)
    old.write_text("the old book")
    preface = checkout.root / "book" / "preface.md"
    preface.write_text("# Preface\n\n{ref}`nowhere`\n")
    with pytest.raises(CommandError, match=r"book/preface\.md:3: WARNING:.*nowhere") as caught:
        build_committed(checkout)
    assert str(checkout.root) not in str(caught.value)
    assert "nowhere" in (checkout.runs / "book.log").read_text()
    assert old.read_text() == "the old book"
    assert not list(checkout.runs.glob(".book-*"))


def test_refresh_renews_outputs_and_records_and_nothing_else(checkout):
    path = checkout.root / "notebooks" / "01_first.ipynb"
    before, other = read_notebook(path), checkout.root / "notebooks" / "02_second.ipynb"
    untouched = other.read_bytes()
    refresh(checkout, ["first"], progress=False, report=quiet)
    after = read_notebook(path)
    assert [cell.id for cell in after.cells] == [cell.id for cell in before.cells]
    assert after.metadata == before.metadata
    assert after.cells[2].outputs[0].text == "epochs 3 in notebooks\n"
    assert len(after.cells[2].outputs) == 1
    assert [cell.execution_count for cell in after.cells[1:]] == [1, 2]
    assert other.read_bytes() == untouched
    record = read_record(checkout.results / "chapters" / "01-cpu.json")
    assert record.parameters["epochs"] == 3

    text = path.read_bytes()
    refresh(checkout, ["01"], force=True, progress=False, report=quiet)
    assert path.read_bytes() == text, "the same outputs are the same file"
    build_committed(checkout)
    runs = (checkout.html / "book" / "runs.html").read_text()
    assert "not recorded" in runs
    assert "epochs 3 in notebooks" in (checkout.html / "notebooks" / "01_first.html").read_text()


def test_refresh_changes_nothing_if_a_chapter_fails(checkout):
    write_notebook(checkout.root, "02_second", code("1 / 0"))
    before = {path.name: path.read_bytes() for path in checkout.manifest.parent.iterdir()}
    with pytest.raises(CommandError, match="chapter 02 failed"):
        refresh(checkout, progress=False, report=quiet)
    assert {p.name: p.read_bytes() for p in checkout.manifest.parent.iterdir()} == before
    with pytest.raises(UsageError, match="no chapter 'thrid'"):
        refresh(checkout, ["01", "thrid"], report=quiet)


def test_damaged_records_are_named_and_passed_over(checkout, monkeypatch):
    monkeypatch.setattr(pages, "_jupyter_book", lambda *_: None)
    for folder, text in {
        "chapters": '{"schema": 1}',
        "demo": '{"schema": 99}',
    }.items():
        path = checkout.results / folder / "01-cpu.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    write_record(new_record("demo", "b", parameters={}, metrics={}), checkout.results)
    told = []
    with pytest.raises(CommandError, match="should have 4 pages"):  # none is built here
        build_committed(checkout, report=told.append)
    first, second = told
    assert re.search(r"warning: passed over: .*chapters/01-cpu\.json lacks field", first)
    assert re.search(r"warning: passed over: .*demo/01-cpu\.json: field schema must be", second)
