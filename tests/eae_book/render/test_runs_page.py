"""The generated page of runs and hardware."""

import dataclasses

import pytest
from markdown_it import MarkdownIt
from tiny_checkout import entry, write_manifest

from eae_book.records import new_record
from eae_book.render.runs_page import runs_page, spell_bytes, spell_seconds
from eae_book.runner.manifest import load_manifest


@pytest.fixture
def chapters(tmp_path):
    second = entry(id="02", slug="second", title="A | B_c $d$")
    return load_manifest(write_manifest(tmp_path, entry(), second)).chapters


@pytest.fixture
def record():
    made = new_record(
        "chapters", "01-quick", parameters={}, metrics={}, seconds=75.2, peak_memory_bytes=2**30
    )
    return dataclasses.replace(
        made, created="2026-11-21T01:02:03+00:00", device="NVIDIA H100", versions={"torch": "2.13"}
    )


def breakable(page):
    """The page with ordinary spaces and hyphens."""
    return page.replace("\u00a0", " ").replace("\u2011", "-")


def test_numbers_stay_with_their_units_and_dates_whole(chapters, record):
    page = runs_page([(chapters[0], record)])
    assert "| 1\u00a0min\u00a015\u00a0s<br>1.0\u00a0GiB |" in page
    assert "<br>2026\u201111\u201121 |" in page


def test_a_chapter_is_shown_with_its_run(chapters, record):
    page = breakable(runs_page([(chapters[0], record)]))
    row = next(line for line in page.splitlines() if "01_first" in line)
    assert row == (
        "| [01 The first](../notebooks/01_first.ipynb)<br>`quick` | 1 min 15 s<br>1.0 GiB "
        "| NVIDIA H100<br>2026-11-21 |"
    )
    assert "| torch | 2.13 |" in page
    assert "Recorded results" not in page


def test_a_chapter_without_a_record_says_so(chapters):
    page = runs_page([(chapters[1], None)])
    assert "| not recorded |" in page
    assert "Versions" not in page


def test_titles_cannot_break_the_table(chapters, record):
    page = runs_page([(chapters[1], record)])
    assert r"[02 A \| B\_c \$d\$]" in page
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.replace(r"\|", "").count("|") for line in rows[:3]} == {4}


def test_markup_and_control_characters_of_a_record_are_text(chapters, record):
    odd = "<script>alert(1)</script> | `x` \x1b[31m\n# y"
    strange = dataclasses.replace(record, device=odd, versions={odd: odd}, created=odd)
    page = runs_page([(chapters[0], strange)], [dataclasses.replace(strange, experiment="e")])
    html = MarkdownIt("commonmark").enable("table").render(page)
    html = html.replace("<br />", "<br>")
    assert "<script" not in html
    assert "\x1b" not in html
    text = "&lt;script&gt;alert(1)&lt;/script&gt; | `x` \\x1b[31m # y"
    assert html.count(f"<td>{text}</td>") == 2, "package and version"
    assert html.count(f"<td>{text}<br>") == 2, "device of two runs"


def test_versions_that_differ_are_shown_beside_each_other(chapters, record):
    other = dataclasses.replace(record, versions={"torch": "2.12"})
    page = runs_page([(chapters[0], record), (chapters[1], other)])
    assert "| torch | 2.13, 2.12 |" in page


def test_recorded_experiments_are_listed(chapters, record):
    experiment = dataclasses.replace(record, experiment="eae-mnist", run="paper")
    page = breakable(runs_page([(chapters[0], record)], [experiment]))
    row = "| `eae-mnist` `paper` | 1 min 15 s<br>1.0 GiB | NVIDIA H100<br>2026-11-21 |"
    assert row in page
    of = dataclasses.replace(experiment, parameters={"dataset": "mnist", "model": "cv_vae"})
    page = runs_page([(chapters[0], record)], [of])
    assert r"| `eae-mnist` `paper`<br>mnist, cv\_vae |" in page


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 0 s"), (3599.6, "1 h 0 min")],
)
def test_durations_at_the_edges(seconds, words):
    assert spell_seconds(seconds) == words


def test_sizes_at_the_edges():
    assert [spell_bytes(2**20 * size) for size in (1, 999, 1024)] == ["1 MiB", "999 MiB", "1.0 GiB"]
