"""Chapters side by side."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from tiny_checkout import code, entry, run_folders, write_book, write_manifest, write_notebook

from eae_book.render.book import build_book
from eae_book.render.refresh import refresh
from eae_book.runner.chapter import read_notebook
from eae_book.runner.project import Project
from eae_book.runner.side_by_side import MOST, usual_jobs
from eae_core.errors import CommandError
from eae_core.hardware import usable_cores

pytestmark = pytest.mark.slow

# Two chapters that run only together: each waits for the other.
MEET = """\
import time
from pathlib import Path
Path("{here}").touch()
end = time.monotonic() + 60
while not Path("{there}").exists():
    assert time.monotonic() < end, "nobody came"
    time.sleep(0.05)
"""
THREADS = "import os\nprint(os.environ['OMP_NUM_THREADS'])"
WAIT = "Path = __import__('pathlib').Path; Path('{here}').touch(); __import__('time').sleep(99)"


@pytest.fixture
def checkout(tmp_path):
    """Two chapters, yet to be written."""
    write_manifest(tmp_path, entry(), entry(id="02", slug="second", title="The second"))
    write_book(tmp_path, "01_first", "02_second")
    return Project(tmp_path)


def test_two_chapters_run_at_the_same_time_and_are_found_again(checkout, monkeypatch):
    slow = MEET.format(here="a", there="b") + "time.sleep(1)\nprint('first')"
    write_notebook(checkout.root, "01_first", code(slow))
    write_notebook(checkout.root, "02_second", code(MEET.format(here="b", there="a") + THREADS))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    told = []
    refresh(checkout, jobs=2, progress=False, report=told.append)
    assert [line.split()[:2] for line in told] == [["[1/2]", "02"], ["[2/2]", "01"]]
    assert not any("unchanged" in line for line in told)
    threads = max(1, usable_cores() // 2)
    for name, text in {"01_first": "first\n", "02_second": f"{threads}\n"}.items():
        notebook = read_notebook(checkout.root / "notebooks" / f"{name}.ipynb")
        assert notebook.cells[-1].outputs[0].text == text, "whichever ends first"

    first = run_folders(checkout)
    told.clear()
    refresh(checkout, jobs=2, progress=False, report=told.append)
    assert all("unchanged, ran before in" in line for line in told)
    assert run_folders(checkout) == first


def test_a_chapter_that_fails_is_named_and_the_other_is_kept(checkout):
    write_notebook(checkout.root, "01_first", code("1 / 0"))
    write_notebook(checkout.root, "02_second", code("print('two')"))
    told = []
    with pytest.raises(CommandError, match=r"^chapter 01 failed in cell \[3\]") as failed:
        build_book(checkout, jobs=2, progress=False, report=told.append)
    assert "ZeroDivisionError" in str(failed.value)
    assert sorted(line.split(": ")[1] == "failed" for line in told) == [False, True]
    assert any("02 The second" in line and "failed" not in line for line in told)


def test_a_chapter_that_was_changed_before_its_turn_is_not_taken_for_what_was_asked(checkout):
    third = entry(id="03", slug="third", title="The third")
    write_manifest(checkout.root, entry(), entry(id="02", slug="second", title="Two"), third)
    write_notebook(checkout.root, "03_third", code("print('old')"))
    change = "p = Path('03_third.ipynb')\np.write_text(p.read_text().replace('old', 'new'))"
    write_notebook(checkout.root, "01_first", code(f"from pathlib import Path\n{change}"))
    write_notebook(checkout.root, "02_second", code("print('two')"))
    with pytest.raises(CommandError, match=r"^chapter 03 changed before its turn: run it again$"):
        refresh(checkout, jobs=2, progress=False, report=lambda line: None)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_book_that_is_stopped_or_killed_leaves_no_process_behind(checkout, number):
    for name, here in {"01_first": "a", "02_second": "b"}.items():
        write_notebook(
            checkout.root, name, code("print('be' + 'fore')"), code(WAIT.format(here=here))
        )
    words = ["book", "--jobs", "2", "--root", str(checkout.root)]
    # Where the tests themselves run in the background, SIGINT is ignored, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "eae_book", *words],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    end = time.monotonic() + 60
    while not all((checkout.root / "notebooks" / here).exists() for here in "ab"):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    started = psutil.Process(process.pid).children(recursive=True)
    assert len(started) >= 4, "two chapters and their kernels"
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    _, left = psutil.wait_procs(started, timeout=30)
    assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert stderr.endswith("stopped; the cells that ran are kept under _runs/\n")
        assert "Traceback" not in stderr
    kept = [path.read_text() for path in checkout.runs.glob("*/*.ipynb")]
    assert len(kept) == 2
    assert all("before\\n" in text for text in kept)


def test_only_quick_chapters_run_side_by_side_unless_it_is_asked_for():
    assert usual_jobs("quick") == min(MOST, usable_cores())
    assert usual_jobs("cpu") == usual_jobs("paper") == 1
