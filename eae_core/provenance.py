"""Which code and which packages made a result."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch


def code_hash() -> str:
    """Twelve hexadecimal digits that change with any source file of this package.

    Example:
        >>> len(code_hash()), code_hash() == code_hash()
        (12, True)
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result.

    Example:
        >>> list(installed_versions())
        ['python', 'torch', 'numpy', 'eae_core']
    """
    try:
        own = version("eae-core")
    except PackageNotFoundError:  # imported from a folder, without an installation
        own = "not installed"
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "eae_core": own,
    }
