"""What makes a run itself, so that it is never continued as another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from eae_core.data import Source
from eae_core.models import rebuild_model
from eae_core.models.building import MODELS
from eae_core.training.checkpoints import Checkpoint, CheckpointError
from eae_core.training.options import LoopOptions

Identity: TypeAlias = dict[str, dict[str, Any]]

#: options that do not decide the weights
FREE = ("epochs", "progress", "devices", "num_nodes", "strategy", "recompute_moments")


def run_identity(
    model: nn.Module, source: Source, options: LoopOptions, device: torch.device
) -> Identity:
    """What makes a run itself: model, options and data, as JSON gives them back."""
    identity = {
        "config": getattr(model, "config", None) or describe_own(model),
        "options": asdict(replace(options, device=device.type)),
        "images": {
            "name": source.name,
            "split": source.split,
            "checksum": source.checksum,
            "number": len(source),
        },
    }
    try:
        return dict(json.loads(json.dumps(identity)))
    except TypeError as error:
        raise TypeError(
            f"the model's config goes into its checkpoint as JSON, which cannot hold it: {error}"
        ) from error


def describe_own(model: nn.Module) -> dict[str, Any]:
    """What can be told of a model that was not built by name: class, options, layers.

    Its plain public attributes count as options, so that a run with another weight of a term is
    another run. ``model.config``, any dictionary of plain values, takes the place of all this.
    """
    plain: dict[str, Any] = {
        name: value
        for name, value in vars(model).items()
        if name[0] != "_" and name != "training" and isinstance(value, (bool, int, float, str))
    }
    options = getattr(model, "options", None)
    if is_dataclass(options) and not isinstance(options, type):
        plain["options"] = asdict(options)
    layers = [
        f"{name} {type(part).__name__} {part.extra_repr()}"
        for name, part in model.named_modules()
        if name
    ]
    digest = hashlib.sha256("\n".join(layers).encode()).hexdigest()[:12]
    return {"class": type(model).__name__, "layers": digest, **plain}


def check_same_run(saved: Checkpoint, path: Path, identity: Mapping[str, Any], epochs: int) -> None:
    """Raise CheckpointError unless the run that is asked for is the saved one, or a longer one."""
    old = {"config": saved.config, "options": saved.options, "images": saved.images}
    free = [*FREE, *(["device"] if saved.epoch >= epochs else [])]  # nothing is left to compute
    ignored = {f"options.{option}" for option in free}
    found = [text for name, text in differences(old, identity) if name not in ignored]
    if saved.config.get("name") != identity["config"].get("name"):  # whose options are others
        found = [text for text in found if not text.startswith("config.options.")]
    if saved.epoch > epochs:
        found.append(f"epochs (saved {saved.epoch}, asked {epochs}: they can only grow)")
    if found:
        raise CheckpointError(
            f"{path} holds another run, which differs in {'; '.join(found)}. Ask for the same, "
            "name another file, or pass resume=False to start anew and replace it."
        )


def check_rebuilds(model: nn.Module) -> None:
    """Raise ValueError unless :func:`~eae_core.training.load_model` can load what is trained."""
    weights = model.state_dict()
    for name, value in weights.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta:
            raise ValueError(
                f"{name} of the model cannot be kept in a checkpoint: it is no dense tensor with "
                "values. Train without checkpoint=, or keep it out of the state_dict"
            )
    config = getattr(model, "config", None) or {}
    if config.get("name") not in MODELS:
        return
    with torch.random.fork_rng(), torch.device("meta"):
        named = rebuild_model(config).state_dict()
    own, shapes = ({n: (t.shape, t.dtype) for n, t in w.items()} for w in (weights, named))
    if own != shapes:
        raise ValueError(
            f"the model's config says {config['name']!r} as build_model makes it, but its networks "
            "are others, so that its checkpoint could not be loaded: set model.config = {} and "
            "load it with load_model(path, model=...)"
        )


def differences(
    saved: Mapping[str, Any], asked: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    """Each field in which two JSON-like dictionaries differ: its name, and the same in words."""
    for name in [*saved, *(name for name in asked if name not in saved)]:
        old, new = saved.get(name, "nothing"), asked.get(name, "nothing")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name}", f"{prefix}{name} (saved {old!r}, asked {new!r})"
