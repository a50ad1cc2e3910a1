"""Heads of chapters: one design, and the time that reading takes."""

import nbformat
import pytest

from eae_book.render.reading import reading_minutes, with_head
from eae_book.render.staging import staged_chapter

ROWS = "| | |\n|---|---|\n| Time to read | 20 minutes |\n| Needs | nothing |\n"
COLUMNS = "| time to read | needs |\n|---|---|\n| 20 minutes | nothing |\n"
OTHER = "| model | distance |\n|---|---|\n| AE | 37 |\n"


@pytest.mark.parametrize("table", [ROWS, COLUMNS])
def test_both_old_tables_become_the_same_head(table):
    made = with_head(f"(ch-a)=\n# A\n\nA promise.\n\n{table}\nWhat you will be able to do:\n", 7)
    assert "20 minutes" not in made
    assert "|" not in made
    assert made.index("# A") < made.index("Time to read\n: 7 minutes") < made.index("A promise.")
    assert "Needs\n: nothing" in made
    assert made.endswith("What you will be able to do:")


def test_a_table_of_results_is_no_head():
    made = with_head(f"# A\n\n{OTHER}", 7)
    assert OTHER.strip() in made
    assert "Time to read\n: 7 minutes" in made


def test_what_is_folded_takes_no_time():
    code = {"cell_type": "code", "source": "x\n" * 300, "outputs": [], "metadata": {"tags": []}}
    folded = {**code, "metadata": {"tags": ["hide-input"]}}
    solution = "```{solution} ex\n:class: dropdown\n" + "word " * 2000 + "\n```\n"
    assert reading_minutes([code]) == 10
    assert reading_minutes([folded]) == 1
    assert reading_minutes([{"cell_type": "markdown", "source": solution}]) == 1


def test_a_chapter_is_staged_folded_and_with_its_head():
    cells = [
        nbformat.v4.new_markdown_cell(f"# A\n\n{ROWS}\n{'word ' * 300}"),
        nbformat.v4.new_code_cell("import math"),
    ]
    text, minutes = staged_chapter(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
    first, second = nbformat.reads(text, as_version=4).cells
    assert minutes == 2
    assert ": 2 minutes" in first.source
    assert "hide-input" in second.metadata.tags
