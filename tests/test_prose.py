"""The book's prose: how long it is, how long the course takes, and the words of the field."""

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
import yaml

from eae_book.render.folding import fold
from eae_book.render.reading import reading_minutes
from eae_book.render.staging import the_course, toc_documents

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
MOST_WORDS = 40_000  # in the text cells of all twenty chapters
MOST_MINUTES = 180
# Words for which the field has others, how often they still stand in prose; where they are right.
STRANGE = {r"laws?": 1, r"judges?": 1}
WORDS_OF_FIGURES = (("figure", "caption"), ("image", "alt"))
RIGHT = r"laws? of large numbers|power laws?|scaling laws?"


def notebook(page):
    return nbformat.read(ROOT / f"{page}.ipynb", as_version=4)


def texts(page):
    """What a page says in words: text cells and captions, or the whole of a page of prose."""
    path = ROOT / f"{page}.md"
    if path.exists():
        return [path.read_text(encoding="utf-8")]
    if not page.startswith("notebooks/"):
        return []  # generated
    cells = notebook(page).cells
    figures = [cell.metadata.get("mystnb", {}) for cell in cells]
    said = [of[part][of_it] for of in figures for part, of_it in WORDS_OF_FIGURES if part in of]
    return [cell.source for cell in cells if cell.cell_type == "markdown"] + said


def prose(text):
    """A text without code, mathematics, and targets of links."""
    text = re.sub(r"(?ms)^```(?!\{).*?^```$|\$\$.*?\$\$", " ", text)
    text = re.sub(r"\{[\w:]+\}`(?:([^`<]*)<[^>`]*>|[^`]*)`", r"\1", text)
    return re.sub(r"`[^`]*`|\$[^$]*\$|^\([\w-]+\)=|^:\w+: .*$", " ", text, flags=re.MULTILINE)


def test_the_chapters_are_no_longer_than_they_were():
    chapters = [page for page in toc_documents(TOC) if page.startswith("notebooks/")]
    cells = [cell for page in chapters for cell in notebook(page).cells]
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    assert words <= MOST_WORDS


def test_the_course_takes_three_hours_at_most():
    minutes = {}
    for page in the_course(TOC):
        prose_alone = (ROOT / f"{page}.md").exists()
        cells = (
            [{"cell_type": "markdown", "source": texts(page)[0]}]
            if prose_alone
            else fold(notebook(page)).cells
        )
        minutes[page] = reading_minutes(cells)
    assert len(minutes) >= 7
    assert sum(minutes.values()) <= MOST_MINUTES, minutes


def test_where_to_go_next_leads_along_the_course():
    for page, following in pairwise(the_course(TOC)):
        _, end, last = "\n\n".join(texts(page)).rpartition("Where to go next")
        label = re.match(r"\(([\w-]+)\)=", texts(following)[0])[1]
        assert end, page
        assert re.search(rf"`{label}`|<{label}>`", last), f"{page} does not lead to {label}"


@pytest.mark.parametrize("word", STRANGE)
def test_words_of_the_field_are_used(word):
    pages = {page: prose("\n\n".join(texts(page))) for page in toc_documents(TOC)}
    found = {
        page: len(re.findall(rf"\b{word}\b", re.sub(RIGHT, "", text), re.IGNORECASE))
        for page, text in pages.items()
    }
    assert sum(found.values()) <= STRANGE[word], {page: n for page, n in found.items() if n}


def test_prose_is_told_from_code_and_links():
    text = "a law\n```python\nlaw = 1\n```\n{ref}`the law <law>` $law$ `law` {ref}`law`\n(law)=\n"
    assert prose(text).split() == ["a", "law", "the", "law"]
