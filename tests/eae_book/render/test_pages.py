"""What is checked of built pages, and how they take the place of the old ones."""

import sys
from pathlib import Path

import pytest
from tiny_checkout import write_book

from eae_book.render import cleaning, pages
from eae_book.render.pages import STAMP, check_pages, check_paths, render, replace_folder
from eae_book.runner.project import Project
from eae_core.errors import CommandError
from eae_core.files import LockedError, locked

ROOT = Path("/home/someone/checkout")
EMPTY = '{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": []}'


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


@pytest.mark.parametrize("root", ["/code", "/data", "/srv"])
def test_a_checkout_in_a_folder_at_the_top_names_no_machine(html, root, monkeypatch):
    monkeypatch.setattr(cleaning.os.path, "expanduser", lambda path: path)  # nobody's home
    (html / "book" / "a.html").write_text(f"see {root} and {root}/results there")
    check_paths(html, Path(root))


def test_a_page_that_names_this_machine_is_an_error_before_it_is_built(tmp_path, monkeypatch):
    def build(*_):
        raise AssertionError("six minutes of work")

    monkeypatch.setattr(pages, "_jupyter_book", build)
    write_book(tmp_path, "01_x")
    notebook = EMPTY.replace(
        "[]", f'[{{"cell_type": "raw", "source": "{tmp_path}/x", "metadata": {{}}}}]'
    )
    with pytest.raises(CommandError, match=r"page notebooks/01_x\.ipynb names a folder of this"):
        render(Project(tmp_path), notebooks={"01_x": notebook}, runs_page="# Runs")


def test_what_a_killed_build_left_behind_is_swept_and_an_interrupt_keeps_the_old_book(
    tmp_path, monkeypatch
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pages, "_jupyter_book", interrupted)
    write_book(tmp_path, "01_x")
    project = Project(tmp_path)
    for left in (project.runs / ".book-1", project.html.parent / ".html-2", project.html):
        left.mkdir(parents=True)
        (left / "index.html").write_text("old")
    (project.html / STAMP).write_bytes(b"\xff of no build")
    with pytest.raises(KeyboardInterrupt, match="stopped; the book that was there before is kept"):
        render(project, notebooks={"01_x": EMPTY}, runs_page="# Runs")
    assert (project.html / "index.html").read_text() == "old"
    left = [
        path.name for folder in (project.runs, project.html.parent) for path in folder.iterdir()
    ]
    assert left == ["html"]


def test_two_builds_do_not_meet(tmp_path):
    write_book(tmp_path, "01_x")
    project = Project(tmp_path)
    with locked(project.html), pytest.raises(LockedError, match="being written by process"):
        render(project, notebooks={"01_x": EMPTY}, runs_page="# Runs")


def test_a_folder_takes_the_place_of_another_and_nothing_else_stays(tmp_path):
    new, target = tmp_path / "new", tmp_path / "deep" / "target"
    for text in ("first", "second"):
        new.mkdir()
        (new / text).write_text(text)
        replace_folder(new, target)
        assert [path.name for path in target.iterdir()] == [text]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def interrupting(rename):
    """`Path.rename` that Ctrl-C hits when the new folder is to be moved."""

    def interrupted(path, target):
        if path.name == "new":
            raise KeyboardInterrupt
        return rename(path, target)

    return interrupted


def test_the_old_folder_stays_if_there_is_no_new_one(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "absent", target)
    monkeypatch.setattr(Path, "rename", interrupting(Path.rename))
    (tmp_path / "new").mkdir()
    with pytest.raises(KeyboardInterrupt):
        replace_folder(tmp_path / "new", target)
    (tmp_path / "new").rmdir()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (target / "old").exists()
