"""How processes share the tests: what a file makes for all of its tests is made once.

xdist's own `--dist loadgroup` hands out marked groups by the end of each test's name, and sends
test by test where pytest does not let it write there, without a word. So this is our own.
"""

from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]


@cache
def splits(file: str) -> bool:
    """Whether tests of a file go to any process: long ones that share nothing, as chapters."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return "mark.slow" in text and 'scope="module"' not in text


def scope(test: str) -> str:
    """What one process gets at a time: a file, or a test."""
    file = test.partition("::")[0]
    return test if splits(file) else file


class Sharing(LoadScopeScheduling):
    """The files of most tests first, at the end test by test, so that all processes end at once."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Sharing(config, log) if config.getvalue("dist") == "loadgroup" else None


COLLECTED = pytest.StashKey[list[str]]()
"""In a session: all tests but those of `make regress`, also where fewer were asked for."""


@pytest.hookimpl(tryfirst=True)  # before any is taken out
def pytest_collection_modifyitems(session, items):
    """Of what goes test by test, chapters take longest: they come first."""
    items.sort(key=lambda item: item.path.name != "test_chapters.py")
    session.stash[COLLECTED] = [i.nodeid for i in items if not i.get_closest_marker("regress")]
