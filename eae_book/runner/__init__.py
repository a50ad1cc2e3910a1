"""The suite: the manifest of chapters, their parameters, their runs, the book made of runs."""

from eae_book.runner.chapter import ChapterError, Plan, Run, plan, run
from eae_book.runner.manifest import PROFILES, Chapter, Manifest, load_manifest
from eae_book.runner.project import Project, find_project
from eae_core.errors import CommandError, UsageError

__all__ = [
    "PROFILES",
    "Chapter",
    "ChapterError",
    "CommandError",
    "Manifest",
    "Plan",
    "Project",
    "Run",
    "UsageError",
    "find_project",
    "load_manifest",
    "plan",
    "run",
]
