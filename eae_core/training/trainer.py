"""A training: its epochs, its guards, its way into a checkpoint and back.

What a step is, a trainer says itself: :func:`eae_core.training.fit` minimises one loss; the book
derives another one for two networks that play against each other.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Generic, TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from eae_core.data import Source, Stream
from eae_core.hardware import peak_memory_bytes, reset_peak_memory
from eae_core.seeds import SEEDS, derived_seed, epoch_order
from eae_core.training.guards import (
    LossLog,
    TrainingDiverged,
    TrainingError,
    compiler_failure,
    first_nonfinite,
    first_nonfinite_output,
)
from eae_core.training.options import History, LoopOptions
from eae_core.training.parallel import is_lost_process, whole_batch

# To read the loss makes the CPU wait for the GPU, so there it happens every so many steps.
LOG_EVERY = {"cpu": 1, "cuda": 50}

Options = TypeVar("Options", bound=LoopOptions)


class Trainer(ABC, Generic[Options]):
    """A model, its optimizers, and how far they are; a derived one says what a step is.

    It makes ``optimizers``, whose names stand before their moments in a checkpoint and which Fabric
    wraps as ``steppers``, and an :class:`Objective`, which Fabric wraps as ``forward``.
    """

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        options: Options,
        fabric: Fabric,
    ) -> None:
        self.options, self.fabric, self.device = options, fabric, fabric.device
        self.layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self.model = model.to(device=self.device, memory_format=self.layout)  # type: ignore[call-overload]
        self.source = source.to(self.device)
        self.optimizers = self.make_optimizers()
        self.forward, *steppers = fabric.setup(self.make_objective(), *self.optimizers.values())
        self.steppers: dict[str, Any] = dict(zip(self.optimizers, steppers, strict=True))
        self.steps = len(source) // options.batch_size  # of an epoch
        self.epoch = 0  # whole epochs done
        self.step = 0  # steps done in the one under way
        self.epochs: list[dict[str, float]] = []
        self.log = LossLog(self.steps)
        self.epoch_seconds = 0.0
        self.peak_memory = 0
        self.last_good: Path | None = None  # checkpoint, once it is this run's
        self.followed: dict[str, Tensor] = {}  # running moments before they were computed anew
        reset_peak_memory(self.device)

    @abstractmethod
    def make_optimizers(self) -> Mapping[str, Optimizer]:
        """The optimizers of the model, which is on its device already, by name."""

    @abstractmethod
    def make_objective(self) -> Any:
        """The :class:`Objective`, compiled if so asked."""

    @abstractmethod
    def train_step(self, x: Tensor) -> None:
        """One update of the weights from this process's share x of a batch."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to try when training diverges."""

    def start_epoch(self) -> None:
        """Before the steps of epoch ``self.epoch``, counted from 0, or those that are left."""

    def finish(self) -> str:
        """After the last epoch; returns what should be known of it."""
        return ""

    def train_epoch(self, stop: Event, bar: tqdm) -> None:
        """Take the steps that are left of this epoch, or those before a request to stop."""
        bar.set_description(f"epoch {self.epoch + 1}/{self.options.epochs}", refresh=False)
        self.model.train()
        self.start_epoch()
        self.seed_own_noise()
        started = time.perf_counter()
        for x in self.batches():
            try:
                self.train_step(x)
            except Exception as error:
                self.explain(error, x)
                raise
            self.step += 1
            if self.log_due:
                shown = {name: f"{value:.4g}" for name, value in self.log.last().items()}
                bar.set_postfix(shown, refresh=False)
            bar.update(self.options.batch_size)
            if (self.log_due or self.alone) and self.must_stop(stop):
                break
        self.check_finite()
        self.epoch_seconds += time.perf_counter() - started
        self.peak_memory = max(self.peak_memory, peak_memory_bytes(self.device))
        if self.step == self.steps:
            self.epoch, self.step = self.epoch + 1, 0
            means = self.log.means()
            self.epochs.append({"epoch": self.epoch, **means, "seconds": self.epoch_seconds})
            self.fabric.log_dict(means, self.epoch * self.steps)
            self.log, self.epoch_seconds = LossLog(self.steps), 0.0

    def seed_own_noise(self) -> None:
        """Let processes draw other noise than each other, unless the model draws the whole batch's.

        Models of this package do, from generators in the same state; a dropout of one's own would
        else leave out the same units of every share.
        """
        if self.alone or any(hasattr(module, "group") for module in self.model.modules()):
            return
        place = self.images_seen * self.fabric.world_size + self.fabric.global_rank
        torch.manual_seed(derived_seed(self.options.seed, SEEDS + 1 + place))

    def batches(self) -> Iterator[Tensor]:
        """This process's share of each batch that is left of the epoch: float32, on the device."""
        size, seed = self.options.batch_size, self.options.seed
        order = epoch_order(len(self.source), seed, self.epoch + 1)
        order = order[self.step * size : self.steps * size]
        if isinstance(self.source, Stream):
            passes = self.source.batches(order, size, seed=derived_seed(seed, self.epoch + 1))
            yield from (self.share(batch) for batch in passes)
        else:
            indices = order.to(self.device).split(size)
            yield from (self.source.batch(self.share(index)) for index in indices)

    @property
    def alone(self) -> bool:
        """Whether this is the only process of the training."""
        return self.fabric.world_size == 1

    def share(self, batch: Tensor) -> Tensor:
        """The rows of a batch that are this process's: all of them where there is one."""
        return batch.tensor_split(self.fabric.world_size)[self.fabric.global_rank]

    def weighed(self, mean: Tensor, x: Tensor) -> Tensor:
        """A mean over this process's share x, so that the mean over processes is the batch's."""
        return mean * (len(x) * self.fabric.world_size / self.options.batch_size)

    @property
    def log_due(self) -> bool:
        """Whether the terms of the last noted step are worth waiting for."""
        return self.log.done % LOG_EVERY[self.device.type] == 0

    def note(self, terms: Mapping[str, Tensor], x: Tensor) -> None:
        """Note the terms of a step; raise, before the weights take it, if they are not finite."""
        if not self.alone:
            parts = {name: self.weighed(term.detach(), x) for name, term in terms.items()}
            terms = self.fabric.all_reduce(parts, reduce_op="mean")  # type: ignore[assignment]
        self.log.add(terms)
        if self.log_due:
            self.check_terms()

    def must_stop(self, stop: Event) -> bool:
        """Whether this process, or another one, was asked to stop: all agree."""
        if not self.alone:
            asked = torch.tensor(float(stop.is_set()), device=self.device)
            if self.fabric.all_reduce(asked, reduce_op="sum") > 0:  # type: ignore[operator]
                stop.set()
        return stop.is_set()

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
        if name := first_nonfinite(self.model.state_dict()):
            raise self.diverged(self.step, name, f"the weight {name}")

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

    def explain(self, error: Exception, x: Tensor) -> None:
        """Raise what says more than an error of the step on x, if anything does."""
        if isinstance(error, TrainingError) or is_lost_process(error):
            return
        self.check_terms()  # on a GPU the cause may lie some steps back
        with self.fabric.autocast(), whole_batch(self.model, None):
            layer = first_nonfinite_output(self.model, x)
        if layer:  # a model that refuses non-finite numbers counts as diverged
            raise self.diverged(self.step + 1, layer, f"the output of {layer}") from error
        if failure := compiler_failure(error):
            raise failure from error
        error.add_note(f"In training, epoch {self.epoch + 1}, step {self.step + 1}.")

    @property
    def images_seen(self) -> int:
        """Images trained on so far, counting repetitions."""
        return (self.epoch * self.steps + self.step) * self.options.batch_size

    def progress_bar(self) -> tqdm:
        """A bar on stderr over all images of all epochs."""
        return tqdm(
            total=self.options.epochs * self.steps * self.options.batch_size,
            initial=self.images_seen,
            unit=" images",
            dynamic_ncols=True,
            disable=not (self.options.progress and self.fabric.is_global_zero),
        )

    def history(self, *, interrupted: bool, notes: list[str]) -> History:
        """What the caller gets to see."""
        seconds = sum(epoch["seconds"] for epoch in self.epochs) + self.epoch_seconds
        return History(
            epochs=self.epochs,
            seconds=seconds,
            images_per_second=self.images_seen / seconds if seconds else 0.0,
            peak_memory_bytes=self.peak_memory,
            interrupted=interrupted,
            notes=notes,
        )


class Objective(nn.Module):
    """From a batch to loss terms: what Fabric and torch.compile wrap.

    A batch comes as its bits, :func:`bits`, because Fabric rounds floating inputs under bf16, and
    the images are what the reconstruction is compared with.
    """

    def __init__(self, model: Any, layout: torch.memory_format) -> None:
        super().__init__()
        self.model, self.layout = model, layout

    def batch(self, bits: Tensor) -> Tensor:
        """The batch (n, c, h, w), or (n, features), in float32."""
        x = bits.view(torch.float32)
        return x.contiguous(memory_format=self.layout) if x.ndim == 4 else x


def bits(x: Tensor) -> Tensor:
    """The bits of numbers in float32, as integers, which no precision changes."""
    return x.float().view(torch.int32)
