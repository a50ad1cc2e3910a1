"""Folders that trainings leave behind: their files, and the results in one of them."""

from __future__ import annotations

import json
import platform
import secrets
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eae_core.errors import CommandError
from eae_core.files import replacing

RECORD, CHECKPOINT, CODES = "record.json", "model.safetensors", "codes.npy"
LARGEST_FILE = 1_000_000  # characters of results that are read


def fresh_folder(root: Path, name: str) -> Path:
    """A new folder `<root>/<name>-<time>-<random>/`, so that runs at once never meet."""
    stamp = datetime.now().strftime("%Y%m%dT%H%M%S")
    folder = root / f"{name}-{stamp}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise CommandError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    return folder


def save_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays as NumPy does: the first one alone as .npy, or all by their names as .npz."""
    import numpy as np

    plain: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, **plain)
        else:
            np.save(file, next(iter(plain.values())))


def read_results(path: Path) -> dict[str, Any]:
    """What a record.json says of its run; ValueError or OSError where it cannot be read."""
    kinds: dict[str, Any] = dict.fromkeys(("experiment", "run", "created", "device"), str)
    kinds |= {"seconds": (int, float), "peak_memory_bytes": int}
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(LARGEST_FILE + 1))
        if odd := [name for name, kind in kinds.items() if not isinstance(found[name], kind)]:
            raise TypeError(f"{odd[0]} is {found[odd[0]]!r}")
        if not (0 <= found["seconds"] < 1e12 and 0 <= found["peak_memory_bytes"] < 2**64):
            raise ValueError("its time or memory is impossible")
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} holds no results of a run: {error}") from error
    return dict(found)


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
