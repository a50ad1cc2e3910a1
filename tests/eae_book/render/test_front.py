"""The first page: samples of four models once all four are recorded, and findings from records."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from eae_book.records import new_record, save_record
from eae_book.render.front import (
    CHAPTER,
    FRONT,
    GAP,
    NEIGHBOURS,
    REGULARIZER_NAMES,
    SETS,
    VARIANTS,
    _best,
    _contest,
    _distances,
    _inception,
    front_files,
)
from eae_core.evaluation.sheets import sheet_names, write_sheet

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ("_answer.md", "_front.md")
RUNS = tuple(VARIANTS)


def record(root, dataset, model, distance, *, sheet=True):
    channels, side = (1, 32) if dataset == "mnist" else (3, 64)
    features = SETS[dataset][1]
    made = new_record(
        FRONT,
        f"{dataset}-{model}-seed0",
        parameters={"dataset": dataset},
        metrics={f"fd_{features}_standard": distance},
    )
    save_record(made, root / FRONT / f"{made.run}.json")
    if sheet:
        shade = torch.arange(10).view(10, 1, 1, 1).expand(10, channels, side, side) / 10
        rows = dict.fromkeys(sheet_names(["own"]), shade)
        write_sheet(rows, root / FRONT / made.run)


def figures(root):
    files = front_files(root)
    return BeautifulSoup(files["_front.md"], "html.parser").select("figure"), files


def test_without_records_there_are_findings_and_no_picture(tmp_path):
    found, files = figures(tmp_path)
    assert found == []
    assert list(files) == list(TEXTS)
    assert "What we found" in files["_front.md"]
    assert "On digits, yes.\n" in files["_answer.md"]


def test_a_data_set_is_shown_once_all_four_models_are_there(tmp_path):
    for number, model in enumerate(RUNS[:-1]):
        record(tmp_path, "mnist", model, 30.0 + number)
    assert figures(tmp_path)[0] == []
    record(tmp_path, "mnist", RUNS[-1], 12.34, sheet=False)
    assert figures(tmp_path)[0] == [], "numbers without pictures"
    record(tmp_path, "mnist", RUNS[-1], 12.34)
    (figure,), files = figures(tmp_path)
    assert [p.b.get_text() for p in figure.select("p")] == list(VARIANTS.values())
    assert [p.get_text().split()[-1] for p in figure.select("p")] == [
        "30.0",
        "31.0",
        "32.0",
        "12.3",
    ]
    sources = [img["src"].removeprefix("../") for img in figure.select("img")]
    assert set(sources) == set(files) - set(TEXTS)
    strip = np.asarray(Image.open(io.BytesIO(files[sources[0]])))
    assert strip.shape == (32, 10 * 32 + 9 * GAP, 4)
    assert strip[0, 0].tolist() == [0, 0, 0, 255]
    assert strip[0, 32].tolist()[-1] == 0, "nothing between two images"
    assert strip[0, 34, :3] == pytest.approx(25.5, abs=1)


def test_other_data_sets_stand_below_the_findings(tmp_path):
    for dataset in ("mnist", "celeba64"):
        for model in RUNS:
            record(tmp_path, dataset, model, 5.0)
    text = front_files(tmp_path)["_front.md"]
    places = [text.index(part) for part in ("fig-front-mnist", "What we found", "fig-front-faces")]
    assert places == sorted(places)


def test_the_caption_leads_to_the_chapter_of_the_runs(tmp_path):
    assert (ROOT / "notebooks" / f"{CHAPTER}.ipynb").exists()
    for model in RUNS:
        record(tmp_path, "mnist", model, 5.0)
    (digits,), _ = figures(tmp_path)
    assert digits.figcaption.a["href"] == f"../notebooks/{CHAPTER}.html"


def test_the_answer_has_the_numbers_of_the_first_finding():
    files = front_files(ROOT / "data" / "results")
    none, low = re.search(
        r"distance of (\S+) with batch .*? and (\S+) with", files["_front.md"]
    ).groups()
    said = re.search(
        r"falls from (\d+) with batch normalisation alone to (\d+)", files["_answer.md"]
    )
    assert said.groups() == (f"{float(none):.0f}", f"{float(low):.0f}")


def test_the_words_beside_the_numbers_are_true_of_the_records():
    root = ROOT / "data" / "results"
    with_term = {}  # distance with the term at its best, over batch normalisation alone
    for dataset in ("mnist", "celeba64", "cifar10"):
        found = _distances(dataset, root)
        with_term[dataset] = _best(found) / found["eae-w0"]
    assert with_term["mnist"] < 0.6, "it works"
    assert 0.7 < with_term["celeba64"] < 0.9, "a little"
    assert 0.9 < with_term["cifar10"] < 1, "it hardly matters"
    fitted = _distances("mnist", root, "mixture")
    assert fitted["ae"] < _best(_distances("mnist", root)), "you do not need it"
    terms = _contest("mnist", 16, root)
    others = {terms[name] for name in REGULARIZER_NAMES if name in terms}
    assert len(others) >= 7
    assert max(terms[name] for name in NEIGHBOURS) < min(others), "draw the best digits"
    inception = _inception(root)
    seen = _best(inception) / inception["eae-w0"]
    assert with_term["celeba64"] < seen < 1, "sees less"
    text = front_files(root)["_front.md"]
    assert len(re.findall(r"^\d\. \*\*", text, re.MULTILINE)) == 6
