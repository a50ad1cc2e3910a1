"""What a stranger installs: the wheel alone, without the checkout, trains and lists its runs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import eae_core

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
IGNORED = shutil.ignore_patterns(
    ".git", ".venv", "_build", "_runs", "cache", "__pycache__", "*.egg-info", ".*_cache"
)
SMALL = {"dataset": "digits", "limit": 60, "batch-size": 20, "width": 2, "latent-dim": 3}
WORDS = [f"--{name}={value}" for name, value in SMALL.items()]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("packages")
    source = shutil.copytree(ROOT, folder / "source", ignore=IGNORED)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The scripts of an environment with the wheel and the packages that lie here already."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    # A path in a .pth file is searched, but what .pth files lie there is not read: the checkout,
    # which may be installed in it as editable, stays unknown.
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python.parent


@pytest.fixture
def outside(installed, tmp_path):
    """Run a command of that environment in an empty folder; returns what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}

    def outside(program, *words):
        command = [installed / program, *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return outside


def test_the_wheel_holds_the_package_for_strangers_alone(built):
    (wheel,) = built.glob("*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in files}
    assert tops == {"eae_core", f"eae_core-{eae_core.__version__}.dist-info"}
    ours = (ROOT / "eae_core").rglob("*")
    expected = {p.relative_to(ROOT).as_posix() for p in ours if p.is_file() and p.suffix != ".pyc"}
    assert {name for name in files if name.startswith("eae_core/")} == expected
    assert "eae_core/py.typed" in expected


def test_the_source_distribution_is_the_checkout(built):
    if not (ROOT / ".git").exists():
        pytest.skip("which files belong to the checkout is known to git alone")
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        found = {name.partition("/")[2] for name in packed.getnames()}
    assert [name for name in tracked if name not in found and (ROOT / name).exists()] == []


def test_the_wheel_alone_trains_and_lists_what_it_trained(outside, installed):
    where = outside("python", "-c", "import eae_core; print(eae_core.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parent)
    absent = "from importlib.util import find_spec; print(find_spec('eae_book'))"
    assert outside("python", "-c", absent) == "None\n"
    assert outside("eae", "--version") == f"eae_core {eae_core.__version__}\n"
    assert "no runs yet" in outside("eae", "runs")
    outside("eae", "train", *WORDS, "--epochs=1", "--no-progress")
    (row,) = outside("eae", "runs").splitlines()[1:]
    assert row.startswith("train")
    assert "finished" in row
