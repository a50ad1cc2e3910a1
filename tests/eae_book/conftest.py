"""A tiny checkout for the tests of the suite."""

import pytest
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

    def said(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return said
