"""How processes share the slow tests: what a file makes for all of its tests is made once.

xdist's own `--dist loadgroup` hands out marked groups by the end of each test's name, and sends
test by test where pytest does not let it write there, without a word. So this is our own.
"""

from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]


@cache
def shares(file: str) -> bool:
    """Whether a file makes something for all of its tests, as the built book is."""
    return 'scope="module"' in (ROOT / file).read_text(encoding="utf-8")


def scope(test: str) -> str:
    """What one process gets at a time: a test, or the whole of a file that shares something."""
    file = test.partition("::")[0]
    return file if shares(file) else test


class Sharing(LoadScopeScheduling):
    """The largest files first, then test by test."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Sharing(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items):
    """Chapters take longest: begun last, one of them would keep a process alone at the end."""
    items.sort(key=lambda item: item.path.name != "test_chapters.py")
