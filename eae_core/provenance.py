"""Which code and which packages made a result."""

from __future__ import annotations

import ast
import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch


def code_hash(module: str | None = None) -> str:
    """Twelve hexadecimal digits that change with the sources of this package.

    Args:
        module: only what this module does, e.g. ``"eae_core.models.wasserstein"``, and those that
            it imports, directly or not: their code, without comments and docstrings. By default
            every byte of the package.

    Raises:
        ModuleNotFoundError: there is no such module in this package.

    Example:
        >>> len(code_hash()), code_hash() == code_hash()
        (12, True)
        >>> code_hash("eae_core.entropy.knn") == code_hash("eae_core.files")
        False
    """
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py") if module is None else _sources(module)):
        digest.update(path.relative_to(package).as_posix().encode())
        text = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(text if module is None else _without_words(text))
    return digest.hexdigest()[:12]


def _without_words(source: bytes) -> bytes:
    """What is left of a source file without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                value.value = ""
    return ast.unparse(tree).encode()


def _sources(module: str) -> set[Path]:
    """The files of a module and of all in this package that it leads to."""
    package = Path(__file__).parent
    found: set[Path] = set()
    ahead = {module}
    while ahead:
        path = _file_of(ahead.pop())
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and _is_own(node.module, package):
                ahead.add(node.module)
                named = (f"{node.module}.{alias.name}" for alias in node.names)
                ahead.update(name for name in named if _is_module(name))
            elif isinstance(node, ast.Import):
                ahead.update(alias.name for alias in node.names if _is_own(alias.name, package))
    return found


def _is_own(module: str, package: Path) -> bool:
    return module.partition(".")[0] == package.name


def _is_module(module: str) -> bool:
    try:
        _file_of(module)
    except ModuleNotFoundError:
        return False
    return True


def _file_of(module: str) -> Path:
    package = Path(__file__).parent
    path = package.joinpath(*module.split(".")[1:])
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file() and _is_own(module, package):
            return file
    raise ModuleNotFoundError(f"there is no module {module!r} in {package.name}")


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
