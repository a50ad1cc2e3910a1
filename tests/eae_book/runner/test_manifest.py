"""The manifest: validation, and finding a chapter."""

import pytest
from tiny_checkout import entry, write_manifest

from eae_book.runner.manifest import load_manifest
from eae_core.errors import UsageError


def of_profiles(key, quick):
    """Changes of an entry: a value for quick under a key."""
    other = 1 if key == "minutes" else {}
    return {key: {"quick": quick, "cpu": other, "paper": other}}


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
        ("99", "possible: 01_first, 12_k_neighbours"),
        ("", "possible: 01_first, 12_k_neighbours"),
        ("²", "no chapter '²'; possible"),
    ],
)
def test_an_unknown_chapter_is_answered_with_the_nearest(manifest, request_, message):
    with pytest.raises(UsageError, match=message):
        manifest.find(request_)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 1}, r"id: should be a valid string, not 1 \(write it in quotes\)"),
        ({"id": ""}, "id: String should match pattern"),
        ({"slug": "../x"}, "slug: String should match pattern .*, not '../x'"),
        ({"title": None}, "title: should be a valid string, not None"),
        ({"needs": "mnist"}, "needs: should be a list, not 'mnist'"),
        ({"inputs": [1]}, "inputs, 0: should be a valid string, not 1"),
        ({"minutes": {"quick": 1}}, "minutes: should hold each of quick, cpu, paper; cpu is miss"),
        (of_profiles("minutes", True), "minutes, quick: should be a valid number, not True"),
        (of_profiles("minutes", -1), "minutes, quick: should be greater .* 0, not -1"),
        (of_profiles("minutes", float("inf")), "minutes, quick: should be a finite number"),
        ({"profiles": {"quick": {}}}, "profiles: should hold each of quick, cpu, paper"),
        (of_profiles("profiles", []), "profiles, quick: should be a mapping, not "),
        (of_profiles("profiles", {"a": [1]}), "profiles, quick, a: should be a number"),
        ({"profiles": {"quick": {}, "cpu": {"a": 1}, "paper": {}}}, "cpu should be {}"),
        ({"tolerance": "5 %"}, "tolerance: should be a valid number, not '5 %'"),
        ({"tolerance": 1.0}, "tolerance: should be less than 1, not 1.0"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"yml: should be a mapping, not None"),
        ("[]", r"yml: should be a mapping, not \[\]"),
        ("chapters: 3", "yml, chapters: should be a valid list, not 3"),
        ("chapter: []", "the key 'chapters' is missing"),
        ("chapters: []\nprofile: {}", "unknown key 'profile'"),
        ("chapters: [3]", "entry 1: should be a mapping, not 3"),
    ],
)
def test_a_file_that_is_no_manifest(tmp_path, text, message):
    path = tmp_path / "manifest.yml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_manifest(path)


def test_a_number_is_as_it_is_typed(tmp_path):
    path = write_manifest(tmp_path, entry())
    path.write_text(path.read_text().replace("id: '01'", "id: 010"))
    assert load_manifest(path).chapters[0].name == "010_first", "not 8_first"
