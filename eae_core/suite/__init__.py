"""The suite: the manifest of chapters, their parameters, their runs, the book made of runs."""

from eae_core.suite.errors import SuiteError, UsageError
from eae_core.suite.manifest import PROFILES, Chapter, Manifest, load_manifest
from eae_core.suite.project import Project, find_project
from eae_core.suite.runner import ChapterError, Plan, Run, plan, run

__all__ = [
    "PROFILES",
    "Chapter",
    "ChapterError",
    "Manifest",
    "Plan",
    "Project",
    "Run",
    "SuiteError",
    "UsageError",
    "find_project",
    "load_manifest",
    "plan",
    "run",
]
