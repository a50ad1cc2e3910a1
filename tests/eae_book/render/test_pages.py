"""What is checked of built pages, and how they take the place of the old ones."""

import sys
from pathlib import Path

import pytest

from eae_book.render.pages import check_pages, check_paths, replace_folder
from eae_core.errors import CommandError

ROOT = Path("/home/someone/checkout")


@pytest.fixture
def html(tmp_path):
    """A built site of two pages."""
    for page in ("index", "book/a", "notebooks/b"):
        path = tmp_path / f"{page}.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text("<html>")
    for source in ("book/a.md", "notebooks/b.ipynb"):
        path = tmp_path / "_sources" / source
        path.parent.mkdir(parents=True)
        path.write_text("x")
    return tmp_path


def test_the_pages_are_those_of_the_table_of_contents(html):
    check_pages(html, ["book/a", "notebooks/b"])
    with pytest.raises(CommandError, match=r"3 pages and has 2\n  missing: book/c"):
        check_pages(html, ["book/a", "notebooks/b", "book/c"])
    with pytest.raises(CommandError, match=r"1 pages and has 2\n  not in _toc\.yml: notebooks/b"):
        check_pages(html, ["book/a"])


def test_an_empty_site_is_an_error(html, tmp_path):
    (html / "book" / "a.html").unlink()
    (html / "index.html").unlink()
    with pytest.raises(CommandError, match=r"(?s)has 1\n.*missing: book/a\n.*missing: index\.html"):
        check_pages(html, ["book/a", "notebooks/b"])


@pytest.mark.parametrize("path", [str(ROOT), f"file://{ROOT}/book", f"{sys.prefix}/lib"])
@pytest.mark.parametrize("file", ["book/a.html", "_sources/book/a.md"])
def test_a_page_that_names_this_machine_is_an_error(html, path, file):
    check_paths(html, ROOT)
    (html / file).write_text(f"see {path} there")
    with pytest.raises(CommandError, match=f"page {file} names a folder of this machine"):
        check_paths(html, ROOT)


def test_a_folder_takes_the_place_of_another_and_nothing_else_stays(tmp_path):
    new, target = tmp_path / "new", tmp_path / "deep" / "target"
    for text in ("first", "second"):
        new.mkdir()
        (new / text).write_text(text)
        replace_folder(new, target)
        assert [path.name for path in target.iterdir()] == [text]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_the_old_folder_stays_if_there_is_no_new_one(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "absent", target)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (target / "old").exists()
