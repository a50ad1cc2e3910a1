"""One training from its first word to its last: lock, resume, epochs, checkpoints, and back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from eae_core.data import as_source
from eae_core.files import check_writable, locked, remove_leftovers
from eae_core.hardware import freed_memory_kept, resolve_device
from eae_core.seeds import derived_seed
from eae_core.training.checkpoints import (
    Checkpoint,
    check_weights,
    read_checkpoint,
    write_checkpoint,
)
from eae_core.training.guards import LossLog, stop_requests, unwrapped
from eae_core.training.identity import Identity, check_rebuilds, check_same_run, run_identity
from eae_core.training.options import History, check_sizes
from eae_core.training.parallel import (
    ProcessLost,
    is_lost_process,
    make_fabric,
    on_first,
    whole_batch,
)
from eae_core.training.trainer import Options, Trainer


def train(
    kind: type[Trainer[Options]],
    model: nn.Module,
    data: Any,
    options: Options,
    *,
    checkpoint: str | Path | None,
    resume: bool,
    logger: Any = None,
    after_epoch: Callable[[int], None] | None = None,
) -> History:
    """Train a model by a trainer of this kind; otherwise :func:`~eae_core.training.fit`."""
    model, source = unwrapped(model), as_source(data)
    check_sizes(model, source, options)
    device = resolve_device(options.device)
    path = None if checkpoint is None else Path(checkpoint)
    identity = run_identity(model, source, options, device)
    fabric = make_fabric(options, device, model, logger)
    with ExitStack() as held:
        saved = on_first(fabric, lambda: _open(path, resume, model, identity, options, held))
        stop = held.enter_context(stop_requests())
        held.enter_context(random_numbers_kept(device))
        held.enter_context(torch.enable_grad())  # also for who calls from within no_grad
        held.enter_context(freed_memory_kept() if device.type == "cpu" else nullcontext())
        if fabric.world_size > 1:
            held.enter_context(whole_batch(model, "world"))
        torch.manual_seed(derived_seed(options.seed, 0))
        trainer = kind(model, source, options, fabric)
        run = _Run(trainer, path, identity, after_epoch)
        try:
            run.carry_on(saved, stop)
        except Exception as error:
            if is_lost_process(error):
                raise run.lost() from error
            raise
    model.eval()
    interrupted = trainer.epoch < options.epochs
    for each in fabric.loggers:
        each.finalize("aborted" if interrupted else "success")
    return trainer.history(interrupted=interrupted, notes=run.notes)


def random_numbers_kept(device: torch.device) -> Any:
    """Within the block random numbers may be drawn: those of the caller go on as before."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _open(
    path: Path | None,
    resume: bool,
    model: nn.Module,
    identity: Identity,
    options: Options,
    held: ExitStack,
) -> Checkpoint | None:
    """Lock the checkpoint, try all that could fail later, and read it if it is this run's."""
    if path is None:
        return None
    if path.is_dir():
        inside = path / "model.safetensors"
        raise IsADirectoryError(f"{path} is a folder: name a file in it, such as {inside}")
    check_rebuilds(model)
    # Weights and Adam's two moments of each, beside the file that is replaced.
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    check_writable(path.parent, room=3 * size)
    held.enter_context(locked(path))
    remove_leftovers(path)
    if not resume or not path.exists():
        return None
    saved = read_checkpoint(path)
    check_same_run(saved, path, identity, options.epochs)
    check_weights(path, saved.weights, model)
    return saved


@dataclass(frozen=True)
class _Run:
    """The epochs of a training, and what is kept and said of them."""

    trainer: Trainer[Any]
    path: Path | None
    identity: Identity
    after_epoch: Callable[[int], None] | None
    notes: list[str] = field(default_factory=list)

    def carry_on(self, saved: Checkpoint | None, stop: Event) -> None:
        """Train from the saved state, or from the beginning, to the end or a request to stop."""
        trainer, epochs = self.trainer, self.trainer.options.epochs
        if saved is not None:
            restore(trainer, saved)
            trainer.last_good = self.path
            self.note(f"going on from {self.path}: {saved.epoch} of {epochs} epochs were done")
            self.between()  # what came after its last epoch may have been cut short
        with trainer.progress_bar() as bar:
            while trainer.epoch < epochs and not trainer.must_stop(stop):
                trainer.train_epoch(stop, bar)
                self.save()
                self.between()
        if trainer.epoch == epochs and (done := trainer.finish()):
            self.note(done)
            self.save()

    def note(self, text: str) -> None:
        """Keep a sentence for the history, and say it beside the progress bar."""
        self.notes.append(text)
        if self.trainer.options.progress and self.trainer.fabric.is_global_zero:
            tqdm.write(text, file=sys.stderr)

    def save(self) -> None:
        """Write the checkpoint, if there is to be one."""
        if (path := self.path) is not None:
            on_first(self.trainer.fabric, lambda: self.write(path))
            self.trainer.last_good = path

    def write(self, path: Path) -> None:
        """Write the checkpoint of the state there is."""
        write_checkpoint(path, capture(self.trainer, self.identity))

    def between(self) -> None:
        """Call with the epochs done, if none is under way; training sees nothing of it."""
        if (call := self.after_epoch) is not None and not self.trainer.step:
            with random_numbers_kept(self.trainer.device):
                on_first(self.trainer.fabric, lambda: call(self.trainer.epoch))

    def lost(self) -> ProcessLost:
        """What to say when another process is gone; the state before that step is kept."""
        trainer, kept = self.trainer, ""
        if self.path is not None:
            if trainer.fabric.is_global_zero and trainer.images_seen:
                self.write(self.path)
                trainer.last_good = self.path
            if trainer.last_good is not None:
                kept = f" {self.path} is kept: start again with the same words, on any number of "
                kept += "devices."
        return ProcessLost(
            f"another process of this training ended in epoch {trainer.epoch + 1}, step "
            f"{trainer.step + 1}; it may have said why.{kept}"
        )


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
