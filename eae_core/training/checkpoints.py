"""Checkpoints: all that a run needs to go on, or a reader to use its model, in one file.

The file is safetensors with a JSON header: it holds numbers and text and, unlike a pickle, nothing
that could run when it is opened. A checksum covers everything in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from eae_core.files import replacing
from eae_core.models import rebuild_model
from eae_core.training.guards import TrainingError, first_nonfinite, unwrapped

FORMAT_VERSION = 2
_HEADER = "eae_core"  # the one key of the file's metadata
_GROUPS = ("weights", "optimizer", "random", "terms", "moments")
_REMEDY = "restore a copy of it, or delete it to start anew"


class CheckpointError(TrainingError):
    """A file is no checkpoint, or the checkpoint of something else."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a run after some whole epochs and some steps of the next."""

    config: dict[str, Any]  #: the model's, enough to rebuild it
    options: dict[str, Any]  #: of training
    images: dict[str, Any]  #: which images: name, split, checksum, number
    epoch: int  #: whole epochs done
    step: int  #: steps done in the epoch under way
    epochs: list[dict[str, float]]  #: the history of the whole ones
    epoch_seconds: float  #: time spent on the one under way
    peak_memory_bytes: int
    term_names: list[str]  #: of the columns of ``terms["rows"]``
    weights: dict[str, Tensor]  #: the model's parameters and running moments
    optimizer: dict[str, Tensor]  #: ``"<optimizer><parameter>/<moment>"`` to tensor
    random: dict[str, Tensor]  #: generator states, by device type
    terms: dict[str, Tensor]  #: ``"rows"``: (step, terms), of the epoch under way
    moments: dict[str, Tensor] = field(default_factory=dict)  #: running ones, if recomputed since


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint, whole or not at all; OSError if it cannot be, the old file stays."""
    parts = {each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)}
    tensors = {
        # clone: safetensors refuses views and tensors that share memory.
        f"{group}:{key}": tensor.detach().cpu().contiguous().clone()
        for group in _GROUPS
        for key, tensor in parts.pop(group).items()
    }
    header = {"format": FORMAT_VERSION, **parts}
    header["checksum"] = _checksum(header, tensors)
    metadata = {_HEADER: json.dumps(header, allow_nan=False)}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # its way to say that the disk is full
            raise OSError(f"cannot write the checkpoint {path}: {error}") from error


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, to the CPU; raises as :func:`load_model`."""
    path = Path(path)
    if not path.is_file():
        found = "a device or a pipe" if path.exists() else "not there"
        if path.is_dir():
            found = f"a folder, name the file in it, {path / 'model.safetensors'}"
        raise FileNotFoundError(f"there is no checkpoint {path}: it is {found}")
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = _read_header(path, file.metadata())
            for key in file.keys():  # noqa: SIM118 (the file is no dictionary)
                # clone: the tensor is a window on the file, which the next checkpoint replaces.
                tensors[key] = file.get_tensor(key).clone()
        stated = header.pop("checksum", None)
        del header["format"]
        if stated != _checksum(header, tensors):
            raise ValueError("its checksum is another one")
        groups: dict[str, dict[str, Tensor]] = {name: {} for name in _GROUPS}
        for key, tensor in tensors.items():
            group, _, name = key.partition(":")
            groups[group][name] = tensor
        checkpoint = Checkpoint(**(header | groups))
        check_content(checkpoint)
        return checkpoint
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint ({error}): {_REMEDY}") from error


def check_content(checkpoint: Checkpoint) -> None:
    """Raise ValueError unless all parts fit: a checksum tells no file that was never right."""
    c = checkpoint
    counts = (c.epoch, c.step, c.peak_memory_bytes)
    rows = c.terms.get("rows", torch.empty(0, len(c.term_names)))
    random = c.random.get("cpu", torch.empty(0))
    fits = {
        "epoch and step": all(type(count) is int and count >= 0 for count in counts),
        "epoch_seconds": type(c.epoch_seconds) in (int, float) and c.epoch_seconds >= 0,
        "config, options and images": all(
            isinstance(said, dict) for said in (c.config, c.options, c.images)
        ),
        "epochs": len(c.epochs) == c.epoch and all(isinstance(means, dict) for means in c.epochs),
        "terms": rows.shape == (c.step, len(c.term_names)),
        "optimizer": bool(c.optimizer) or not (c.epoch or c.step),
        "random": random.ndim == 1 and random.dtype == torch.uint8,
        "moments": all(
            name in c.weights and value.shape == c.weights[name].shape
            for name, value in c.moments.items()
        ),
    }
    if wrong := [name for name, good in fits.items() if not good]:
        raise ValueError(f"what it says of {' and of '.join(wrong)} is not possible")


def _checksum(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Of all that the file says: the header, and each tensor's name, dtype, shape and bytes."""
    said = {name: value for name, value in header.items() if name not in ("format", "checksum")}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read_header(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        header = dict(json.loads((metadata or {})[_HEADER]))
        version = header["format"]
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is a safetensors file, but no checkpoint of eae_core: its header is missing"
        ) from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {version}, this eae_core reads {FORMAT_VERSION}: "
            "open it with the version that wrote it, or train anew"
        )
    return header


def check_weights(path: Path, weights: Mapping[str, Tensor], model: nn.Module) -> None:
    """Raise CheckpointError unless these are finite and the model's in name, dtype and shape."""
    own = model.state_dict()
    if missing := [name for name in own if name not in weights]:
        raise CheckpointError(f"{path} lacks the weights {', '.join(missing[:3])} of this model")
    if strange := [name for name in weights if name not in own]:
        raise CheckpointError(f"{path} has weights that this model lacks: {', '.join(strange[:3])}")
    for name, tensor in weights.items():
        kinds = [f"{str(t.dtype)[6:]} {tuple(t.shape)}" for t in (tensor, own[name])]
        if kinds[0] != kinds[1]:
            raise CheckpointError(f"{path} has {name} as {kinds[0]}, this model as {kinds[1]}")
    if bad := first_nonfinite(weights):
        raise CheckpointError(
            f"{path} is bad: its weight {bad} is not finite. Restore an earlier copy, or delete it "
            "to start anew"
        )


def load_model(path: str | Path, *, model: nn.Module | None = None) -> Any:
    """The model of a checkpoint, in evaluation mode, in float32 on the CPU.

    Args:
        path: what :func:`eae_core.training.fit` was given as ``checkpoint``.
        model: your own, to take the weights, compiled or wrapped as it may be; by default the
            package's model that the file names.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: no checkpoint of this package and version, a damaged one, of a model it
            cannot build, or weights that do not fit the model given.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    if model is None and "name" not in checkpoint.config:
        raise CheckpointError(
            f"{path} holds the weights of networks of your own: build them as before and call "
            "load_model(path, model=...)"
        )
    try:
        # Its shapes first: a file may ask for more than there is memory.
        with torch.random.fork_rng([]), torch.device("meta"):
            shapes = rebuild_model(checkpoint.config) if model is None else unwrapped(model)
        check_weights(path, checkpoint.weights, shapes)
        found: Any = rebuild_model(checkpoint.config) if model is None else model
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path} holds a model that cannot be rebuilt: {error}") from error
    unwrapped(found).load_state_dict(checkpoint.weights)
    return found.eval()
