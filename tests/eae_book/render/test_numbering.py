"""Chapters have the numbers of their files, in any order of the table of contents."""

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from eae_book.render.pages import render
from eae_book.runner.project import Project

DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
CHAPTERS = ("01_first", "06_sixth", "04b_between")


@pytest.mark.slow
def test_numbers_of_titles_links_and_figures_are_those_of_the_files(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book/preface.md").write_text("# Preface\n", encoding="utf-8")
    (tmp_path / "book/own.md").write_text("# Own\n", encoding="utf-8")
    (tmp_path / "book/dot.svg").write_text(DOT, encoding="utf-8")
    notebooks = {}
    for name in CHAPTERS:
        figure = f"```{{figure}} ../book/dot.svg\n:name: fig-{name[:2]}\nA dot.\n```"
        text = f"(ch-{name[:2]})=\n# {name}\n\n{figure}\n"
        cells = [nbformat.v4.new_markdown_cell(f"{text}\nSee {{numref}}`fig-06`.")]
        python = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        notebooks[name] = nbformat.writes(nbformat.v4.new_notebook(metadata=python, cells=cells))
    files = [f"notebooks/{name}" for name in CHAPTERS]
    of_parts = {"I": [*files[:2], "book/own"], "II": files[2:]}
    parts = [
        {"caption": caption, "numbered": 1, "chapters": [{"file": file} for file in found]}
        for caption, found in of_parts.items()
    ]
    toc = {"format": "jb-book", "root": "book/preface", "parts": parts}
    config = {"title": "T", "sphinx": {"config": {"numfig": True, "numfig_secnum_depth": 1}}}
    config["sphinx"]["extra_extensions"] = ["eae_book.render.numbering"]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    runs_page = "---\norphan: true\n---\n"
    page, _ = render(Project(tmp_path), notebooks=notebooks, runs_page=runs_page)

    html = page.parent
    for name, number in zip(CHAPTERS, ("1.", "6.", "4b."), strict=True):
        soup = BeautifulSoup((html / f"notebooks/{name}.html").read_text("utf-8"), "html.parser")
        assert soup.article.h1.select_one(".section-number").get_text(strip=True) == number
        assert soup.figcaption.select_one(".caption-number").get_text(strip=True) == (
            f"Fig. {number}1"
        )
        assert "Fig. 6.1" in soup.article.get_text()
        entries = [a.get_text(strip=True) for a in soup.select(".bd-sidebar-primary .toctree-l1 a")]
        numbers = [entry.split()[0].rstrip(".") for entry in entries if entry != "Preface"]
        assert numbers == ["1", "6", "Own", "4b"]
    soup = BeautifulSoup((html / "book/own.html").read_text("utf-8"), "html.parser")
    assert soup.article.h1.select_one(".section-number") is None
