"""Refresh: run chapters with the values in their parameters cells and commit what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eae_book.render.book import Report, committed_record, notebook_text, run_all
from eae_book.render.cleaning import clean
from eae_book.render.runs_page import CHAPTERS
from eae_book.runner.chapter import KEY, NEEDED, Run, plan, read_notebook
from eae_book.runner.manifest import load_manifest
from eae_book.runner.project import Project
from eae_core.errors import require
from eae_core.files import check_writable, replacing

PROFILE = "cpu"


def refresh(
    project: Project,
    requests: Sequence[str] = (),
    *,
    force: bool = False,
    progress: bool = True,
    report: Report = print,
    jobs: int = 1,
) -> list[Run]:
    """Renew the outputs of committed chapters and their records.

    Cells, ids and tags stay as they are: only outputs and execution counts change. Files are
    replaced whole, after all requested chapters have run.

    Args:
        project: The checkout.
        requests: Chapters by id, slug or file name; all of them if empty.
        force: Run even where an earlier result still holds.
        progress: Show a bar for each chapter.
        report: Given one line a chapter.
        jobs: How many chapters at a time; their records then hold the seconds of a busy machine.

    Raises:
        UsageError: Unknown chapter, or an unreadable notebook; nothing was run.
        CommandError: A chapter failed; no notebook was changed.
    """
    require(NEEDED, extra="book")
    from eae_book.records import read_record, save_record
    from eae_book.render.freshness import PAGE, page_of  # torch is imported late

    manifest = load_manifest(project.manifest)
    asked = {manifest.find(request).id for request in requests}
    chapters = [chapter for chapter in manifest.chapters if not asked or chapter.id in asked]
    plans = [plan(manifest, chapter, profile=PROFILE) for chapter in chapters]
    for folder in (project.manifest.parent, project.results / CHAPTERS):
        check_writable(folder)  # before hours of work
    pages = [page_of(each.notebook, each.chapter, project.results) for each in plans]
    runs = run_all(project, plans, force=force, progress=progress, report=report, jobs=jobs)
    for planned, done, page in zip(plans, runs, pages, strict=True):
        cleaned = clean(planned.notebook, read_notebook(done.notebook), root=project.root)
        with replacing(manifest.notebook(done.chapter)) as temporary:
            temporary.write_text(notebook_text(cleaned), encoding="utf-8")
        record = read_record(done.record)
        values = {name: value for name, value in record.parameters.items() if name != KEY}
        record = replace(record, parameters={**values, PAGE: page})
        save_record(record, committed_record(project, done.chapter))
    return runs
