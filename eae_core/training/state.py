"""A training as a checkpoint, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from eae_core.training.checkpoints import Checkpoint
from eae_core.training.guards import LossLog
from eae_core.training.trainer import Trainer


def capture(trainer: Trainer[Any], identity: Mapping[str, dict[str, Any]]) -> Checkpoint:
    """Everything that decides how a training goes on."""
    random = {"cpu": torch.get_rng_state()}
    if trainer.device.type == "cuda":
        random["cuda"] = torch.cuda.get_rng_state(trainer.device)
    rows = trainer.log.rows[: trainer.step]  # without a step that broke off
    return Checkpoint(
        **identity,
        epoch=trainer.epoch,
        step=trainer.step,
        epochs=trainer.epochs,
        epoch_seconds=trainer.epoch_seconds,
        peak_memory_bytes=trainer.peak_memory,
        term_names=trainer.log.names,
        weights=trainer.model.state_dict(),
        optimizer={
            f"{name}{i}/{key}": value
            for name, optimizer in trainer.optimizers.items()
            for i, moments in optimizer.state_dict()["state"].items()
            for key, value in moments.items()
        },
        random=random,
        terms={"rows": rows} if len(rows) else {},
        moments=trainer.followed,
    )


def restore(trainer: Trainer[Any], saved: Checkpoint) -> None:
    """Go back to the state of a checkpoint of the same training."""
    goes_on = saved.epoch < trainer.options.epochs
    trainer.model.load_state_dict(saved.weights | (saved.moments if goes_on else {}))
    trainer.followed = {} if goes_on else saved.moments
    for name, optimizer in trainer.optimizers.items():
        _restore_optimizer(optimizer, saved.optimizer, name, trainer.layout)
    torch.set_rng_state(saved.random["cpu"])
    if trainer.device.type == "cuda" and "cuda" in saved.random:
        torch.cuda.set_rng_state(saved.random["cuda"], trainer.device)
    trainer.epoch, trainer.step, trainer.epochs = saved.epoch, saved.step, list(saved.epochs)
    trainer.epoch_seconds, trainer.peak_memory = saved.epoch_seconds, saved.peak_memory_bytes
    if (rows := saved.terms.get("rows")) is not None:
        trainer.log = LossLog(trainer.steps, saved.term_names, rows.to(trainer.device))


def _restore_optimizer(
    optimizer: Optimizer, saved: Mapping[str, Tensor], name: str, layout: torch.memory_format
) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for label, value in saved.items():
        index, _, key = label.removeprefix(name).partition("/")
        if label.startswith(name) and index.isdecimal():
            kept = layout if value.ndim == 4 else torch.contiguous_format
            moments.setdefault(int(index), {})[key] = value.contiguous(memory_format=kept)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
