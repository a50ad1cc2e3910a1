"""Folders that runs leave behind."""

from __future__ import annotations

import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from eae_core.errors import CommandError

RECORD, CHECKPOINT, CODES = "record.json", "model.safetensors", "codes.npy"


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

    from eae_core.files import replacing

    plain: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, **plain)
        else:
            np.save(file, next(iter(plain.values())))
