"""The manifest: validation, and finding a chapter."""

import pytest
from tiny_checkout import entry, write_manifest

from eae_book.runner.manifest import load_manifest
from eae_core.errors import UsageError


@pytest.fixture
def manifest(tmp_path):
    second = entry(id="12", slug="k_neighbours", title="Neighbours")
    return load_manifest(write_manifest(tmp_path, entry(), second))


@pytest.mark.parametrize(
    "request_",
    ["12", "k_neighbours", "12_k_neighbours", "12_k_neighbours.ipynb", "a/12_k_neighbours.ipynb"],
)
def test_a_chapter_is_found_by_id_slug_and_file(manifest, request_):
    assert manifest.find(request_).title == "Neighbours"


def test_a_leading_zero_may_be_left_out(manifest):
    assert manifest.find("1") is manifest.find("01")
    assert manifest.notebook(manifest.find("1")).name == "01_first.ipynb"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("k_neighbors", "no chapter 'k_neighbors'; did you mean 'k_neighbours'"),
        ("frist", "did you mean 'first'"),
        ("99", "possible: 01_first, 12_k_neighbours"),
        ("", "possible: 01_first, 12_k_neighbours"),
    ],
)
def test_an_unknown_chapter_is_answered_with_the_nearest(manifest, request_, message):
    with pytest.raises(UsageError, match=message):
        manifest.find(request_)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 1}, "id must be text, written in quotes"),
        ({"id": ""}, "id must be text"),
        ({"slug": "../x"}, "slug '../x' may hold letters"),
        ({"title": None}, "title must be text"),
        ({"needs": "mnist"}, r"needs: must be a list; write \[mnist\]"),
        ({"inputs": [1]}, "inputs: must be a list of names"),
        ({"minutes": {"quick": 1}}, "minutes: must give a number for each of quick, cpu, paper"),
        ({"minutes": {"quick": True, "cpu": 1, "paper": 1}}, "quick must be a number of minutes"),
        ({"minutes": {"quick": -1, "cpu": 1, "paper": 1}}, "quick must be a number of minutes"),
        ({"profiles": {"quick": {}}}, "profiles: must hold quick, cpu, paper"),
        ({"profiles": {"quick": [], "cpu": {}, "paper": {}}}, "quick must be a mapping"),
        ({"profiles": {"quick": {"a": [1]}, "cpu": {}, "paper": {}}}, r"quick\.a must be a number"),
        ({"profiles": {"quick": {}, "cpu": {"a": 1}, "paper": {}}}, "cpu must be {}"),
        ({"tolerance": "5 %"}, "tolerance must be a number from 0 to below 1"),
        ({"tolerance": 1}, "tolerance must be a number from 0"),
        ({"need": []}, "unknown key 'need'; did you mean 'needs'"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, changes, message):
    path = write_manifest(tmp_path, entry(id="00", slug="zeroth"), entry(**changes))
    with pytest.raises(UsageError, match=f"entry 2.*{message}"):
        load_manifest(path)


def test_the_tolerance_of_a_chapter_is_small_unless_it_declares_another(tmp_path):
    path = write_manifest(tmp_path, entry(), entry(id="02", slug="second", tolerance=0.2))
    first, second = load_manifest(path).chapters
    assert (first.tolerance, second.tolerance) == (0.001, 0.2)


def test_missing_keys_and_repeated_names_are_errors(tmp_path):
    incomplete = entry()
    del incomplete["needs"]
    with pytest.raises(UsageError, match="the key 'needs' is missing"):
        load_manifest(write_manifest(tmp_path, incomplete))
    with pytest.raises(UsageError, match="two chapters have the id '01'"):
        load_manifest(write_manifest(tmp_path, entry(), entry(slug="other")))
    with pytest.raises(UsageError, match="two chapters have the slug 'first'"):
        load_manifest(write_manifest(tmp_path, entry(), entry(id="02")))


@pytest.mark.parametrize("text", ["", "chapters: 3", "[]", "chapter: []"])
def test_a_file_that_is_no_manifest(tmp_path, text):
    path = tmp_path / "manifest.yml"
    path.write_text(text)
    with pytest.raises(UsageError, match="must hold a list named 'chapters'"):
        load_manifest(path)
    path.write_text("chapters: []\nprofile: {}\n")
    with pytest.raises(UsageError, match="unknown key 'profile'"):
        load_manifest(path)
    path.write_text("chapters: [3]")
    with pytest.raises(UsageError, match="entry 1: must be a mapping"):
        load_manifest(path)
