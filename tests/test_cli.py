"""The command line: words, exit statuses, and what is printed."""

import json
import os
import signal
import subprocess
import sys
import time
from math import e, log, pi

import numpy as np
import pytest
from tiny_checkout import code, entry, run_folders, write_manifest, write_notebook

from eae_book.runner.project import Project
from eae_core.cli import main
from eae_core.cli.parser import build_parser
from eae_core.cli.tools import gaussian_bound
from eae_core.records import read_record

COMMAND = [sys.executable, "-m", "eae_core"]
VERBS = ["run", "book", "refresh", "train", "entropy", "data", "runs"]


@pytest.fixture
def project(tmp_path):
    write_manifest(tmp_path, entry())
    write_notebook(tmp_path, "01_first", code("print(epochs)"))
    return Project(tmp_path)


@pytest.fixture
def said(capsys):
    """Call a verb in this process; returns the status and what it wrote."""

    def said(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return said


def test_help_is_quick_because_nothing_heavy_is_imported():
    program = (
        "import sys\nfrom eae_core.cli import main\n"
        "try:\n    main(['run', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib', 'papermill'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0
    )


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    example = capsys.readouterr().out.split("example:\n")[1].splitlines()
    assert example
    for line in example:
        words = line.strip().removeprefix("python -m eae_core ").split()
        assert words[0] == verb
        build_parser().parse_args(words)


@pytest.mark.parametrize(
    "words", [[], ["runn"], ["run"], ["book", "--profile"], ["train", "--k=x"]]
)
def test_words_that_are_none_are_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_command_runs_as_a_module(project):
    result = subprocess.run(
        [*COMMAND, "runs", "--root", project.root], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("no runs yet; start one with  python -m eae_core run 01")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "frist"], "no chapter 'frist'; did you mean 'first'"),
        (["run", "01", "--profile", "papre"], "no profile 'papre'; did you mean 'paper'"),
        (["run", "01", "-p", "epoch=2"], "no parameter 'epoch'; did you mean 'epochs'"),
        (["run", "01", "-p", "epochs=x"], "epochs must be a whole number"),
        (["run", "01", "-p", "epochs=1", "-p", "epochs=2"], "'epochs' is given twice"),
        (["run", "01", "-p", "epochs"], "-p takes name=value"),
        (["refresh", "frist"], "no chapter 'frist'"),
        (["book", "--profile", "papre"], "no profile 'papre'"),
        (["book", "--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["refresh", "--jobs", "-1"], "--jobs must be at least 1, got -1"),
    ],
)
def test_a_wrong_request_runs_nothing(said, project, words, message):
    status, out, err = said(*words, "--root", project.root)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert not project.runs.exists()


def test_a_folder_that_is_no_checkout_is_named(said, tmp_path):
    status, _, err = said("run", "01", "--root", tmp_path)
    assert status == 2
    assert f"no notebooks/manifest.yml in {tmp_path}" in err


