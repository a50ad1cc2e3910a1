"""A tiny checkout for the tests of the suite."""

import pytest
from called_verbs import caller
from tiny_checkout import code, entry, write_manifest, write_notebook

from eae_book.cli import main
from eae_book.runner.project import Project


@pytest.fixture
def project(tmp_path):
    """A checkout with one chapter that prints its parameters."""
    write_manifest(tmp_path, entry())
    write_notebook(tmp_path, "01_first", code("print(epochs, rate, name, flag)"))
    return Project(tmp_path)


@pytest.fixture
def said(capsys):
    """Call a verb in this process; returns the status and what it wrote."""
    return caller(main, capsys)
