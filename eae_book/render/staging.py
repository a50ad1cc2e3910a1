"""Staging: the folder that Jupyter Book renders, from the checkout and executed chapters."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from eae_book.runner.project import Project
from eae_book.runner.strict_yaml import read_yaml
from eae_core.errors import UsageError
from eae_core.files import check_writable

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
    for name in ("execute", "html", "launch_buttons", "repository"):
        if not isinstance(config.get(name) or {}, dict):
            raise UsageError(f"{path}: {name} must be a mapping of options, not {config[name]!r}")
    return config


def staged_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration to render with: nothing is executed, and no link leads to an unknown place.

    Repository links and launch buttons need the repository's public address. While
    `repository.url` is empty they are taken out, rather than pointing at an invented one.

    Colab opens notebooks of GitHub alone, so for another host the launch buttons go.

    >>> staged_config({"repository": {"url": ""}, "launch_buttons": {"colab_url": "c"}})["html"]
    {'use_repository_button': False, 'use_issues_button': False, 'use_edit_page_button': False}
    """
    staged = {key: value for key, value in config.items() if key != "only_build_toc_files"}
    execute = dict(config.get("execute") or {})
    staged["execute"] = {**execute, "execute_notebooks": "off"}
    staged["only_build_toc_files"] = True
    repository = dict(config.get("repository") or {})
    url = repository_url(str(repository.get("url") or ""))
    if url:
        branch = str(repository.get("branch") or "main")
        staged["repository"] = {**repository, "url": url, "branch": branch}
        if not url.startswith("https://github.com/"):
            staged.pop("launch_buttons", None)
    else:
        for key in ("repository", "launch_buttons"):
            staged.pop(key, None)
        buttons = ("use_repository_button", "use_issues_button", "use_edit_page_button")
        staged["html"] = {**dict(config.get("html") or {}), **dict.fromkeys(buttons, False)}
    return staged


def repository_url(address: str) -> str:
    """The web address of a repository from any of the forms that git knows; empty stays empty.

    >>> repository_url("git@github.com:someone/book.git")
    'https://github.com/someone/book'
    """
    address = address.strip()
    form = r"(?:(?:https?|git|ssh)://)?(?:git@)?(?:www\.)?([\w.-]+\.\w+)[:/]([\w./-]+?)(?:\.git)?/?"
    found = re.fullmatch(form, address)
    host, path = (found[1].lower(), found[2]) if found else ("", "")
    parts = path.split("/")
    if address and (not all(parts) or len(parts) < 2 or (host == "github.com" and len(parts) > 2)):
        raise UsageError(
            f"_config.yml: repository.url is {address!r}, which is not the address of a "
            "repository, such as https://github.com/OWNER/NAME"
        )
    return f"https://{host}/{path}" if address else ""


def check_places(project: Project, chapters: Collection[str]) -> None:
    """Whether the book can be built, as far as that is known before any chapter runs.

    Args:
        project: The checkout.
        chapters: Names of the chapters, `NN_slug`.

    Raises:
        UsageError: The settings or the table of contents are wrong.
        OSError: A folder cannot be written to.
    """
    staged_config(read_config(project.root / "_config.yml"))
    pages = toc_documents(read_yaml(project.root / "_toc.yml"))
    if not pages:
        raise UsageError("_toc.yml names no page: it has a root, and parts with chapters")
    for page in pages:
        written = page.startswith("book/") and _page_exists(project.root, page)
        if not written and page not in (RUNS_PAGE, *(f"notebooks/{name}" for name in chapters)):
            raise UsageError(f"_toc.yml names the page {page!r}, but there is no such file")
    for folder in (project.runs, project.html.parent):
        check_writable(folder)


def _page_exists(folder: Path, page: str) -> bool:
    return any((folder / f"{page}{ending}").is_file() for ending in (".md", ".ipynb"))


def staged_chapter(text: str) -> tuple[str, int]:
    """A chapter as it is rendered, folded and with its head, and the minutes that it takes."""
    import nbformat

    from eae_book.render.folding import fold
    from eae_book.render.reading import reading_minutes, with_head

    notebook = fold(nbformat.reads(text, as_version=4))
    minutes = reading_minutes(notebook.cells)
    if notebook.cells and notebook.cells[0].cell_type == "markdown":
        notebook.cells[0].source = with_head(notebook.cells[0].source, minutes)
    return nbformat.writes(notebook), minutes


def the_course(toc: Any) -> list[str]:
    """The pages of the first part of the book.

    >>> the_course({"root": "a", "parts": [{"chapters": [{"file": "b"}]}, {"chapters": []}]})
    ['b']
    """
    return toc_documents(toc["parts"][0]) if toc.get("parts") else []


def _fill_in_minutes(target: Path, toc: Any, minutes: Mapping[str, int]) -> None:
    """Heads for the course's pages that are no notebooks, and the times that the preface names."""
    from eae_book.render.reading import (
        WORDS_A_MINUTE,
        reading_minutes,
        spell_minutes,
        with_head,
    )

    found = dict(minutes)
    for page in the_course(toc):
        path = target / f"{page}.md"
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            found[page] = reading_minutes([{"cell_type": "markdown", "source": text}])
            path.write_text(with_head(text, found[page]) + "\n", encoding="utf-8")
    root = target / f"{toc['root']}.md"
    course = sum(found.get(page, 0) for page in the_course(toc))
    times = {"course": course, "laboratory": sum(found.values()) - course}
    text = root.read_text(encoding="utf-8")
    text = text.replace("{{ words a minute }}", str(WORDS_A_MINUTE))
    for name, time in times.items():
        text = text.replace(f"{{{{ minutes of the {name} }}}}", spell_minutes(time))
    for page, time in found.items():
        text = text.replace(f"{{{{ minutes of {page.rpartition('/')[2]} }}}}", str(time))
    if left := re.search(r"\{\{ .*? \}\}", text):
        raise UsageError(f"{toc['root']} asks for {left[0]}, but there is no such page")
    root.write_text(text, encoding="utf-8")


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
    from eae_book.render.front import front_files  # torch is imported late

    toc = read_yaml(project.root / "_toc.yml")
    config = staged_config(read_config(project.root / "_config.yml"))
    try:
        shutil.copytree(project.root / "book", target / "book", ignore=IGNORED)
    except shutil.Error as error:  # a link to nowhere, a pipe
        source, _, reason = error.args[0][0]
        raise UsageError(f"cannot copy {project.show(Path(source))}: {reason}") from error
    for name, content in front_files(project.results).items():
        data = content if isinstance(content, bytes) else content.encode()
        path = target / "book" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (target / "notebooks").mkdir()
    minutes = {}
    for name, text in notebooks.items():
        page, minutes[f"notebooks/{name}"] = staged_chapter(text)
        (target / "notebooks" / f"{name}.ipynb").write_text(page, encoding="utf-8")
    _fill_in_minutes(target, toc, minutes)
    (target / f"{RUNS_PAGE}.md").write_text(runs_page, encoding="utf-8")
    shutil.copy(project.root / "_toc.yml", target / "_toc.yml")
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    (target / "_config.yml").write_text(text, encoding="utf-8")
    pages = toc_documents(toc)
    for page in pages:
        if not _page_exists(target, page):
            raise UsageError(f"_toc.yml names the page {page!r}, but there is no such file")
    return pages