@pytest.mark.slow
def test_two_runs_at_once_and_one_that_fails(said, project):
    words = [*COMMAND, "run", "first", "--root", project.root, "--profile", "quick"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    folders = run_folders(project)
    assert len(folders) == 2
    for folder in folders:
        assert read_record(folder / "record.json").run == "01-quick"
        assert any(f"_runs/{folder.name}/01_first.ipynb" in text for text in printed)

    write_notebook(project.root, "01_first", code("1 / 0"))
    status, out, err = said("run", "01", "--root", project.root)
    assert (status, out) == (1, "")
    assert "ZeroDivisionError: division by zero" in err
    status, out, _ = said("runs", "--root", project.root)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "experiment",
        "chapters",
        "chapters",
        "-",
    ]
    _, out, _ = said("runs", "--json", "--root", project.root)
    assert [run["state"] for run in json.loads(out)] == ["finished", "finished", "unfinished"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_keeps_what_ran(project):
    write_notebook(
        project.root, "01_first", code("print('before')"), code("import time; time.sleep(99)")
    )
    words = [*COMMAND, "run", "01", "--root", project.root]
    # Where the tests themselves run in the background, SIGINT is ignored, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    kept = wait_for(lambda: next(iter(project.runs.glob("*/01_first.ipynb")), None))
    wait_for(lambda: "before\\n" in kept.read_text())
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"the cells that ran are kept in {kept.relative_to(project.root)}" in err
    assert "Traceback" not in err
    assert "before\\n" in kept.read_text()
    assert not (kept.parent / "record.json").exists()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return found


def test_entropy_of_a_file(said, tmp_path):
    path = tmp_path / "z.npy"
    z = np.random.default_rng(0).normal(size=(4000, 2))
    np.save(path, z)
    status, out, _ = said("entropy", path, "--k", "3")
    assert status == 0
    words = {line.split()[0]: line.split() for line in out.splitlines()}
    assert words["points"][1:] == ["n", "=", "4000,", "d", "=", "2"]
    # The estimate's standard deviation here is about 0.02 nats; five of them.
    assert float(words["entropy"][1]) == pytest.approx(log(2 * pi * e), abs=0.1)
    assert float(words["Gaussian"][1]) == pytest.approx(gaussian_bound(z), abs=1e-4)
    difference = float(words["Gaussian"][1]) - float(words["entropy"][1])
    assert float(words["difference"][1]) == pytest.approx(difference, abs=2e-4)


def test_entropy_of_points_of_any_size(said, tmp_path):
    z = np.random.default_rng(0).normal(size=(200, 3))
    np.save(tmp_path / "z.npy", z)
    np.save(tmp_path / "far.npy", 1e200 * z)
    plain, far = (said("entropy", tmp_path / name)[1] for name in ("z.npy", "far.npy"))
    assert plain.splitlines()[-1] == far.splitlines()[-1]  # the difference has no unit


def test_a_table_of_text_is_told_how_to_become_an_array(said, tmp_path):
    path = tmp_path / "z.csv"
    np.savetxt(path, np.ones((3, 2)), delimiter=",")
    status, _, words = said("entropy", path)
    assert status != 0
    assert "numpy.loadtxt" in words
    assert "unsafely" not in words


def test_the_gaussian_bound_is_that_of_the_covariance():
    z = np.random.default_rng(1).normal(size=(500, 3))
    z = (z - z.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T  # covariance I
    unit = 1.5 * log(2 * pi * e)
    assert gaussian_bound(z) == pytest.approx(unit, abs=1e-12)
    mixing = np.array([[2.0, 0, 0], [1, 3, 0], [4, 5, 0.5]])
    assert gaussian_bound(z @ mixing.T) == pytest.approx(unit + log(3), abs=1e-9)
    flat = np.concatenate([z, z[:, :1]], axis=1)
    assert gaussian_bound(flat) == -np.inf
    assert gaussian_bound(z[:3]) == -np.inf


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5), r"must be n x d, and has the shape (5,); save array[:, None]"),
        (np.zeros((2, 2, 2)), "must be n x d"),
        (np.zeros((5, 2), dtype=int), "holds int64, not floating point"),
        (np.zeros((5, 2), dtype=complex), "holds complex128"),
        (np.array([[1.0, np.nan], [0, 1]]), "NaN or infinity"),
        (np.zeros((5, 2)), "points coincide"),
        (np.zeros((0, 2)), "empty"),
        (np.eye(1), "k must lie in"),
        (np.array([{}]), "not an array written by numpy.save"),
    ],
)
def test_a_bad_file_is_explained(said, tmp_path, array, message):
    path = tmp_path / "z.npy"
    np.save(path, array)
    status, out, err = said("entropy", path)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {path}")
    assert message in err


def test_files_that_are_no_arrays(said, tmp_path):
    path = tmp_path / "z.npy"
    assert said("entropy", path) == (2, "", f"error: there is no file {path}\n")
    path.write_text("hello")
    assert "not an array written by numpy.save" in said("entropy", path)[2]
    path.write_bytes(b"")
    assert "not an array written by numpy.save" in said("entropy", path)[2]
    np.savez(tmp_path / "z.npz", a=np.zeros(3))
    assert "holds several arrays" in said("entropy", tmp_path / "z.npz")[2]
    assert "is not an array written by numpy.save: [Errno" in said("entropy", tmp_path)[2]


def test_the_data_sets_are_listed(said, tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path))
    status, out, _ = said("data")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["digits"].endswith("comes with the package")
    assert lines["mnist"].endswith("absent")
    assert str(tmp_path) in lines["data"]
    assert said("data", "list")[1] == out


def test_data_sets_are_checked(said, tmp_path, monkeypatch):
    from eae_core.data import seal

    monkeypatch.setenv("EAE_DATA", str(tmp_path))
    assert said("data", "check")[0] == 0, "absent sets are no failure"
    (tmp_path / "mnist").mkdir()
    for split in ("train", "test"):
        np.save(tmp_path / "mnist" / f"{split}_images.npy", np.zeros((3, 28, 28, 1), np.uint8))
    seal("mnist")
    assert "mnist: whole, 2 arrays" in said("data", "check", "mnist")[1]
    (line,) = (line for line in said("data")[1].splitlines() if line.startswith("mnist"))
    assert line.split()[-3:] == ["3", "3", "prepared"]
    np.save(tmp_path / "mnist" / "test_images.npy", np.ones((3, 28, 28, 1), np.uint8))
    status, out, err = said("data", "check")
    assert status == 1
    assert "mnist: damaged" in out
    assert "test_images.npy" in err
    status, out, err = said("data", "check", "cifar10")
    assert (status, out) == (1, "cifar10: absent\n")
    for words in (["check", "minst"], ["prepare", "minst"]):
        assert "did you mean 'mnist'" in said("data", *words)[2]
    assert said("data", "prepare", "digits")[1].startswith("digits needs no preparation")
