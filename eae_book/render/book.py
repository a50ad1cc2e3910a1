"""The whole book: run every chapter that needs it, or take the committed ones, then render."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from eae_book.render.cleaning import clean, warnings_of
from eae_book.render.staging import check_places
from eae_book.runner.chapter import ChapterError, Plan, Run, find_run, plan, read_notebook, run
from eae_book.runner.manifest import Chapter, Manifest, load_manifest
from eae_book.runner.project import Project
from eae_book.runner.side_by_side import run_at_once
from eae_core.errors import CommandError, UsageError, printable, require

if TYPE_CHECKING:
    from eae_book.records import Record

Report = Callable[[str], None]
"""Takes a line of progress."""

BOOK_NEEDED = ("jupyter_book", "papermill", "ipykernel", "nbformat")


@dataclass(frozen=True)
class Built:
    """A built book."""

    page: Path
    """The page to open."""
    pages: int
    fresh: bool
    """False if nothing had changed since the last build."""


def require_book() -> None:
    """Raise UsageError unless the packages that make pages are here, in a version that can."""
    require(BOOK_NEEDED, extra="book")
    if (found := version("jupyter-book")).split(".")[0] != "1":
        raise UsageError(
            f"the pages need Jupyter Book 1, and {found} is installed, which reads other files: "
            'run  pip install -c constraints.txt -e ".[book]"  in the checkout'
        )


def build_book(
    project: Project,
    *,
    profile: str = "quick",
    force: bool = False,
    progress: bool = True,
    report: Report = print,
    jobs: int = 1,
) -> Built:
    """Run all chapters in a profile, reusing earlier results that still hold, and render them.

    Every chapter is tried even after one has failed; then nothing is rendered. With more than one
    of `jobs`, as many chapters run at a time.

    Raises:
        UsageError: A request or a file is wrong; nothing was run.
        CommandError: Chapters failed, or the book does not build.
    """
    require_book()
    manifest = load_manifest(project.manifest)
    plans = [plan(manifest, chapter, profile=profile) for chapter in manifest.chapters]
    check_places(project, [chapter.name for chapter in manifest.chapters])
    runs = run_all(project, plans, force=force, progress=progress, report=report, jobs=jobs)
    notebooks = {}
    for planned, done in zip(plans, runs, strict=True):
        cleaned = clean(
            planned.notebook, read_notebook(done.notebook), root=project.root, keep_injected=True
        )
        notebooks[done.chapter.name] = notebook_text(cleaned)
    records = {done.chapter.id: done.record for done in runs}
    return _render(project, manifest, notebooks, records=records, report=report)


def build_committed(project: Project, *, report: Report = print) -> Built:
    """Render the committed notebooks as they are, running nothing."""
    require_book()
    manifest = load_manifest(project.manifest)
    check_places(project, [chapter.name for chapter in manifest.chapters])
    notebooks, records = {}, {}
    for chapter in manifest.chapters:
        read_notebook(manifest.notebook(chapter))  # a damaged file is an error that names it
        notebooks[chapter.name] = manifest.notebook(chapter).read_text(encoding="utf-8")
        record = committed_record(project, chapter)
        if record.is_file():
            records[chapter.id] = record
    return _render(project, manifest, notebooks, records=records, report=report)


def committed_record(project: Project, chapter: Chapter, *, profile: str = "cpu") -> Path:
    """Where the record of a chapter's committed outputs lies."""
    return project.results / "chapters" / f"{chapter.id.lower()}-{profile}.json"


