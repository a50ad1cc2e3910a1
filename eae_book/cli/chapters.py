"""The verbs run, book and refresh."""

from __future__ import annotations

import argparse
import time

from eae_book.render.book import build_book, build_committed, plan_key
from eae_book.render.refresh import refresh as refresh_notebooks
from eae_book.runner.chapter import plan
from eae_book.runner.chapter import run as run_chapter
from eae_book.runner.manifest import load_manifest
from eae_book.runner.parameters import parse_assignments
from eae_book.runner.project import find_project
from eae_book.runner.side_by_side import usual_jobs
from eae_core.errors import UsageError


def run(arguments: argparse.Namespace) -> int:
    """Execute one chapter and say where its outputs are."""
    project = find_project(arguments.root)
    assignments = parse_assignments(arguments.parameter)
    manifest = load_manifest(project.manifest)
    planned = plan(
        manifest,
        manifest.find(arguments.chapter),
        profile=arguments.profile,
        assignments=assignments,
    )
    key = plan_key(project, planned)
    done = run_chapter(project, planned, key=key, progress=not arguments.no_progress)

    from eae_book.records import read_record
    from eae_core.cli.tables import spell_bytes, spell_seconds

    record = read_record(done.record)
    spent = spell_seconds(record.seconds), spell_bytes(record.peak_memory_bytes), record.device
    print(f"chapter {done.chapter.id}, profile {done.profile}: {', '.join(spent)}")
    print(f"  notebook: {project.show(done.notebook)}")
    print(f"  record:   {project.show(done.record)}")
    if done.failed_claims:
        print("claims of the chapter that do not hold at these values:")
        print(*(f"  {line}" for line in done.failed_claims), sep="\n")
    return 0


def book(arguments: argparse.Namespace) -> int:
    """Build the book and print the page to open."""
    began = time.perf_counter()
    project = find_project(arguments.root)
    if arguments.committed:
        built = build_committed(project, report=show)
    else:
        built = build_book(
            project,
            profile=arguments.profile,
            force=arguments.force,
            progress=not arguments.no_progress,
            report=show,
            jobs=_jobs(arguments, arguments.profile),
        )
    what = f"{built.pages} pages" if built.fresh else f"{built.pages} pages, unchanged"
    print(f"the book is built: {what}, {time.perf_counter() - began:.0f} s")
    print(f"open {built.page.as_uri()}")
    return 0


def refresh(arguments: argparse.Namespace) -> int:
    """Renew committed outputs."""
    project = find_project(arguments.root)
    runs = refresh_notebooks(
        project,
        arguments.chapters,
        force=arguments.force,
        progress=not arguments.no_progress,
        report=show,
        jobs=_jobs(arguments, "cpu"),
    )
    print(f"renewed {len(runs)} in notebooks/ and data/results/chapters/; look at  git diff --stat")
    return 0


def _jobs(arguments: argparse.Namespace, profile: str) -> int:
    jobs: int = usual_jobs(profile) if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    return jobs


def show(line: str) -> None:
    """Print a progress line at once, also into a file or a pipe."""
    print(line, flush=True)
