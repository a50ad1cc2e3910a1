"""Which code and which packages made a result: kept in records, and deciding nothing.

Whether a record still holds is a matter of revisions, see :mod:`eae_core.revisions`.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Provenance:
    """Taken when a run starts: the code may be edited while it goes on.

    Example:
        >>> len(Provenance.now().code_hash)
        12
    """

    code_hash: str
    commit: str  #: of git, with "-dirty" where files were changed; empty outside a checkout
    versions: dict[str, str]

    @classmethod
    def now(cls) -> Provenance:
        """The code as it lies on disk, and what is installed."""
        return cls(code_hash(), git_commit(), installed_versions())


def code_hash(*packages: Path) -> str:
    """Twelve hexadecimal digits that change with any file of these packages, data files included.

    Args:
        packages: folders; this package by default. Line ends and compiled files do not count.

    Example:
        >>> len(code_hash()), code_hash() == code_hash()
        (12, True)
    """
    digest = hashlib.sha256()
    for package in packages or (PACKAGE,):
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name[0] != ".":
                digest.update(f"{package.name}/{path.relative_to(package).as_posix()}\n".encode())
                digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def git_commit() -> str:
    """The commit of the checkout that this package lies in; empty if there is none."""
    if not (PACKAGE.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):  # no git here, or a very slow disk
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result.

    Example:
        >>> list(installed_versions())
        ['python', 'torch', 'numpy', 'eae_core']
    """
    found = {"python": platform.python_version()}
    for name, package in (("torch", "torch"), ("numpy", "numpy"), ("eae_core", "eae-core")):
        try:
            found[name] = version(package)
        except PackageNotFoundError:  # imported from a folder, without an installation
            found[name] = "not installed"
    return found
