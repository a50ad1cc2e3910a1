"""Hashes of sources: what changes them and what does not."""

import pytest

from eae_core import provenance
from eae_core.provenance import code_hash


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules: b is built on base, c on nothing."""
    folder = tmp_path / "eae_core"
    folder.mkdir()
    for name, text in {
        "__init__.py": "",
        "base.py": '"""Base."""\nx = 1\n',
        "b.py": '"""B."""\nfrom eae_core.base import x\n\n\ndef f():\n    "One."\n    return x\n',
        "c.py": "import math\ny = math.pi\n",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(provenance, "__file__", str(folder / "provenance.py"))
    return folder


def hashes():
    return [code_hash(f"eae_core.{name}") for name in ("base", "b", "c")]


def test_a_change_reaches_the_modules_built_on_it_and_no_others(package):
    before = hashes()
    (package / "base.py").write_text('"""Base."""\nx = 2\n')
    changed = [a != b for a, b in zip(before, hashes(), strict=True)]
    assert changed == [True, True, False]


def test_words_do_not_count_for_a_module_and_do_for_the_package(package):
    before, whole = hashes(), code_hash()
    text = '"Other."\n# why\nfrom eae_core.base import x\ndef f():\n    "Two."\n    return x\n'
    (package / "b.py").write_text(text)
    assert hashes() == before
    assert code_hash() != whole


def test_an_unknown_module_is_refused(package):
    with pytest.raises(ModuleNotFoundError, match=r"eae_core\.d"):
        code_hash("eae_core.d")