def run_all(
    project: Project,
    plans: Sequence[Plan],
    *,
    force: bool,
    progress: bool,
    report: Report,
    jobs: int = 1,
) -> list[Run]:
    """Run, or find again, each planned chapter, one line each; fail once at the end."""
    from eae_book.records import read_record
    from eae_core.cli.tables import spell_seconds

    keyed = [(planned, plan_key(project, planned)) for planned in plans]
    runs: dict[str, Run] = {}
    failures = []
    done = _found_or_run(project, keyed, force=force, progress=progress, jobs=jobs)
    disable = None if progress and jobs > 1 else True  # one at a time, each has a bar of its own
    with tqdm(done, desc="chapters", total=len(plans), leave=False, disable=disable) as bar:
        for number, (planned, outcome) in enumerate(bar, start=1):
            lines = [f"[{number}/{len(plans)}] {planned.chapter.id} {planned.chapter.title}: "]
            if isinstance(outcome, ChapterError):
                failures.append(str(outcome))
                lines[0] += "failed"
            else:
                runs[planned.chapter.id] = outcome
                seconds = spell_seconds(read_record(outcome.record).seconds)
                lines[0] += f"unchanged, ran before in {seconds}" if outcome.reused else seconds
                warned = [] if outcome.reused else warnings_of(read_notebook(outcome.notebook))
                lines += [f"    it warned: {printable(line)}" for line in warned]
            with bar.external_write_mode():
                for line in lines:
                    report(line)
    if failures:
        raise CommandError("\n".join(failures))
    return [runs[planned.chapter.id] for planned in plans]


def _found_or_run(
    project: Project,
    keyed: Sequence[tuple[Plan, str]],
    *,
    force: bool,
    progress: bool,
    jobs: int,
) -> Iterator[tuple[Plan, Run | ChapterError]]:
    """Each chapter with its outcome: in their order, or with more jobs as they end."""
    missing = []
    for planned, key in keyed:
        found = None if force else find_run(project, planned, key=key)
        if found is not None:
            yield planned, found
        elif jobs > 1:
            missing.append((planned, key))
        else:
            try:
                yield planned, run(project, planned, key=key, progress=progress)
            except ChapterError as error:
                yield planned, error
    yield from run_at_once(project, missing, jobs=jobs)


def plan_key(project: Project, planned: Plan) -> str:
    """The hash under which the result of a plan can be found again."""
    from eae_book.records import input_files
    from eae_book.runner.fingerprint import run_key

    files = [path for name in planned.chapter.inputs for path in input_files(name, project.results)]
    return run_key(
        planned.notebook,
        profile=planned.profile,
        parameters=planned.parameters,
        files=[*files, *data_files(planned.chapter.needs)],
    )


def data_files(names: Sequence[str]) -> list[Path]:
    """The descriptions, with checksums, of those data sets that are prepared."""
    from eae_core.data import data_root
    from eae_core.data.prepared import META

    paths = [data_root() / name / META for name in names]
    return [path for path in paths if path.is_file()]


def notebook_text(notebook: Any) -> str:
    """The notebook as its file holds it."""
    import nbformat

    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)
    return text + "\n"


def _render(
    project: Project,
    manifest: Manifest,
    notebooks: Mapping[str, str],
    *,
    records: Mapping[str, Path],
    report: Report,
) -> Built:
    """Write the runs page and build the book."""
    from eae_book.records import RecordError, experiments, read_record, recorded
    from eae_book.render.pages import render
    from eae_book.render.runs_page import CHAPTERS, runs_page
    from eae_book.render.staging import toc_documents
    from eae_book.runner.strict_yaml import read_yaml

    def read(path: Path | None) -> Record | None:
        try:
            return read_record(path) if path else None
        except RecordError as error:
            report(f"warning: passed over: {printable(str(error))}")
            return None

    chapters = [(chapter, read(records.get(chapter.id))) for chapter in manifest.chapters]
    with warnings.catch_warnings(record=True) as passed_over:
        warnings.simplefilter("always")
        shown = [
            record
            for experiment in experiments(project.results)
            if experiment != CHAPTERS
            for record in recorded(experiment, project.results).values()
        ]
    for warning in passed_over:
        report(f"warning: {warning.message}")
    page, fresh = render(project, notebooks=notebooks, runs_page=runs_page(chapters, shown))
    pages = toc_documents(read_yaml(project.root / "_toc.yml"))
    return Built(page=page, pages=len(pages), fresh=fresh)
