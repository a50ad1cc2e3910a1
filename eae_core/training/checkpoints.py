"""Checkpoints: all that a run needs to go on, or a reader to use its model, in one file.

The file is safetensors with a JSON header: it holds numbers and text and, unlike a pickle, nothing
that could run when it is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from eae_core.data import ImageSet
from eae_core.files import replacing
from eae_core.models import rebuild_model
from eae_core.models.building import MODELS
from eae_core.training.options import LoopOptions, TrainOptions

FORMAT_VERSION = 1
_HEADER = "eae_core"  # the one key of the file's metadata
_GROUPS = ("weights", "optimizer", "random", "terms")


class CheckpointError(RuntimeError):
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

    def check_same_run(self, path: Path, identity: Mapping[str, Any], epochs: int) -> None:
        """Raise unless the run that is asked for is this one, or a longer one."""
        saved = {"config": self.config, "options": self.options, "images": self.images}
        saved = with_later_options(saved, identity)
        free = {"epochs", "progress"}  # these do not decide the weights
        if self.epoch >= epochs:
            free.add("device")  # nothing is left to compute
        found = [
            text
            for name, text in differences(saved, identity)
            if name not in {f"options.{option}" for option in free}
        ]
        if self.epoch > epochs:
            found.append(f"epochs (saved {self.epoch}, asked {epochs}: they can only grow)")
        if found:
            raise CheckpointError(
                f"{path} holds another run, which differs in {'; '.join(found)}. Ask for the same, "
                "name another file, or pass resume=False to start anew and replace it."
            )


def run_identity(
    model: nn.Module, images: ImageSet, options: LoopOptions, device: torch.device
) -> dict[str, dict[str, Any]]:
    """What makes a run itself: model, options and images, as JSON gives them back."""
    written = asdict(replace(options, device=device.type))
    identity = {
        "config": getattr(model, "config", {}),
        "options": written,
        "images": {
            "name": images.name,
            "split": images.split,
            "checksum": images.checksum,
            "number": len(images),
        },
    }
    return dict(json.loads(json.dumps(identity)))


def write_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint, whole or not at all.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; the old file stays.
    """
    header: dict[str, Any] = {"format": FORMAT_VERSION}
    tensors: dict[str, Tensor] = {}
    for field in fields(checkpoint):
        value = getattr(checkpoint, field.name)
        if field.name in _GROUPS:
            # clone: safetensors refuses views and tensors that share memory.
            tensors |= {
                f"{field.name}:{key}": tensor.detach().cpu().contiguous().clone()
                for key, tensor in value.items()
            }
        else:
            header[field.name] = value
    metadata = {_HEADER: json.dumps(header, allow_nan=False)}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # its way to say that the disk is full
            raise OSError(f"cannot write the checkpoint {path}: {error}") from error


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint; its tensors lie on the CPU.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: no checkpoint of this package and version, or one cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    groups: dict[str, dict[str, Tensor]] = {name: {} for name in _GROUPS}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = _read_header(path, file.metadata())
            for key in file.keys():  # noqa: SIM118 (the file is no dictionary)
                group, _, name = key.partition(":")
                # clone: the tensor is a window on the file, which the next checkpoint replaces.
                groups[group][name] = file.get_tensor(key).clone()
        return Checkpoint(**(header | groups))
    except (SafetensorError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint ({error}): delete it, or name another file"
        ) from error


def _read_header(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        header = json.loads((metadata or {})[_HEADER])
        version = header.pop("format")
    except (KeyError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is a safetensors file, but no checkpoint of eae_core: its header is missing"
        ) from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {version}, this eae_core reads {FORMAT_VERSION}: "
            "open it with the version that wrote it, or train anew"
        )
    return dict(header)


def load_model(path: str | Path, *, model: nn.Module | None = None) -> Any:
    """The model of a checkpoint, in evaluation mode, in float32 on the CPU.

    Args:
        path: what :func:`eae_core.training.fit` was given as ``checkpoint``.
        model: your own, to take the weights; by default the package's model that the file names.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: no checkpoint of this package and version, of a model it cannot build, or
            weights that do not fit the model given.

    Example:
        >>> import tempfile
        >>> from eae_core.data import load_images
        >>> from eae_core.models import build_model
        >>> from eae_core.training import TrainOptions, fit
        >>> model = build_model("ae", (1, 32, 32), latent_dim=2, width=2)
        >>> path = Path(tempfile.mkdtemp()) / "ae.safetensors"
        >>> images = load_images("digits", limit=20)
        >>> options = TrainOptions(epochs=1, batch_size=10, progress=False)
        >>> history = fit(model, images, options, checkpoint=path)
        >>> load_model(path).latent_dim
        2
    """
    checkpoint = read_checkpoint(path)
    try:
        model = rebuild_model(checkpoint.config) if model is None else model
        model.load_state_dict(checkpoint.weights)
    except (ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path} holds a model that cannot be rebuilt: {error}") from error
    return model.eval()


def with_later_options(saved: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of a file as if it was written today: later options stand at their defaults."""
    options = dict(_later(saved["options"], asked["options"], TrainOptions))
    config = dict(saved["config"])
    if config.get("name") in MODELS and isinstance(config.get("options"), Mapping):
        now = asked["config"].get("options", {})
        config["options"] = dict(_later(config["options"], now, MODELS[config["name"]][1]))
    return {**saved, "options": options, "config": config}


def _later(old: Mapping[str, Any], now: Mapping[str, Any], kind: type) -> Iterator[tuple[str, Any]]:
    """The old options, then those of now that they lack, at the defaults of their class."""
    yield from old.items()
    defaults = {field.name: field.default for field in fields(kind)}
    for name in now:
        if name not in old and defaults.get(name, MISSING) is not MISSING:
            yield name, defaults[name]


def differences(
    saved: Mapping[str, Any], asked: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Each field in which two JSON-like dictionaries differ: its name, and the same in words.

    Example:
        >>> list(differences({"k": 1, "options": {"w": 2}}, {"k": 1, "options": {"w": 3}}))
        [('options.w', 'options.w (saved 2, asked 3)')]
    """
    for name in [*saved, *(name for name in asked if name not in saved)]:
        old, new = saved.get(name, "nothing"), asked.get(name, "nothing")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name}", f"{prefix}{name} (saved {old!r}, asked {new!r})"
