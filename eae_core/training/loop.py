"""The fit loop: it asks a model for the loss terms of a batch and minimises ``"loss"``.

The images live on the device as bytes and are indexed there, so no worker process feeds the loop.
Everything that decides the weights (order of the images, the model's random draws, the optimizer's
moments) is in the checkpoint: an interrupted run that goes on ends with the bits of one that was
not. That holds on a CPU with the same number of threads; on a GPU as far as its kernels are
deterministic (``torch.use_deterministic_algorithms``).
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from threading import Event
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from eae_core.data import ImageSet
from eae_core.files import check_writable
from eae_core.hardware import peak_memory_bytes, reset_peak_memory, resolve_device
from eae_core.models import Autoencoder
from eae_core.training.checkpoints import (
    Checkpoint,
    read_checkpoint,
    run_identity,
    write_checkpoint,
)
from eae_core.training.guards import (
    LossLog,
    TrainingDiverged,
    compiler_failure,
    finish_step_on_interrupt,
    first_nonfinite_output,
    first_nonfinite_weight,
)
from eae_core.training.options import History, TrainOptions, check_sizes
from eae_core.training.seeds import derived_seed, epoch_order

# A look at the loss makes the CPU wait for the GPU, so there it happens every so many steps.
STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 50}


def fit(
    model: Autoencoder,
    images: ImageSet,
    options: TrainOptions,
    *,
    checkpoint: str | Path | None = None,
    resume: bool = True,
) -> History:
    """Train a model in place; it stays on the device it was trained on, in evaluation mode.

    Ctrl-C ends the current step, writes the checkpoint and returns; a second one raises at once.

    Args:
        model: anything with ``loss(x)``, which returns named terms, and a JSON-able ``config``; if
            it has ``start_epoch(epoch, epochs)``, that is called before each epoch (from 0).
        images: moved to the device as a whole, as bytes.
        options: sizes, rates, device.
        checkpoint: file to write after every epoch, and to go on from if it exists. More ``epochs``
            than the file's train longer; no other option may change.
        resume: False starts anew and replaces the file.

    Raises:
        ValueError: a batch that is too small for the model or larger than the set, images of
            another shape, a device that is not there.
        CheckpointError: the file is damaged, or belongs to other options, images or another model.
        OSError: the checkpoint cannot be written, which is tried before training.
        TrainingDiverged: a loss term is infinite or not a number; the checkpoint of the last good
            epoch stays.

    Example:
        >>> from eae_core.data import load_images
        >>> from eae_core.models import build_model
        >>> model = build_model("ae", (1, 32, 32), latent_dim=2, width=2)
        >>> options = TrainOptions(epochs=2, batch_size=10, progress=False)
        >>> history = fit(model, load_images("digits", limit=40), options)
        >>> len(history.curve("reconstruction")), history.interrupted
        (2, False)
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
        finish_step_on_interrupt() as stop,
    ):
        torch.manual_seed(derived_seed(options.seed, 0))
        run = _Run(model, images, options, device)
        if saved is not None:
            run.restore(saved)
            run.last_good = path
        with run.progress_bar() as bar:
            while run.epoch < options.epochs and not stop.is_set():
                run.train_epoch(stop, bar)
                if path is not None:
                    write_checkpoint(path, run.checkpoint())
                    run.last_good = path
    model.eval()
    return run.history(interrupted=stop.is_set())


class _Objective(nn.Module):
    """From indices of images to loss terms: the forward pass that Fabric and torch.compile wrap.

    It starts from indices because Fabric rounds a wrapped module's floating inputs under bf16,
    and the images are what the reconstruction is compared with.
    """

    def __init__(self, model: Autoencoder, images: ImageSet, layout: torch.memory_format) -> None:
        super().__init__()
        self.model, self.images, self.layout = model, images, layout

    def batch(self, index: Tensor) -> Tensor:
        """Images (n, c, h, w) at index (n,)."""
        return self.images.batch(index).contiguous(memory_format=self.layout)

    def forward(self, index: Tensor) -> dict[str, Tensor]:
        return self.model.loss(self.batch(index))


