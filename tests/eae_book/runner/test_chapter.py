"""Runs of one chapter: what they leave behind, and what a failure leaves behind."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import papermill
import pytest
from tiny_checkout import code, entry, planned, run_folders, write_manifest, write_notebook

from eae_book.records import new_record, read_record, save_record
from eae_book.runner import kernel
from eae_book.runner.chapter import ChapterError, find_run, fresh_folder, read_notebook, run
from eae_book.runner.processes import ensure_home
from eae_book.runner.project import Project
from eae_core import errors
from eae_core.errors import CommandError, UsageError

REPORT = """\
import json, os, sys
memory = bytearray(300_000_000)
print(json.dumps([os.getcwd(), sys.executable, epochs, rate, name, flag]))
"""
FIGURE = """\
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.show()
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run, in circumstances that have broken runs elsewhere."""
    root = tmp_path_factory.mktemp("a {name} with spaces")
    write_manifest(
        root, entry(slug="First", profiles={"quick": {"rate": 2}, "cpu": {}, "paper": {}})
    )
    source = write_notebook(root, "01_First", code(REPORT), code(FIGURE))
    before = source.read_bytes()
    kernels = root / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "another environment", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(spec))
    project = Project(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "agg")
        patch.setenv("JUPYTER_PATH", str(root / "jupyter"))
        request = planned(project, profile="quick", assignments={"epochs": "5"})
        done = run(project, request, key="some key", progress=False)
    assert source.read_bytes() == before, "the source notebook was written to"
    return project, done


def test_the_executed_notebook_ran_here_with_the_chosen_values(finished):
    project, done = finished
    executed = read_notebook(done.notebook)
    (text,) = [o["text"] for c in executed.cells for o in c.get("outputs", []) if "text" in o]
    folder, executable, *values = json.loads(text)
    assert folder == str(project.manifest.parent), "as Jupyter does"
    assert executable == sys.executable
    assert values == [5, 2.0, "digits", True]
    assert type(values[1]) is float


def test_a_chapter_draws_its_figures_whatever_backend_scripts_use(finished):
    executed = read_notebook(finished[1].notebook)
    assert [list(output.data) for output in executed.cells[-1].outputs] == [
        ["image/png", "text/plain"]
    ]


def test_the_record_tells_what_was_run(finished):
    record = read_record(finished[1].record)
    assert (record.experiment, record.run) == ("chapters", "01-quick")
    values = {"epochs": 5, "rate": 2.0, "name": "digits", "flag": True}
    assert record.parameters == {**values, "run_key": "some key"}
    assert record.peak_memory_bytes > 300_000_000
    assert 0 < record.seconds < 300
    assert "CPU core" in record.device
    assert record.versions["python"] == sys.version.split()[0]


def test_a_finished_run_is_found_again_by_its_key(finished):
    project, done = finished
    request = planned(project, profile="quick")
    found = find_run(project, request, key="some key")
    assert found.folder == done.folder
    assert found.reused
    assert not done.reused
    assert find_run(project, request, key="another key") is None
    assert find_run(project, planned(project, profile="cpu"), key="some key") is None


def write_run(project, name, key="k"):
    """A finished run, as `run` leaves it."""
    folder = project.runs / name
    folder.mkdir(parents=True)
    source = project.manifest.parent / "01_first.ipynb"
    (folder / source.name).write_bytes(source.read_bytes())
    record = new_record("chapters", "01-cpu", parameters={"run_key": key}, metrics={})
    save_record(record, folder / "record.json")
    return folder


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("record.json", None),
        ("record.json", "{}"),
        ("record.json", '{"schema": 99}'),
        ("record.json", "[" * 100_000),
        ("record.json", b"\xff\xfe\x00"),
        ("01_first.ipynb", None),
        ("01_first.ipynb", "{ broken"),
        ("01_first.ipynb", "[]"),
        ("01_first.ipynb", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}'),
    ],
)
def test_a_run_that_is_unfinished_or_damaged_is_passed_over(project, file, content):
    older, newer = (write_run(project, f"01-cpu-{n}") for n in (1, 2))
    assert find_run(project, planned(project), key="k").folder == newer
    (newer / file).unlink()
    if content is not None:
        (newer / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert find_run(project, planned(project), key="k").folder == older


def test_a_failing_cell_is_named_and_the_rest_kept(project):
    cells = [
        code("print('before')"),
        code("\n# why it fails\nraise ValueError('first\\nlast line')"),
        code("print('after')"),
    ]
    write_notebook(project.root, "01_first", *cells)
    with pytest.raises(ChapterError) as caught:
        run(project, planned(project), key="k", progress=False)
    (folder,) = run_folders(project)
    kept = folder / "01_first.ipynb"
    assert str(caught.value).splitlines() == [
        "chapter 01 failed in cell [3], which begins  # why it fails",
        "  ValueError: first",
        "    last line",
        f"  the cells that ran are kept in {kept.relative_to(project.root)}",
    ]
    assert not (folder / "record.json").exists()
    assert find_run(project, planned(project), key="k") is None
    outputs = [o for c in read_notebook(kept).cells for o in c.get("outputs", [])]
    assert [o.get("text", o.get("ename")) for o in outputs] == ["before\n", "ValueError"]


CLAIM = """\
from eae_book.checks import check
check("passes", epochs, low=3)
"""


def test_a_claim_that_fails_at_a_readers_values_is_told_and_the_run_goes_on(project):
    write_notebook(project.root, "01_first", code(CLAIM), code("print('after')"))
    done = run(project, planned(project, assignments={"epochs": "2"}), progress=False)
    assert done.failed_claims == ("fails: passes: value 2, band [3, inf)",)
    outputs = [o["text"] for c in read_notebook(done.notebook).cells for o in c.get("outputs", [])]
    assert outputs == ["fails: passes: value 2, band [3, inf)\n", "after\n"]
    holds = run(project, planned(project, assignments={"epochs": "4"}), progress=False)
    assert holds.failed_claims == ()


def test_a_claim_that_fails_at_the_chapters_values_stops_it(project, monkeypatch):
    monkeypatch.setenv("EAE_CHECKS", "report")  # a reader's own setting is not the book's
    write_notebook(project.root, "01_first", code(CLAIM))
    with pytest.raises(ChapterError, match="CheckFailed: fails: passes: value 1"):
        run(project, planned(project, profile="quick"), progress=False)


def test_a_kernel_that_dies_is_said_to_have_died(project):
    write_notebook(project.root, "01_first", code("import os; os._exit(3)"))
    with pytest.raises(ChapterError, match=r"(?s)the kernel died.*_runs/.*01_first\.ipynb"):
        run(project, planned(project), progress=False)


def test_what_a_cell_puts_out_is_kept_up_to_a_bound(project, monkeypatch):
    monkeypatch.setattr(kernel, "LARGEST_OUTPUT", 1000)
    printing = code("for _ in range(3): print('x' * 800, flush=True)")
    showing = code("from IPython.display import HTML\nHTML('y' * 5000)")
    write_notebook(project.root, "01_first", printing, showing, code("print('after')"))
    executed = read_notebook(run(project, planned(project), progress=False).notebook)
    printed, shown, after = (cell.outputs for cell in executed.cells[-3:])
    text = "".join(output.text for output in printed)
    assert 700 < text.count("x") < 1000, "less what each message takes, however they are cut"
    assert text.endswith(kernel.TOO_MUCH)
    assert text.count(kernel.TOO_MUCH) == 1
    assert shown[0].data == {"text/plain": kernel.TOO_MUCH.strip()}
    assert after[0].text == "after\n"


def test_a_full_disk_is_said(project, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", full)
    with pytest.raises(ChapterError, match=r"chapter 01: .*No space left on device"):
        run(project, planned(project), progress=False)


def test_folders_made_at_once_are_different(project):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: fresh_folder(project.runs, "x"), range(40)))
    assert len({*folders}) == 40
    assert all(folder.is_dir() for folder in folders)


def test_an_unwritable_place_is_an_error_that_names_it(project):
    project.runs.write_text("a file where the folder should be")
    with pytest.raises(CommandError, match=r"cannot make the folder .*_runs/"):
        run(project, planned(project), progress=False)


def cells(text):
    return '{"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": ' + text + "}"


def test_nothing_runs_for_a_notebook_that_is_missing_or_broken(project):
    path = project.root / "notebooks" / "01_first.ipynb"
    broken = ["{ broken", "", "null", "[]", "[" * 200_000, cells("{}"), cells("[3]")]
    for cell in ('"metadata": {}', '"source": 3', '"source": "", "metadata": {"tags": 3}'):
        rest = '"cell_type": "code", "outputs": [], "execution_count": null'
        broken.append(cells("[{" + f"{rest}, {cell}" + "}]"))
    for text in broken:
        path.write_text(text)
        with pytest.raises(UsageError, match=r"01_first\.ipynb is not a notebook"):
            planned(project)
    write_notebook(project.root, "01_first", parameters="x = [1]")
    with pytest.raises(UsageError, match=r"01_first\.ipynb: the parameter in 'x = \[1\]'"):
        planned(project)
    path.unlink()
    with pytest.raises(UsageError, match=r"names 01_first\.ipynb, but there is no such"):
        planned(project)
    assert run_folders(project) == []


def test_without_papermill_the_way_to_install_it_is_named(project, monkeypatch):
    monkeypatch.setattr(errors, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'papermill.*pip install -e "\.\[book\]"'):
        planned(project)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("name=/home/someone", "parameters.name holds the path '/home/someone'"),
        ("device=cuda:99", "device 'cuda:99' is not here"),
        ("device=gpu", "unknown device 'gpu': choose auto"),
        ("seed=4294967296", r"seed must be a whole number from 0 to 4294967295, got 4294967296"),
        ("seed=-1", "seed must be a whole number from 0"),
        ("data_seed=9999999999", "data_seed must be a whole number from 0"),
    ],
)
def test_what_could_not_be_recorded_is_refused_before_it_runs(project, assignment, message):
    parameters = "epochs = 1\nname = ''\ndevice = 'cpu'\nseed = 0\ndata_seed = 0"
    write_notebook(project.root, "01_first", parameters=parameters)
    with pytest.raises(UsageError, match=f"chapter 01: {message}"):
        planned(project, assignments=dict([assignment.split("=")]))
    assert planned(project, assignments={"seed": "4294967295"}).values["seed"] == 2**32 - 1


READER = """\
import os, subprocess, sys
1
print(os.environ["EAE_DATA"], os.environ["PYTHONPATH"], "started" in globals())
"""


def test_nothing_of_the_readers_own_settings_reaches_a_chapter(project, monkeypatch, tmp_path):
    """Profile, startup file and matplotlibrc of a reader; relative paths; no home."""
    profile = tmp_path / "reader" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "00.py").write_text("started = True\n")
    (profile / "ipython_kernel_config.py").write_text(
        "c.InteractiveShell.ast_node_interactivity = 'all'\n"
    )
    startup, rc = tmp_path / "startup.py", tmp_path / "matplotlibrc"
    startup.write_text("started = True\n")
    rc.write_text("figure.dpi: 33\n")
    monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    monkeypatch.setenv("MATPLOTLIBRC", str(rc))
    monkeypatch.setenv("EAE_DATA", "../d")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*filter(None, sys.path), "rel"]))
    monkeypatch.chdir(project.runs.parent)
    dpi = code("import matplotlib\nprint(matplotlib.rcParams['figure.dpi'])")
    write_notebook(project.root, "01_first", code(READER), dpi)
    executed = read_notebook(run(project, planned(project), progress=False).notebook)
    first, second = (cell.outputs for cell in executed.cells[-2:])
    assert [output.output_type for output in (*first, *second)] == ["stream", "stream"]
    data, paths, started = first[0].text.split(" ")
    assert data == str(project.root.parent / "d")
    assert paths.split(os.pathsep)[-1] == str(project.root / "rel")
    assert started == "False\n"
    assert second[0].text != "33.0\n"
    assert not list(project.runs.glob("*/.jupyter-*"))


def test_profiles_of_kernels_that_were_killed_are_swept(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, os.getpid()):
        (tmp_path / "01-cpu-x" / f"{kernel.PROFILE}{pid}-abc").mkdir(parents=True)
    kernel._sweep(tmp_path)
    left = [path.name for path in tmp_path.glob("*/.*")]
    assert left == [f"{kernel.PROFILE}{os.getpid()}-abc"]


def test_a_user_without_a_home_has_the_temporary_folder(monkeypatch):
    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("HOME", "as before")
    ensure_home()
    assert os.environ["HOME"] == "as before"
    monkeypatch.setattr(Path, "home", nobody)
    ensure_home()
    assert os.environ["HOME"] == tempfile.gettempdir()
