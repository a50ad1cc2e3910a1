"""The folder that is rendered."""

import pytest
import yaml

from eae_book.render.staging import (
    check_places,
    repository_url,
    stage,
    staged_config,
    toc_documents,
)
from eae_book.runner.project import Project
from eae_core.errors import UsageError

EMPTY = '{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": []}'
CONFIG = {
    "title": "T",
    "execute": {"execute_notebooks": "force", "timeout": 3},
    "repository": {"url": "", "branch": "main"},
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "html": {"use_repository_button": True, "favicon": "x.svg"},
}


@pytest.fixture
def book(tmp_path):
    """A checkout with two pages."""
    (tmp_path / "book" / ".ipynb_checkpoints").mkdir(parents=True)
    (tmp_path / "book" / "preface.md").write_text("# Preface\n")
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    toc = {"format": "jb-book", "root": "book/preface", "chapters": [{"file": "book/runs"}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    return Project(tmp_path)


def test_without_an_address_there_are_no_links_to_one():
    staged = staged_config(CONFIG)
    assert "repository" not in staged
    assert "launch_buttons" not in staged
    assert staged["html"]["use_repository_button"] is False
    assert staged["html"]["favicon"] == "x.svg"


@pytest.mark.parametrize("repository", [None, {}, {"url": None}, {"url": " "}])
def test_an_address_may_be_missing_in_many_ways(repository):
    assert "repository" not in staged_config({"repository": repository})


def test_with_an_address_the_links_stay():
    repository = {"url": "https://github.com/someone/book", "branch": "main"}
    staged = staged_config({**CONFIG, "repository": repository})
    assert staged["repository"] == repository
    assert staged["launch_buttons"] == CONFIG["launch_buttons"]
    assert staged["html"] == CONFIG["html"]


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/someone/book.git",
        "https://github.com/someone/book/",
        "http://www.github.com/someone/book",
        "https://GitHub.com/someone/book",
        "git@github.com:someone/book.git",
        "ssh://git@github.com/someone/book.git",
        "git://github.com/someone/book.git",
        " github.com/someone/book ",
    ],
)
def test_an_address_in_any_form_of_git_is_the_address_of_a_page(address):
    assert repository_url(address) == "https://github.com/someone/book"
    staged = staged_config({**CONFIG, "repository": {"url": address}})
    assert staged["repository"] == {"url": "https://github.com/someone/book", "branch": "main"}


@pytest.mark.parametrize(
    "address",
    [
        "someone/book",
        "https://github.com/someone",
        "https://github.com/someone/book/tree/main",
        "https://github.com//book",
        "https://user:secret@github.com/someone/book",
        "file:///srv/book.git",
        "javascript:alert(1)",
        "https://github.com/someone/bo ok",
    ],
)
def test_what_is_no_address_is_refused_before_anything_runs(book, address):
    with pytest.raises(UsageError, match=r"repository\.url is .*such as https://github\.com"):
        repository_url(address)
    config = {**CONFIG, "repository": {"url": address}}
    (book.root / "_config.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(UsageError, match=r"repository\.url"):
        check_places(book, [])


def test_colab_opens_notebooks_of_github_alone():
    staged = staged_config({**CONFIG, "repository": {"url": "https://gitlab.com/a/b/c"}})
    assert staged["repository"]["url"] == "https://gitlab.com/a/b/c"
    assert "launch_buttons" not in staged


def test_what_cannot_be_built_is_said_before_a_chapter_runs(book):
    check_places(book, [])
    assert book.html.parent.is_dir()
    toc = {"root": "book/preface", "chapters": [{"file": "notebooks/01_x"}, {"file": "book/runs"}]}
    (book.root / "_toc.yml").write_text(yaml.safe_dump(toc))
    check_places(book, ["01_x"])
    with pytest.raises(UsageError, match="names the page 'notebooks/01_x'"):
        check_places(book, ["02_y"])
    book.html.parent.rmdir()
    book.html.parent.write_text("a file in place of the folder")
    with pytest.raises(OSError, match=r"cannot write .*_build"):
        check_places(book, ["01_x"])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("_config.yml", "repository: [1]", r"repository must be a mapping of options, not \[1\]"),
        ("_config.yml", "html: 3", "html must be a mapping"),
        ("_config.yml", "execute: off", "execute must be a mapping"),
        ("_toc.yml", "", "names no page"),
        ("_toc.yml", "root: ../../etc/passwd", "names the page '../../etc/passwd'"),
    ],
)
def test_settings_of_another_shape_are_named(book, file, text, message):
    (book.root / file).write_text(text)
    with pytest.raises(UsageError, match=message):
        check_places(book, [])


