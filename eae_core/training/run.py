"""A run of a training loop: its epochs, its guards, its way into a checkpoint and back.

What a step is, a loop says itself: :func:`eae_core.training.fit` minimises one loss; the book
derives another one for two networks that play against each other.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Any, Generic, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from eae_core.data import ImageSet
from eae_core.files import check_writable
from eae_core.hardware import (
    freed_memory_kept,
    peak_memory_bytes,
    reset_peak_memory,
    resolve_device,
)
from eae_core.training.checkpoints import (
    Checkpoint,
    read_checkpoint,
    run_identity,
    write_checkpoint,
)
from eae_core.training.guards import (
    LossLog,
    TrainingDiverged,
    finish_step_on_interrupt,
    first_nonfinite_weight,
)
from eae_core.training.options import History, LoopOptions, check_sizes
from eae_core.training.seeds import derived_seed, epoch_order

# A look at the loss makes the CPU wait for the GPU, so there it happens every so many steps.
STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 50}

Options = TypeVar("Options", bound=LoopOptions)


class Run(ABC, Generic[Options]):
    """A run's state, the step that advances it, and its way into a checkpoint and back.

    A loop derives its own: it makes ``objective``, which Fabric wraps as ``forward``, and
    ``optimizers``, whose names stand before their moments in a checkpoint and which Fabric wraps as
    ``steppers``.
    """

    def __init__(
        self, model: nn.Module, images: ImageSet, options: Options, device: torch.device
    ) -> None:
        self.options, self.device = options, device
        self.identity = run_identity(model, images, options, device)
        self.layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self.model = model.to(device=device, memory_format=self.layout)  # type: ignore[call-overload]
        self.optimizers = self.make_optimizers()
        self.fabric = Fabric(
            accelerator=device.type,
            devices=[device.index] if device.type == "cuda" else 1,
            precision=options.precision,
        )
        forward = self.make_forward(images.to(device))
        self.forward, *steppers = self.fabric.setup(forward, *self.optimizers.values())
        self.steppers: dict[str, Any] = dict(zip(self.optimizers, steppers, strict=True))
        self.steps = len(images) // options.batch_size  # of an epoch
        self.epoch = 0  # whole epochs done
        self.epochs: list[dict[str, float]] = []
        self.log = LossLog(self.steps)
        self.epoch_seconds = 0.0
        self.peak_memory = 0
        self.last_good: Path | None = None  # checkpoint, once it is this run's
        reset_peak_memory(device)

    @abstractmethod
    def make_optimizers(self) -> Mapping[str, Optimizer]:
        """The optimizers of the model, which is on its device already, by name."""

    @abstractmethod
    def make_forward(self, images: ImageSet) -> Any:
        """What gives loss terms from indices of these images, which are on the device."""

    @abstractmethod
    def start_epoch(self) -> None:
        """Before the steps of epoch ``self.epoch``, counted from 0, or those that are left."""

    @abstractmethod
    def train_step(self, index: Tensor) -> None:
        """One update of the weights from the images at index (n,), noted in ``self.log``."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to try when training diverges."""

    def train_epoch(self, stop: Event, bar: tqdm) -> None:
        """Take the steps that are left of this epoch, or those before a Ctrl-C."""
        options, size = self.options, self.options.batch_size
        count = self.identity["images"]["number"]
        order = epoch_order(count, options.seed, self.epoch + 1).to(self.device)
        bar.set_description(f"epoch {self.epoch + 1}/{options.epochs}", refresh=False)
        self.model.train()
        self.start_epoch()
        started = time.perf_counter()
        while self.log.done < self.steps and not stop.is_set():
            first = self.log.done * size
            self.train_step(order[first : first + size])
            if self.look_is_due:
                shown = {name: f"{value:.4g}" for name, value in self.log.last().items()}
                bar.set_postfix(shown, refresh=False)
            bar.update(size)
        self.check_finite()
        self.epoch_seconds += time.perf_counter() - started
        self.peak_memory = max(self.peak_memory, peak_memory_bytes(self.device))
        if self.log.done == self.steps:
            self.epoch += 1
            means = self.log.means()
            self.epochs.append({"epoch": self.epoch, **means, "seconds": self.epoch_seconds})
            self.log, self.epoch_seconds = LossLog(self.steps), 0.0

    @property
    def look_is_due(self) -> bool:
        """Whether the terms of the last noted step are worth waiting for."""
        return self.log.done % STEPS_BETWEEN_LOOKS[self.device.type] == 0

    def note(self, terms: dict[str, Tensor]) -> None:
        """Note the terms of a step; raise, before the weights take it, if they are not finite."""
        self.log.add(terms)
        if self.look_is_due:
            self.check_terms()

    def check_terms(self) -> None:
        """Raise if a loss term of this epoch is not finite."""
        if bad := self.log.first_bad():
            step, terms = bad
            # The sum is never finite where a part is not, so it is named only if it is alone.
            odd = (name for name in terms if not math.isfinite(terms[name]))
            names = sorted(odd, key=lambda name: name.endswith("loss"))
            shown = ", ".join(f"{name} {value:.6g}" for name, value in terms.items())
            raise self.diverged(step, names[0], f"the term {names[0]} ({shown})")

    def check_finite(self) -> None:
        """Raise if a loss term of this epoch, a weight or a running moment is not finite."""
        self.check_terms()
        if name := first_nonfinite_weight(self.model):
            raise self.diverged(self.log.done, name, f"the weight {name}")

    def diverged(self, step: int, term: str, what: str) -> TrainingDiverged:
        """The exception that says where (step from 1), what, and what to try."""
        return TrainingDiverged(
            f"epoch {self.epoch + 1} of {self.options.epochs}, step {step} of {self.steps}: "
            f"{what} is not finite. Try {self.advice}",
            epoch=self.epoch + 1,
            step=step,
            term=term,
            last_good=self.last_good,
        )

    def checkpoint(self) -> Checkpoint:
        """Everything that decides how the run goes on."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return Checkpoint(
            **self.identity,
            epoch=self.epoch,
            step=self.log.done,
            epochs=self.epochs,
            epoch_seconds=self.epoch_seconds,
            peak_memory_bytes=self.peak_memory,
            term_names=self.log.names,
            weights=self.model.state_dict(),
            optimizer={
                f"{name}{i}/{key}": value
                for name, optimizer in self.optimizers.items()
                for i, moments in optimizer.state_dict()["state"].items()
                for key, value in moments.items()
            },
            random=random,
            terms={"rows": self.log.rows} if self.log.done else {},
        )

    def restore(self, saved: Checkpoint) -> None:
        """Go back to the state of a checkpoint of the same run."""
        self.model.load_state_dict(saved.weights)
        for name, optimizer in self.optimizers.items():
            self._restore_optimizer(name, optimizer, saved.optimizer)
        torch.set_rng_state(saved.random["cpu"])
        if self.device.type == "cuda" and "cuda" in saved.random:
            torch.cuda.set_rng_state(saved.random["cuda"], self.device)
        self.epoch, self.epochs = saved.epoch, list(saved.epochs)
        self.epoch_seconds, self.peak_memory = saved.epoch_seconds, saved.peak_memory_bytes
        rows = saved.terms.get("rows")
        if rows is not None:
            self.log = LossLog(self.steps, saved.term_names, rows.to(self.device))

    def _restore_optimizer(
        self, name: str, optimizer: Optimizer, saved: Mapping[str, Tensor]
    ) -> None:
        moments: dict[int, dict[str, Tensor]] = {}
        for label, value in saved.items():
            index, _, key = label.removeprefix(name).partition("/")
            if label.startswith(name) and index.isdecimal():
                layout = self.layout if value.ndim == 4 else torch.contiguous_format
                moments.setdefault(int(index), {})[key] = value.contiguous(memory_format=layout)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def call_between(self, call: Callable[[int], None] | None) -> None:
        """Call with the number of epochs done, if none is under way; training sees none of it."""
        if call is None or self.log.done:
            return
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            call(self.epoch)

    @property
    def images_seen(self) -> int:
        """Images trained on so far, counting repetitions."""
        return (self.epoch * self.steps + self.log.done) * self.options.batch_size

    def progress_bar(self) -> tqdm:
        """A bar on stderr over all images of all epochs."""
        return tqdm(
            total=self.options.epochs * self.steps * self.options.batch_size,
            initial=self.images_seen,
            unit=" images",
            dynamic_ncols=True,
            disable=not self.options.progress,
        )

    def history(self, *, interrupted: bool) -> History:
        """What the caller gets to see."""
        seconds = sum(epoch["seconds"] for epoch in self.epochs) + self.epoch_seconds
        return History(
            epochs=self.epochs,
            seconds=seconds,
            images_per_second=self.images_seen / seconds if seconds else 0.0,
            peak_memory_bytes=self.peak_memory,
            interrupted=interrupted,
        )


class BatchObjective(nn.Module):
    """From indices of images to loss terms: what Fabric and torch.compile wrap.

    It starts from indices because Fabric rounds a wrapped module's floating inputs under bf16,
    and the images are what the reconstruction is compared with.
    """

    def __init__(self, images: ImageSet, layout: torch.memory_format) -> None:
        super().__init__()
        self.images, self.layout = images, layout

    def batch(self, index: Tensor) -> Tensor:
        """Images (n, c, h, w) at index (n,)."""
        return self.images.batch(index).contiguous(memory_format=self.layout)


def carry_out(
    kind: type[Run[Options]],
    model: nn.Module,
    images: ImageSet,
    options: Options,
    *,
    checkpoint: str | Path | None,
    resume: bool,
    after_epoch: Callable[[int], None] | None = None,
) -> History:
    """Train a model in place by a loop of this kind, from the checkpoint if there is one.

    Raises:
        ValueError, CheckpointError, OSError, TrainingDiverged: see :func:`eae_core.training.fit`.
    """
    check_sizes(model, images, options)
    device = resolve_device(options.device)
    path = None if checkpoint is None else Path(checkpoint)
    saved = None
    if path is not None:
        check_writable(path.parent)
        if resume and path.exists():
            saved = read_checkpoint(path)
            saved.check_same_run(path, run_identity(model, images, options, device), options.epochs)
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        freed_memory_kept() if device.type == "cpu" else nullcontext(),
        finish_step_on_interrupt() as stop,
    ):
        torch.manual_seed(derived_seed(options.seed, 0))
        run = kind(model, images, options, device)
        if saved is not None:
            run.restore(saved)
            run.last_good = path
        with run.progress_bar() as bar:
            if saved is not None:  # what came after its last epoch may have been cut short
                run.call_between(after_epoch)
            while run.epoch < options.epochs and not stop.is_set():
                run.train_epoch(stop, bar)
                if path is not None:
                    write_checkpoint(path, run.checkpoint())
                    run.last_good = path
                run.call_between(after_epoch)
    model.eval()
    return run.history(interrupted=stop.is_set())
