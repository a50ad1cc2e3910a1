"""The page of promises counts what there is."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from sharing import COLLECTED

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (?P<what>.+?) \| (?P<cases>\d+) \| `(?P<place>tests/[\w/.]+)` \|$", re.M)
ROWS = ROW.findall((ROOT / "book" / "promises.md").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_there_are_as_many_cases_as_the_page_says(request):
    places = [place for _, _, place in ROWS]
    assert len(places) == len(set(places)) >= 10
    found = Counter(test.split("::")[0] for test in collected(request.session, places))
    for _, cases, place in ROWS:
        counted = sum(n for file, n in found.items() if file.startswith(place))
        assert int(cases) <= counted < 1.3 * int(cases) + 20, f"{place} has {counted} cases"


def collected(session, places):
    """The tests in these files and folders: this run has seen them all, or another has to look."""
    seen = session.stash[COLLECTED]
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")}
    if files <= {test.split("::")[0] for test in seen} and "::" not in "".join(session.config.args):
        return seen
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    said = subprocess.check_output([*command, *places], cwd=ROOT, text=True)
    return [line for line in said.splitlines() if "::" in line]