def test_what_cannot_be_copied_is_named(book, tmp_path):
    (book.root / "book" / "x.md").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"cannot copy book/x\.md: .*No such file"):
        stage(book, tmp_path / "new", notebooks={}, runs_page="")


def test_rendering_never_executes():
    staged = staged_config(CONFIG)
    assert staged["execute"] == {"execute_notebooks": "off", "timeout": 3}
    assert CONFIG["execute"]["execute_notebooks"] == "force", "the original was changed"


def test_all_pages_of_a_table_of_contents_are_found():
    toc = {
        "root": "a",
        "parts": [
            {"chapters": [{"file": "b.ipynb", "sections": [{"file": "c"}]}, {"url": "https://x"}]},
            {"caption": "file", "chapters": [{"file": "d.md"}]},
        ],
    }
    assert toc_documents(toc) == ["a", "b", "c", "d"]


def test_the_staged_folder_holds_everything(book, tmp_path):
    pages = stage(book, tmp_path / "new", notebooks={"01_x": EMPTY}, runs_page="# Runs\n")
    assert pages == ["book/preface", "book/runs"]
    found = {p.relative_to(tmp_path / "new").as_posix() for p in (tmp_path / "new").rglob("*")}
    assert found == {
        "_config.yml",
        "_toc.yml",
        "book",
        "book/_answer.md",
        "book/_front.md",
        "book/preface.md",
        "book/runs.md",
        "notebooks",
        "notebooks/01_x.ipynb",
    }
    assert not (book.root / "book" / "runs.md").exists(), "the sources were written to"


def test_a_page_without_a_file_is_named(book, tmp_path):
    (book.root / "_toc.yml").write_text("root: book/preface\nchapters: [{file: book/absent}]\n")
    with pytest.raises(UsageError, match="names the page 'book/absent'"):
        stage(book, tmp_path / "new", notebooks={}, runs_page="")


def test_a_configuration_that_is_none_is_named(book, tmp_path):
    (book.root / "_config.yml").write_text("3\n")
    with pytest.raises(UsageError, match=r"_config\.yml must be a mapping"):
        stage(book, tmp_path / "new", notebooks={}, runs_page="")


def test_another_jupyter_book_is_said_before_a_chapter_runs(monkeypatch):
    from eae_book.render import book

    book.require_book()
    monkeypatch.setattr(book, "version", lambda name: "2.1.0")
    with pytest.raises(UsageError, match=r"need Jupyter Book 1, and 2\.1\.0 is installed.*pip"):
        book.require_book()


def test_the_preface_names_the_times_of_pages_and_parts(book, tmp_path):
    page = "book/preface"
    parts = [{"chapters": [{"file": "notebooks/01_x"}]}, {"chapters": [{"file": "book/runs"}]}]
    (book.root / "_toc.yml").write_text(yaml.safe_dump({"root": page, "parts": parts}))
    asks = "One {{ minutes of 01_x }}, course {{ minutes of the course }}.\n"
    (book.root / f"{page}.md").write_text(f"# Preface\n\n{asks}")
    stage(book, tmp_path / "new", notebooks={"01_x": EMPTY}, runs_page="# Runs\n")
    text = (tmp_path / "new" / f"{page}.md").read_text(encoding="utf-8")
    assert "One 1, course 1 minute." in text
    (book.root / f"{page}.md").write_text("# Preface\n\n{{ minutes of 02_y }}\n")
    with pytest.raises(UsageError, match=r"asks for \{\{ minutes of 02_y \}\}"):
        stage(book, tmp_path / "other", notebooks={"01_x": EMPTY}, runs_page="# Runs\n")
