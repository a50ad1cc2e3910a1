"""Rendering: the staged folder becomes web pages, checked and moved into place as a whole."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from eae_book.provenance import code_hash
from eae_book.render.cleaning import machine_paths, path_pattern
from eae_book.render.dark import darken
from eae_book.render.staging import stage
from eae_book.runner.processes import ensure_home, start, stop
from eae_book.runner.project import Project
from eae_core.errors import CommandError
from eae_core.files import locked

STAMP = ".built-from"
"""Inside the built book: a hash of everything it was made from."""

BUILDERS = (
    "jupyter-book",
    "sphinx",
    "myst-nb",
    "myst-parser",
    "sphinx-book-theme",
    "pydata-sphinx-theme",
    "sphinx-exercise",
    "sphinx-proof",
    "sphinx-mathjax-offline",
    "sphinxcontrib-bibtex",
)


def render(project: Project, *, notebooks: Mapping[str, str], runs_page: str) -> tuple[Path, bool]:
    """Build the book; the old one stays until the new one is complete.

    Args:
        project: The checkout.
        notebooks: The text of every chapter by its name, `NN_slug`.
        runs_page: The text of the generated page.

    Returns:
        The page to open, and whether it had to be built (nothing may have changed).

    Raises:
        CommandError: The build warned, a page is missing, or a page names this machine.
    """
    project.runs.mkdir(parents=True, exist_ok=True)
    with locked(project.html):  # so whatever lies there was left by a build that was killed
        for left in (*project.runs.glob(".book-*"), *project.html.parent.glob(".html-*")):
            shutil.rmtree(left, ignore_errors=True)
        try:
            return _render(project, notebooks, runs_page)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the book that was there before is kept") from None


def _render(project: Project, notebooks: Mapping[str, str], runs_page: str) -> tuple[Path, bool]:
    with tempfile.TemporaryDirectory(prefix=".book-", dir=project.runs) as folder:
        source, output = Path(folder) / "source", Path(folder) / "output"
        source.mkdir()
        pages = stage(project, source, notebooks=notebooks, runs_page=runs_page)
        stamp, first = _stamp(source), project.html / "index.html"
        old = project.html / STAMP
        if first.is_file() and old.is_file() and old.read_bytes().strip() == stamp.encode():
            return first, False
        check_paths(source, project.root)  # at once, and not after minutes of building
        _jupyter_book(project, source, output)
        html = output / "_build" / "html"
        check_pages(html, pages)
        darken(html)
        for name, text in notebooks.items():  # a reader downloads the chapter with nothing folded
            offered = html / "_sources" / "notebooks" / f"{name}.ipynb"
            if offered.is_file():
                offered.write_text(text, encoding="utf-8")
        check_paths(html, project.root)
        (html / STAMP).write_text(f"{stamp}\n", encoding="ascii")
        replace_folder(source, project.runs / "book")
        replace_folder(html, project.html)
    return first, True


def _stamp(source: Path) -> str:
    """A hash of the staged files, of the package (its API page) and of the tools."""
    digest = hashlib.sha256(code_hash().encode())
    for name in BUILDERS:
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            digest.update(f"{name} missing\n".encode())
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(source).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _jupyter_book(project: Project, source: Path, output: Path) -> None:
    """Call Jupyter Book in a process of its own; a warning is an error, and all are shown."""
    options = ["--all", "-W", "-n", "--keep-going", "-q", "--path-output", str(output)]
    ensure_home()
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    with tempfile.TemporaryFile() as written:
        process = start(
            "jupyter_book.cli.main:main",
            ["build", str(source), *options],
            log=written,
            environment=environment,
        )
        try:
            status = process.wait()
        finally:
            stop([process])
        written.seek(0)
        text = written.read().decode(errors="replace")
    # The pages lie in the checkout under the same names, so that is what a reader should see.
    log = re.sub(r"\x1b\[[0-9;]*m", "", text).replace(f"{source}{os.sep}", "")
    path = project.runs / "book.log"
    path.write_text(log, encoding="utf-8")
    if status == 0:
        return
    complaints = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|CRITICAL", line)]
    shown = complaints or log.splitlines()[-15:]
    raise CommandError(
        "the book does not build; the old one is kept\n  "
        + "\n  ".join(shown[:30])
        + f"\n  all of it: {project.show(path)}"
    )


def check_pages(html: Path, pages: Sequence[str]) -> None:
    """Every page of the table of contents is there, and no other: an empty site builds green."""
    sources = html / "_sources"
    built = {
        path.relative_to(sources).with_suffix("").as_posix()
        for path in sources.rglob("*")
        if path.is_file() and (html / path.relative_to(sources)).with_suffix(".html").is_file()
    }
    problems = [f"missing: {page}" for page in pages if page not in built]
    problems += [f"not in _toc.yml: {page}" for page in sorted(built - set(pages))]
    if not (html / "index.html").is_file():
        problems.append("missing: index.html")
    if problems:
        raise CommandError(
            f"the book should have {len(pages)} pages and has {len(built)}\n  "
            + "\n  ".join(problems)
        )


def check_paths(html: Path, root: Path) -> None:
    """No page, before it is built or after, may name a folder of the machine it was built on."""
    paths = machine_paths(root)
    pattern = re.compile("|".join(path_pattern(path) for path in paths) or r"(?!)")
    for path in sorted(html.rglob("*")):
        if path.suffix not in {".html", ".js", ".json", ".ipynb", ".md", ".txt"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        # Of pages with pictures in them the pattern alone would take seconds.
        if any(each in text for each in paths) and (found := pattern.search(text)):
            page = path.relative_to(html).as_posix()
            raise CommandError(f"the page {page} names a folder of this machine: {found[0]}")


def replace_folder(new: Path, target: Path) -> None:
    """Move a folder into the place of another, which is deleted only when the new one is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}-{secrets.token_hex(3)}")
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:  # Ctrl-C included
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
