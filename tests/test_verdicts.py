"""The page of verdicts names every claim once, and nothing that is not there."""

import re
from pathlib import Path
from statistics import fmean

import nbformat
import pytest
import yaml

from eae_book.records import load_records

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "verdicts.md").read_text(encoding="utf-8")
GROUPS = {"M": 6, "E": 4, "B": 5, "T": 6, "R": 3, "S": 5, "N": 4}
CLAIMS = [f"{group}{i + 1}" for group, count in GROUPS.items() for i in range(count)]
VERDICTS = re.compile(r"true|true, proved|true only if \S.{10,}|false|open")
HEADING = re.compile(r"^\(claim-([a-z]\d)\)=\n### ([A-Z]\d): (\S.*)$", re.MULTILINE)


def sections():
    """Text of each claim's section, by its id; a heading that is there twice is an error."""
    parts = HEADING.split(PAGE)[1:]
    found = {}
    for label, claim, body in zip(parts[0::4], parts[1::4], parts[3::4], strict=True):
        assert label == claim.lower(), f"the label of {claim} is claim-{label}"
        assert claim not in found, f"{claim} stands there twice"
        found[claim] = body
    return found


SECTIONS = sections()


def entry(claim, name):
    """The text behind "- **Name:**" in the section of a claim, or None."""
    found = re.findall(rf"^- \*\*{name}:\*\* (\S.*)$", SECTIONS[claim], re.MULTILINE)
    assert len(found) <= 1, f"{claim} has {len(found)} entries {name}"
    return found[0] if found else None


def book_sources():
    """Text of every page of the book: prose, and the markdown and figure names of chapters."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [each["file"] for part in toc["parts"] for each in part["chapters"]]
    for name in [toc["root"], *chapters]:
        page, notebook = ROOT / f"{name}.md", ROOT / f"{name}.ipynb"
        if page.exists():
            yield page.read_text(encoding="utf-8")
        elif notebook.exists():
            for cell in nbformat.read(notebook, as_version=4).cells:
                yield cell.source if cell.cell_type == "markdown" else ""
                figure = cell.metadata.get("mystnb", {}).get("figure")
                yield f"({figure['name']})=" if figure else ""


def labels(text):
    """Labels that MyST, sphinx-proof, sphinx-exercise and equations define in a text."""
    found = re.findall(r"^\(([a-z0-9-]+)\)=", text, re.MULTILINE)
    found += re.findall(r"^:(?:label|name): ([a-z0-9-]+)", text, re.MULTILINE)
    return {*found, *re.findall(r"\$\$ \(([a-z0-9-]+)\)", text)}


def test_there_are_33_claims_and_each_stands_there_once():
    assert len(CLAIMS) == 33
    assert list(SECTIONS) == CLAIMS


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_a_verdict_a_source_and_what_carries_it(claim):
    verdict = entry(claim, "Verdict")
    assert VERDICTS.fullmatch(verdict)
    assert "{cite}" in entry(claim, "Source")
    if verdict == "open":
        assert entry(claim, "Missing"), "an open claim says what is missing"
    else:
        assert entry(claim, "Bounds"), "a verdict says how far it reaches"
        assert re.search(r"\{(prf:ref|numref|ref)\}`", entry(claim, "Section"))
        assert entry(claim, "Missing") is None
    if verdict == "true, proved":
        assert "{prf:ref}" in entry(claim, "Section"), "a proof has a number"


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_table_at_the_top_says_the_same(claim):
    rows = re.findall(rf"^\| {{ref}}`{claim} <claim-{claim.lower()}>` .* \| (.*) \|$", PAGE, re.M)
    assert rows == [entry(claim, "Verdict")]


def test_every_label_that_is_linked_to_exists():
    defined = set().union(*map(labels, book_sources()))
    linked = re.findall(r"\{(?:prf:ref|numref|ref|eq)\}`(?:[^`<]*<)?([^`>]+)>?`", PAGE)
    assert len(linked) > 60
    assert sorted(set(linked) - defined) == []


def test_every_work_that_is_cited_is_in_the_bibliography():
    known = re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), re.M)
    cited = {key for keys in re.findall(r"\{cite\}`([^`]+)`", PAGE) for key in keys.split(",")}
    assert cited
    assert cited <= set(known)


def test_every_folder_of_records_that_is_named_holds_records():
    folders = set(re.findall(r"`(data/results/[^`]*)`", PAGE))
    assert folders
    for folder in folders:
        assert folder.endswith("/")
        assert list((ROOT / folder).glob("*.json")), folder


def test_a_label_that_is_not_there_would_be_found():
    text = "(a-b)=\n# T\n\n:label: thm-x\n\n$$\nx\n$$ (eq-y)\n"
    assert labels(text) == {"a-b", "thm-x", "eq-y"}


def test_the_numbers_of_the_relatives_are_those_of_their_records():
    """N1 to N4 speak of all recorded sizes, more than the chapter shows."""
    found = {(r.parameters["n"], r.parameters["d"]): r.metrics for r in load_records("preference")}
    assert sorted(found) == [(n, d) for n in (100, 512) for d in (16, 64, 128)]
    for terms in found.values():
        for name in ("sigreg", "wristband"):  # no sign is wrong, as far as the batches tell
            term = terms[name]
            assert all(p > -4 * term["errors"][q] for q, p in term["values"].items()), name
        assert terms["visreg"]["values"]["sphere"] < -4 * terms["visreg"]["errors"]["sphere"]
        assert terms["visreg"]["values"]["cube"] < -4 * terms["visreg"]["errors"]["cube"]
    assert round(found[100, 16]["sigreg"]["values"]["sphere"], 1) == 0.8
    far = found[100, 128]["sigreg"]
    assert abs(far["values"]["sphere"]) < 4 * far["errors"]["sphere"]
    entropy = {size: terms["knn_entropy"]["values"] for size, terms in found.items()}
    spheres = [values["sphere"] for values in entropy.values()]
    assert [round(-p, 1) for p in (max(spheres), min(spheres))] == [2.8, 12.6]
    assert all(values["cube"] < 0 for values in entropy.values())
    shapes = ("wide norms", "correlated pairs", "half rank", "ten clusters", "Laplace")
    assert min(v[q] for v in entropy.values() for q in shapes) > 3.4
    faint = {(*size, q): v[q] for size, v in entropy.items() for q in ("ring", "heavy coordinate")}
    assert [case for case, p in faint.items() if abs(p) > 0.5] == [(512, 16, "ring")]
    lines = [abs(values["two clusters"]) for values in entropy.values()]
    assert max(lines) < 0.51
    (settled,) = (r for r in load_records("settled-points") if r.run == "n100-d16")
    assert 0.04 < fmean(settled.metrics["visreg"]["norm_spread"]) < 0.07  # a twentieth
    runs = load_records("models-contest")
    assert len(runs) >= 21
    for run in runs:
        distance = run.metrics["gaussianity_energy_distance"]
        least = 9 if run.run.startswith("mnist") and "d16" in run.run else 2
        assert distance > least * run.metrics["gaussianity_energy_distance_high"], run.run
