"""The key under which a run is found again changes with all that decides its outputs."""

import nbformat
import pytest
from tiny_checkout import code, markdown

from eae_book.runner import fingerprint
from eae_book.runner.fingerprint import dependency_versions, run_key


@pytest.fixture
def notebook():
    cells = [markdown("# x"), code("n = 1", "parameters"), code("print(n)")]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def key(notebook, tmp_path):
    (tmp_path / "a.json").write_text("{}")

    def key(**changes):
        given = {"profile": "quick", "parameters": {"n": 2}, "files": [tmp_path / "a.json"]}
        return run_key(notebook, **(given | changes))

    return key


def test_outputs_do_not_count(notebook, key):
    before = key()
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="1\n")]
    notebook.cells[2].execution_count = 3
    assert key() == before


def test_cells_count(notebook, key):
    keys = {key()}
    notebook.cells[2].source = "print(n + 1)"
    keys.add(key())
    notebook.cells[2].metadata["tags"] = ["hide-input"]
    keys.add(key())
    notebook.cells.pop(0)
    keys.add(key())
    assert len(keys) == 4


def test_parameters_profile_and_files_count(key, tmp_path):
    keys = {key(), key(profile="cpu"), key(parameters={"n": 3}), key(parameters={"n": 2.0})}
    keys.add(key(files=[]))
    (tmp_path / "a.json").write_text("{} ")
    keys.add(key())
    assert len(keys) == 6


def test_code_and_versions_count(key, monkeypatch):
    keys = {key()}
    monkeypatch.setattr(fingerprint, "code_hash", lambda: "other")
    keys.add(key())
    monkeypatch.setattr(fingerprint, "dependency_versions", lambda: {"torch": "0"})
    keys.add(key())
    assert len(keys) == 3


def test_the_versions_are_those_of_our_dependencies():
    versions = dependency_versions()
    assert {"python", "torch", "numpy", "matplotlib", "scikit-learn", "scipy"} <= set(versions)
    assert "papermill" not in versions
    assert "not installed" not in versions.values()
