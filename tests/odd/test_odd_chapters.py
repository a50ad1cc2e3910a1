"""Manifests and requests for chapters that are not as they should be."""

import pytest
import yaml

from eae_book.runner.manifest import load_manifest
from eae_core.errors import UsageError

GOOD = {
    "id": "01",
    "slug": "first",
    "title": "First",
    "needs": ["digits"],
    "minutes": {"quick": 1.0, "cpu": 1.0, "paper": 1.0},
    "inputs": ["eae-mnist", "benchmarks/entropy-*"],
    "outputs": [],
    "profiles": {"quick": {}, "cpu": {}, "paper": {}},
}
ENTRIES = {
    "number for an id": {"id": 1},
    "place above for an id": {"id": "../.."},
    "no id": {"id": ""},
    "folder in a slug": {"slug": "a/b"},
    "line end in a slug": {"slug": "a\nb"},
    "no title": {"title": ""},
    "escape code in a title": {"title": "\x1b[31mred"},
    "line end in a title": {"title": "a\nb"},
    "minutes below 0": {"minutes": {"quick": -1.0, "cpu": 1.0, "paper": 1.0}},
    "minutes that are none": {"minutes": {"quick": float("nan"), "cpu": 1.0, "paper": 1.0}},
    "unknown data": {"needs": ["mnistt"]},
    "one word for data": {"needs": "digits"},
    "records above": {"inputs": ["../secret"]},
    "records elsewhere": {"inputs": ["/etc/*"]},
    "unknown profile": {"profiles": {"fast": {}}},
    "list in a profile": {"profiles": {"quick": {"a": [1]}, "cpu": {}, "paper": {}}},
    "unknown key": {"colour": 1},
}
FILES = {
    "empty": "",
    "a list": "- 1",
    "tab": "chapters:\n\t- x",
    "code": 'chapters: !!python/object/apply:os.system ["true"]',
    "zero byte": "chapters: [\x00]",
    "brackets": "[" * 5000,
    "key twice": "chapters: []\nchapters: []",
    "two documents": "chapters: []\n---\nchapters: []",
    "word for a list": "chapters: yes",
    "id twice": yaml.safe_dump({"chapters": [GOOD, GOOD | {"slug": "second"}]}),
    "slug twice": yaml.safe_dump({"chapters": [GOOD, GOOD | {"id": "02"}]}),
}


@pytest.mark.parametrize("kind", [*ENTRIES, *FILES, *(f"without {key}" for key in GOOD)])
def test_manifests_that_are_none(tmp_path, kind):
    path = tmp_path / "manifest.yml"
    entry = {key: value for key, value in GOOD.items() if kind != f"without {key}"}
    text = yaml.safe_dump({"chapters": [entry | ENTRIES.get(kind, {})]})
    path.write_text(FILES.get(kind, text), encoding="utf-8")
    with pytest.raises(UsageError, match=r"manifest\.yml"):
        load_manifest(path)


@pytest.mark.parametrize("request_", ["99", "-1", "", "0", "1.0", "01 ", "\x1b[31m", "None"])
def test_chapters_that_are_not_there(tmp_path, request_):
    path = tmp_path / "manifest.yml"
    path.write_text(yaml.safe_dump({"chapters": [GOOD]}), encoding="utf-8")
    with pytest.raises(UsageError, match="there is no chapter"):
        load_manifest(path).find(request_)