class _Run:
    """A run's state, the step that advances it, and its way into a checkpoint and back."""

    def __init__(
        self, model: Autoencoder, images: ImageSet, options: TrainOptions, device: torch.device
    ) -> None:
        self.options, self.device = options, device
        self.identity = run_identity(model, images, options, device)
        self.layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self.model = model.to(device=device, memory_format=self.layout)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
        self.fabric = Fabric(
            accelerator=device.type,
            devices=[device.index] if device.type == "cuda" else 1,
            precision=options.precision,
        )
        self.objective = _Objective(model, images.to(device), self.layout)
        forward: Any = torch.compile(self.objective) if options.compile else self.objective
        self.forward, self.stepper = self.fabric.setup(forward, self.optimizer)
        self.steps = len(images) // options.batch_size  # of an epoch
        self.epoch = 0  # whole epochs done
        self.epochs: list[dict[str, float]] = []
        self.log = LossLog(self.steps)
        self.epoch_seconds = 0.0
        self.peak_memory = 0
        self.last_good: Path | None = None  # checkpoint, once it is this run's
        reset_peak_memory(device)

    def train_epoch(self, stop: Event, bar: tqdm) -> None:
        """Take the steps that are left of this epoch, or those before a Ctrl-C."""
        options, size = self.options, self.options.batch_size
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate * options.learning_rate_decay**self.epoch
        count = self.identity["images"]["number"]
        order = epoch_order(count, options.seed, self.epoch + 1).to(self.device)
        bar.set_description(f"epoch {self.epoch + 1}/{options.epochs}", refresh=False)
        self.model.train()
        if start_epoch := getattr(self.model, "start_epoch", None):
            start_epoch(self.epoch, options.epochs)
        started = time.perf_counter()
        while self.log.done < self.steps and not stop.is_set():
            first = self.log.done * size
            self.train_step(order[first : first + size])
            if self.log.done % STEPS_BETWEEN_LOOKS[self.device.type] == 0:
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

    def train_step(self, index: Tensor) -> None:
        """One update of the weights from the images at index (n,)."""
        terms = self.loss(index)
        self.log.add(terms)
        if self.log.done % STEPS_BETWEEN_LOOKS[self.device.type] == 0:
            self.check_terms()  # before the weights take the step
        self.fabric.backward(terms["loss"])
        self.stepper.step()
        self.stepper.zero_grad()

    def loss(self, index: Tensor) -> dict[str, Tensor]:
        """Named terms on a batch; a model that refuses non-finite numbers counts as diverged."""
        try:
            terms: dict[str, Tensor] = self.forward(index)
        except Exception as error:
            self.check_terms()  # on a GPU the cause may lie some steps back
            step = self.log.done + 1
            with self.fabric.autocast():
                layer = first_nonfinite_output(self.model, self.objective.batch(index))
            if layer:
                raise self.diverged(step, layer, f"the output of {layer}") from error
            if failure := compiler_failure(error):
                raise failure from error
            error.add_note(f"In training, epoch {self.epoch + 1}, step {step}.")
            raise
        return terms

    def check_terms(self) -> None:
        """Raise if a loss term of this epoch is not finite."""
        if bad := self.log.first_bad():
            step, terms = bad
            # The sum is never finite where a part is not, so it is named only if it is alone.
            names = sorted((n for n in terms if not math.isfinite(terms[n])), key="loss".__eq__)
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
            f"{what} is not finite. Try a learning_rate below {self.options.learning_rate:g}",
            epoch=self.epoch + 1,
            step=step,
            term=term,
            last_good=self.last_good,
        )

    def checkpoint(self) -> Checkpoint:
        """Everything that decides how the run goes on."""
        moments = self.optimizer.state_dict()["state"]
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
            optimizer={f"{i}/{key}": v for i, each in moments.items() for key, v in each.items()},
            random=random,
            terms={"rows": self.log.rows} if self.log.done else {},
        )

    def restore(self, saved: Checkpoint) -> None:
        """Go back to the state of a checkpoint of the same run."""
        self.model.load_state_dict(saved.weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in saved.optimizer.items():
            index, _, key = name.partition("/")
            layout = self.layout if value.ndim == 4 else torch.contiguous_format
            moments.setdefault(int(index), {})[key] = value.contiguous(memory_format=layout)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        torch.set_rng_state(saved.random["cpu"])
        if self.device.type == "cuda" and "cuda" in saved.random:
            torch.cuda.set_rng_state(saved.random["cuda"], self.device)
        self.epoch, self.epochs = saved.epoch, list(saved.epochs)
        self.epoch_seconds, self.peak_memory = saved.epoch_seconds, saved.peak_memory_bytes
        rows = saved.terms.get("rows")
        if rows is not None:
            self.log = LossLog(self.steps, saved.term_names, rows.to(self.device))

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
