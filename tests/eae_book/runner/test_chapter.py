"""Runs of one chapter: what they leave behind, and what a failure leaves behind."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from tiny_checkout import code, entry, planned, run_folders, write_manifest, write_notebook

from eae_book.runner import chapter as runner
from eae_book.runner.chapter import ChapterError, find_run, fresh_folder, read_notebook, run
from eae_book.runner.project import Project
from eae_core import errors
from eae_core.errors import CommandError, UsageError
from eae_core.records import read_record

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
    assert folder == str(project.manifest.parent), "nbval starts there too"
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
    assert record.parameters == {"epochs": 5, "rate": 2.0, "name": "digits", "flag": True}
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


def test_an_incomplete_run_is_not_found(project):
    folder = project.runs / "01-cpu-1"
    folder.mkdir(parents=True)
    for name in ("key", "01_first.ipynb"):
        (folder / name).write_text("k")
        assert find_run(project, planned(project), key="k") is None
    (folder / "record.json").write_text("{}")
    assert find_run(project, planned(project), key="k").folder == folder


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
        "  ValueError: last line",
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


def test_folders_made_at_once_are_different(project):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: fresh_folder(project.runs, "x"), range(40)))
    assert len({*folders}) == 40
    assert all(folder.is_dir() for folder in folders)


def test_an_unwritable_place_is_an_error_that_names_it(project):
    project.runs.write_text("a file where the folder should be")
    with pytest.raises(CommandError, match=r"cannot make the folder .*_runs/"):
        run(project, planned(project), progress=False)


def test_nothing_runs_for_a_notebook_that_is_missing_or_broken(project):
    path = project.root / "notebooks" / "01_first.ipynb"
    path.write_text("{ broken")
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


def test_a_failed_record_is_an_error_and_the_notebook_stays(project, monkeypatch):
    monkeypatch.setattr(
        runner, "_execute", lambda *_, **__: nbformat.from_dict({"metadata": {"papermill": {}}})
    )
    write_notebook(project.root, "01_first", parameters="epochs = 1\nfolder = '/home/someone'")
    with pytest.raises(CommandError, match=r"cannot be recorded: .*'/home/someone'"):
        run(project, planned(project), progress=False)
