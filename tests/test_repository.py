"""The files around the package agree with pyproject.toml and with each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


ALL = {need for needs in [PROJECT["dependencies"], *EXTRAS.values()] for need in needs}
NEEDED = {need for need in ALL if Requirement(need).name != PROJECT["name"]}


@pytest.mark.parametrize("requirement", sorted(NEEDED))
def test_every_dependency_is_pinned_within_its_range(requirement):
    need = Requirement(requirement)
    version = pinned().get(canonicalize_name(need.name))
    assert version is not None, f"constraints.txt does not pin {need.name}"
    assert Version(version) in need.specifier


def test_conda_environment_installs_the_same_package():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    python = Requirement(next(d for d in plain if d.startswith("python")))
    assert python.specifier == Requirement(f"python{PROJECT['requires-python']}").specifier
    makefile = (ROOT / "Makefile").read_text()
    wanted = re.search(r'--editable "(\.\[[\w,]+\])"', makefile)[1]
    assert pip == ["--constraint constraints.txt", f"--editable {wanted}"]
    assert plain[1:] == ["pip"], "dependencies belong into pyproject.toml"


def test_versions_agree():
    import eae_core

    assert eae_core.__version__ == PROJECT["version"]
    assert f"version: {PROJECT['version']}" in (ROOT / "CITATION.cff").read_text()
    assert f"[{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()


def test_make_help_lists_every_verb():
    makefile = (ROOT / "Makefile").read_text()
    verbs = set(re.search(r"\.PHONY: (.*)", makefile)[1].split())
    printed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split()[1] for line in printed.stdout.splitlines()} == verbs


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda p: p.stem)
def test_actions_are_pinned_by_commit(path):
    """A tag can be moved to other code by whoever owns it."""
    used = re.findall(r"uses: (\S+)", path.read_text())
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)] == []
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert [each["package-ecosystem"] for each in updates] == ["github-actions"]
