"""Staging: the folder that Jupyter Book renders, from the checkout and executed chapters."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from eae_book.render.folding import fold
from eae_book.render.front import front_files
from eae_book.runner.project import Project
from eae_book.runner.strict_yaml import read_yaml
from eae_core.errors import UsageError

RUNS_PAGE = "book/runs"
"""The generated page, as the table of contents names it."""

IGNORED = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", ".DS_Store")


def toc_documents(toc: Any) -> list[str]:
    """Every page that a `_toc.yml` names, without its ending, in the book's order.

    >>> toc_documents({"root": "a", "parts": [{"chapters": [{"file": "b"}, {"file": "c.md"}]}]})
    ['a', 'b', 'c']
    """

    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("root", "file"):
                    yield str(value).removesuffix(".md").removesuffix(".ipynb")
                else:
                    yield from walk(value)
        elif isinstance(node, list):
            for item in node:
                yield from walk(item)

    return list(walk(toc))


def read_config(path: Path) -> dict[str, Any]:
    """The book's `_config.yml`."""
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise UsageError(f"{path} must be a mapping of Jupyter Book's options")
    return config


def staged_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration to render with: nothing is executed, and no link leads to an unknown place.

    Repository links and launch buttons need the repository's public address. While
    `repository.url` is empty they are taken out, rather than pointing at an invented one.

    >>> staged_config({"repository": {"url": ""}, "launch_buttons": {"colab_url": "c"}})["html"]
    {'use_repository_button': False, 'use_issues_button': False, 'use_edit_page_button': False}
    """
    staged = {key: value for key, value in config.items() if key != "only_build_toc_files"}
    execute = dict(config.get("execute") or {})
    staged["execute"] = {**execute, "execute_notebooks": "off"}
    staged["only_build_toc_files"] = True
    if not str((config.get("repository") or {}).get("url") or "").strip():
        for key in ("repository", "launch_buttons"):
            staged.pop(key, None)
        buttons = ("use_repository_button", "use_issues_button", "use_edit_page_button")
        staged["html"] = {**dict(config.get("html") or {}), **dict.fromkeys(buttons, False)}
    return staged


def stage(
    project: Project, target: Path, *, notebooks: Mapping[str, str], runs_page: str
) -> list[str]:
    """Write the book's sources into the new folder `target`; returns the pages it must have.

    Args:
        project: The checkout.
        target: A folder that does not exist yet.
        notebooks: The text of every chapter by its name, `NN_slug`.
        runs_page: The text of the generated page.

    Raises:
        UsageError: If the table of contents names a page that there is not.
    """
    toc = read_yaml(project.root / "_toc.yml")
    config = staged_config(read_config(project.root / "_config.yml"))
    shutil.copytree(project.root / "book", target / "book", ignore=IGNORED)
    for name, content in front_files(project.results).items():
        data = content if isinstance(content, bytes) else content.encode()
        (target / "book" / name).write_bytes(data)
    (target / "notebooks").mkdir()
    for name, text in notebooks.items():
        folded = nbformat.writes(fold(nbformat.reads(text, as_version=4)))
        (target / "notebooks" / f"{name}.ipynb").write_text(folded, encoding="utf-8")
    (target / f"{RUNS_PAGE}.md").write_text(runs_page, encoding="utf-8")
    shutil.copy(project.root / "_toc.yml", target / "_toc.yml")
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (target / "_config.yml").write_text(text, encoding="utf-8")
    pages = toc_documents(toc)
    for page in pages:
        if not any((target / f"{page}{ending}").is_file() for ending in (".md", ".ipynb")):
            raise UsageError(f"_toc.yml names the page {page!r}, but there is no such file")
    return pages
