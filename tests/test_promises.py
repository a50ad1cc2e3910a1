"""The page of promises counts what there is."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| (?P<what>.+?) \| (?P<cases>\d+) \| `(?P<place>tests/[\w/.]+)` \|$", re.M)
ROWS = ROW.findall((ROOT / "book" / "promises.md").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_there_are_as_many_cases_as_the_page_says():
    places = [place for _, _, place in ROWS]
    assert len(places) == len(set(places)) >= 10
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *places],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = Counter(line.split("::")[0] for line in collected.splitlines() if "::" in line)
    for _, cases, place in ROWS:
        counted = sum(n for file, n in found.items() if file.startswith(place))
        assert int(cases) <= counted < 1.3 * int(cases) + 20, f"{place} has {counted} cases"
