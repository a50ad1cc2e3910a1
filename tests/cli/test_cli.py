"""The command line: words, exit statuses, and what is printed."""

import re
import subprocess
import sys
from math import e, log, pi
from pathlib import Path

import numpy as np
import pytest
from scipy.special import digamma

from eae_core.cli import TRAIN_EXTRA, main
from eae_core.cli.parser import PROGRAM, build_parser
from eae_core.cli.tools import gaussian_bound

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "eae_core"]
VERBS = re.findall(r"^    ([a-z]+) ", build_parser().format_help(), re.MULTILINE)


def test_help_is_quick_because_nothing_heavy_is_imported():
    program = (
        "import sys\nfrom eae_core.cli import main\n"
        "try:\n    main(['entropy', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'numpy', 'sklearn', 'torchvision'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no pwd")
def test_a_user_without_a_home_or_a_name_trains_too(tmp_path):
    program = (
        "import os, pwd, sys\n"
        "def nobody(*words):\n    raise KeyError('uid not found')\n"
        "pwd.getpwuid = nobody\n"
        "for name in ('HOME', 'USER', 'LOGNAME', 'LNAME', 'USERNAME', 'MPLCONFIGDIR'):\n"
        "    os.environ.pop(name, None)\n"
        "from eae_core.cli import main\n"
        "words = ['--limit', '40', '--batch-size', '20', '--width', '1', '--latent-dim', '2']\n"
        "words += ['--epochs', '1', '--no-progress', '--output', 'run']\n"
        "sys.exit(main(['train', *words]) or main(['sample', 'run', '-n', '2']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert (tmp_path / "samples" / "grid.png").exists()


def test_the_verbs_are_found():
    assert {"train", "entropy", "data", "runs"} <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    example = capsys.readouterr().out.split("example:\n")[1].splitlines()
    assert example
    for line in example:
        words = line.strip().removeprefix(f"{PROGRAM} ").split()
        assert words[0] == verb
        build_parser().parse_args(words)


@pytest.mark.parametrize("words", [[], ["runn"], ["book"], ["entropy"], ["train", "--k=x"]])
def test_words_that_are_none_are_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_command_runs_as_a_module(tmp_path):
    result = subprocess.run(
        [*COMMAND, "runs"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert result.stdout == "no runs yet; start one with  eae train\n"


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
    few = sum(digamma((500 - i) / 2) - log(499 / 2) for i in (1, 2, 3)) / 2  # negative
    unit = 1.5 * log(2 * pi * e) - few
    assert gaussian_bound(z) == pytest.approx(unit, abs=1e-12)
    mixing = np.array([[2.0, 0, 0], [1, 3, 0], [4, 5, 0.5]])
    assert gaussian_bound(z @ mixing.T) == pytest.approx(unit + log(3), abs=1e-9)
    flat = np.concatenate([z, z[:, :1]], axis=1)
    assert gaussian_bound(flat) == -np.inf
    assert gaussian_bound(z[:3]) == -np.inf
    assert gaussian_bound(z * [1, 0, 1]) == gaussian_bound(z * [1, 0, 1] + 1e3) == -np.inf


@pytest.mark.parametrize("units", [[1, 1e-6, 1e-9], [1e200, 1, 1e-200], [1e-300, 1e300, 5.0]])
def test_the_gaussian_bound_knows_coordinates_of_any_unit(units):
    z = np.random.default_rng(0).normal(size=(200, 3))
    z[:, 1] += z[:, 0]
    expected = gaussian_bound(z) + np.log(units).sum()
    assert gaussian_bound(z * units) == pytest.approx(expected, abs=1e-8)


def test_the_gaussian_bound_of_few_points_is_right_on_average():
    draws = np.random.default_rng(0).normal(size=(400, 20, 8))
    found = np.array([gaussian_bound(z) for z in draws])
    standard_error = found.std() / np.sqrt(len(found))
    assert found.mean() == pytest.approx(4 * log(2 * pi * e), abs=4 * standard_error)
    assert standard_error < 0.1


def test_few_points_in_many_dimensions_are_warned_of(said, tmp_path):
    path = tmp_path / "z.npy"
    np.save(path, np.random.default_rng(0).normal(size=(50, 16)))
    _, out, err = said("entropy", path)
    assert "Gaussian      2" in out  # 22.7 nats and not 19, as of the covariance that they have
    assert "warning: 50 points are few in 16 dimensions" in err
    np.save(path, np.random.default_rng(0).normal(size=(10, 16)))
    _, out, err = said("entropy", path)
    assert "10 points lie in a plane of 9 dimensions always" in out
    np.save(path, np.random.default_rng(0).normal(size=(500, 2)))
    assert said("entropy", path)[2] == ""


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
    assert "is a folder; name the .npy file in it" in said("entropy", tmp_path)[2]


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


@pytest.mark.slow
@pytest.mark.parametrize("words", [["train", "--data", "digits"], ["sample", "model"]])
def test_without_the_extra_a_verb_names_it(words):
    absent = f"import sys; sys.modules |= dict.fromkeys({sorted(TRAIN_EXTRA)})"
    program = f"{absent}; from eae_core.cli import main; sys.exit(main({words}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.match(r"error: this needs \w+, which is not installed: .*\[train\]", line)


def test_another_missing_module_is_no_matter_of_the_extra(monkeypatch):
    def missing(module):
        raise ModuleNotFoundError(name="eae_core.lost")

    monkeypatch.setattr("eae_core.cli.import_module", missing)
    with pytest.raises(ModuleNotFoundError):
        main(["data"])
