"""Which code and which packages made a result: kept in records, and deciding nothing.

Whether a record still holds is a matter of revisions, see :mod:`eae_book.revisions`.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import eae_core
from eae_core.cli.folders import installed_versions

CORE, BOOK = Path(eae_core.__file__).parent, Path(__file__).parent


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
        packages: folders; both packages by default. Line ends and compiled files do not count.

    Example:
        >>> len(code_hash()), code_hash() == code_hash()
        (12, True)
    """
    digest = hashlib.sha256()
    for package in packages or (CORE, BOOK):
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name[0] != ".":
                digest.update(f"{package.name}/{path.relative_to(package).as_posix()}\n".encode())
                digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def git_commit() -> str:
    """The commit of the checkout that this package lies in; empty if there is none."""
    if not (BOOK.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(BOOK.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):  # no git here, or a very slow disk
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
