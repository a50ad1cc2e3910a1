"""Committed outputs beside new ones: what is found, and what rounding may do."""

import copy
from pathlib import Path

import pytest

from eae_book.checks import check, check_close
from eae_book.render.comparison import NUMBER, VALUE, differences, shown_lines
from eae_book.runner.chapter import read_notebook
from eae_book.runner.manifest import load_manifest

MANIFEST = load_manifest(Path(__file__).resolve().parents[3] / "notebooks" / "manifest.yml")


def cell(*outputs):
    return {"cells": [{"id": "a", "cell_type": "code", "outputs": list(outputs)}]}


def printed(text):
    return cell({"output_type": "stream", "name": "stdout", "text": text})


def shown(**data):
    types = {"html": "text/html", "plain": "text/plain", "png": "image/png"}
    return cell({"output_type": "display_data", "data": {types[k]: v for k, v in data.items()}})


@pytest.mark.parametrize(
    ("before", "after", "tolerance", "same"),
    [
        ("1.234", "1.235", 0, True),  # one in the last digit
        ("1.234", "1.236", 0, False),
        ("100.0", "104.9", 0.05, True),
        ("100.0", "105.6", 0.05, False),
        ("16 units", "15 units", 0.05, False),  # a whole number is exact
        ("1.0e-03", "1.1e-03", 0, True),
        ("1.0e-03", "1.0e-04", 0.5, False),
        ("12.1 ± 0.30", "12.1 ± 0.60", 0.05, True),  # 0.05 of 12.1
        ("12.1 ± 0.30", "12.1 ± 1.60", 0.05, False),
        ("+0.10", "-0.10", 0.5, False),
        ("torch 2.13.0", "torch 2.14.0", 1, False),
        ("1,500 images", "1,600 images", 0.05, False),
        ("law   1.0", "law 1.0", 0, True),
        ("ahead of all", "ahead of 5", 1, False),
        ("value nan", "value 3", 1, False),
        ("one line", "one line\nanother", 1, False),
    ],
)
def test_numbers_may_move_and_words_may_not(before, after, tolerance, same):
    assert (differences(printed(before), printed(after), tolerance=tolerance) == []) == same


@pytest.fixture
def claim(capsys):
    """The line of a claim."""

    def claim(value, **band):
        target = band.pop("of", None)
        if target is None:
            check("entropy at d = 16", value, unit="nats", **band)
        else:
            check_close("entropy at d = 16", value, target, unit="nats", **band)
        return capsys.readouterr().out

    return claim


def test_the_value_of_a_claim_may_move_and_its_band_may_not(claim):
    before = printed(claim(0.50, low=0, high=2))
    assert differences(before, printed(claim(0.55, low=0, high=2)), tolerance=0.05) == []
    (found,) = differences(before, printed(claim(0.65, low=0, high=2)), tolerance=0.05)
    assert found.startswith("cell a: 0.5 became 0.65 in 'holds: entropy")
    for other in (claim(0.50, low=0, high=2.01), claim(0.50, high=2)):
        assert differences(before, printed(other), tolerance=1) != []
    relabelled = printed(claim(0.50, low=0, high=2).replace("d = 16", "d = 17"))
    assert differences(before, relabelled, tolerance=1) != []


def test_a_small_value_is_as_large_as_its_bound_and_rounding_is_left_to_its_band(claim):
    before = printed(claim(2e-3, high=0.5))
    assert differences(before, printed(claim(6e-3, high=0.5)), tolerance=0.01) == []
    assert differences(before, printed(claim(9e-3, high=0.5)), tolerance=0.01) != []
    before = printed(claim(1e-3, of=0.0, tolerance=0.5))
    assert differences(before, printed(claim(5e-3, of=0.0, tolerance=0.5)), tolerance=0.01) == []
    assert differences(before, printed(claim(9e-3, of=0.0, tolerance=0.5)), tolerance=0.01) != []
    before = printed(claim(2e-9, high=1e-5))
    assert differences(before, printed(claim(9e-6, high=1e-5)), tolerance=0.01) == []
    other = printed("holds: entropy at d = 16: value 2e-05 nats, band (-inf, 1e-05]\n")
    assert differences(before, other, tolerance=0.01) != [], "no claim that could have been made"


def test_tables_of_any_kind_are_compared_and_pictures_must_be_there():
    table = "<style>#T_{}{{}}</style><table><tr><td id='{}'>error</td><td>{}</td></tr></table>"
    before = shown(html=table.format("a1", "a1", "3.10"), plain="<pandas Styler>")
    assert list(shown_lines(before["cells"][0])) == ["error 3.10"]
    same, other = (shown(html=table.format("b2", "b2", text)) for text in ("3.11", "3.31"))
    assert differences(before, same, tolerance=0) == []
    assert differences(before, other, tolerance=0.05) == [
        "cell a: 3.10 became 3.31 in 'error 3.31'"
    ]
    picture = shown(png="AAAA", plain="<Figure size 640x480 with 1 Axes>")
    assert differences(picture, shown(png="BBBB"), tolerance=0) == []
    assert differences(picture, shown(plain="nothing"), tolerance=0) != []
    noise = {"output_type": "stream", "name": "stderr", "text": "5/5"}
    assert differences(cell(), cell(noise), tolerance=0) == []


@pytest.mark.parametrize("chapter", MANIFEST.chapters, ids=lambda chapter: chapter.id)
def test_a_number_that_is_changed_in_a_chapter_is_found(chapter):
    """The last number of every printed line, twice what it was: a claim's value, a table's cell."""
    committed = read_notebook(MANIFEST.notebook(chapter))
    assert differences(committed, committed, tolerance=0) == []
    changed, moved = copy.deepcopy(committed), 0
    for each in changed.cells:
        for output in each.get("outputs", []):
            if output.output_type == "stream":
                lines = [double(line) for line in output.text.splitlines(keepends=True)]
                moved += sum(map(str.__ne__, lines, output.text.splitlines(keepends=True)))
                output.text = "".join(lines)
    assert moved > 10
    assert len(differences(committed, changed, tolerance=chapter.tolerance)) == moved


def double(line):
    """The line with another number where its last one stood; a claim keeps its band."""
    pattern = VALUE if line.startswith("holds: ") else NUMBER
    found = list(pattern.finditer(line))
    if not found:
        return line
    last, digits = found[-1], len(found[-1][0].partition(".")[2])
    other = 2 * abs(float(last[0].replace(",", ""))) + 1e6
    return f"{line[: last.start()]}{other:.{digits}f}{line[last.end() :]}"
