"""Tiny checkouts: a manifest and notebooks of a few fast cells."""

from pathlib import Path

import nbformat
import yaml

from eae_book.runner.chapter import plan
from eae_book.runner.manifest import load_manifest
from eae_book.runner.project import Project

KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
PARAMETERS = """\
epochs = 3  # passes over the data
rate = 0.5
name = "digits"
flag = True
"""


def code(source, *tags, **metadata):
    if tags:
        metadata["tags"] = list(tags)
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def markdown(source):
    return nbformat.v4.new_markdown_cell(source)


def entry(**changes):
    """One valid entry of a manifest."""
    return {
        "id": "01",
        "slug": "first",
        "title": "The first",
        "needs": [],
        "minutes": {"quick": 0.1, "cpu": 0.1, "paper": 0.1},
        "inputs": [],
        "outputs": [],
        "profiles": {"quick": {"epochs": 1}, "cpu": {}, "paper": {"epochs": 9}},
    } | changes


def write_manifest(root, *entries):
    folder = root / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.yml").write_text(yaml.safe_dump({"chapters": list(entries)}))
    return folder / "manifest.yml"


def write_notebook(root, name, *cells, parameters=PARAMETERS):
    """A chapter: a title, the parameters cell, then `cells`."""
    notebook = nbformat.v4.new_notebook(
        cells=[markdown(f"# {name}"), code(parameters, "parameters"), *cells],
        metadata={"kernelspec": KERNELSPEC},
    )
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def planned(project, request="01", **options):
    manifest = load_manifest(project.manifest)
    return plan(manifest, manifest.find(request), **options)


def run_folders(project: Project) -> list[Path]:
    return sorted(path for path in project.runs.glob("*-*") if path.is_dir())


def write_book(root, *chapters):
    """The files around the chapters: settings, table of contents, one page."""
    (root / "book").mkdir()
    (root / "book" / "preface.md").write_text("# Preface\n\nWords.\n")
    pages = [*(f"notebooks/{name}" for name in chapters), "book/runs"]
    toc = {"format": "jb-book", "root": "book/preface", "chapters": [{"file": p} for p in pages]}
    config = {
        "title": "Tiny",
        "author": "",
        "logo": "",
        "only_build_toc_files": True,
        "repository": {"url": "", "branch": "main", "path_to_book": ""},
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
        "html": {"use_repository_button": True},
    }
    (root / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    (root / "_config.yml").write_text(yaml.safe_dump(config))
