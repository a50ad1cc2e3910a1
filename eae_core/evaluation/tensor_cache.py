"""Tensors that take long to compute, on disk: found again only if they are exactly what is asked.

A file holds tensors, the key that says what they were made from, and their checksum. A file of
another key, cut short or changed, counts as none and is replaced. Processes that ask at the same
time wait for the first, so that all have the same tensors: what a GPU computes twice differs. A
cache is a convenience: where it cannot be written, a line in the log says so and the work goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from eae_core.data import data_root
from eae_core.files import LockedError, expanded, locked, replacing

_log = logging.getLogger(__name__)


def data_folder(root: str | Path | None, name: str) -> Path:
    """A folder in the data folder, which is :func:`eae_core.data.data_root` unless it is given."""
    return (data_root() if root is None else expanded(root)) / name


def cached_tensors(
    folder: Path,
    label: str,
    key: Mapping[str, object],
    compute: Callable[[], Mapping[str, Tensor]],
) -> dict[str, Tensor]:
    """The tensors of a key, from the folder if they are there, else computed and put there.

    The key is all that they depend on; the label begins the file's name, for people.
    """
    text = json.dumps(dict(key), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = folder / f"{re.sub('[^A-Za-z0-9_.-]', '_', label)}-{digest}.safetensors"
    if (found := _read(path, text)) is not None:
        return found
    with _turn(path):
        if (found := _read(path, text)) is not None:  # of the process waited for
            return found
        found = {name: tensor.detach().cpu().contiguous() for name, tensor in compute().items()}
        try:
            with replacing(path) as temporary:
                save_file(found, temporary, {"key": text, "sha256": tensors_checksum(found)})
        except (OSError, SafetensorError) as error:  # the latter where the disk is full
            _log.warning("what was computed is not kept for the next time: %s", error)
    return found


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait while another process has the lock of a file; where none can be had, nobody waits."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(path))
            except LockedError:
                time.sleep(0.1)
                continue
            except OSError:
                pass
            break
        yield


def _read(path: Path, key: str) -> dict[str, Tensor] | None:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            # clone: a tensor is a window on the file, which may be replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            right = file.metadata() == {"key": key, "sha256": tensors_checksum(tensors)}
    except (OSError, SafetensorError):  # absent, unreadable, or cut short
        return None
    return tensors if right else None


def tensors_checksum(tensors: Mapping[str, Tensor]) -> str:
    """The sha256 of tensors, with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
