"""The fit loop: it asks a model for the loss terms of a batch and minimises ``"loss"``.

The images live on the device as bytes and are indexed there, so no worker process feeds the loop.
Everything that decides the weights (order of the images, the model's random draws, the optimizer's
moments) is in the checkpoint: an interrupted run that goes on ends with the bits of one that was
not. That holds on a CPU with the same number of threads; on a GPU as far as its kernels are
deterministic (``torch.use_deterministic_algorithms``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eae_core.data import ImageSet
from eae_core.models import Autoencoder
from eae_core.training.guards import check_named, compiler_failure, first_nonfinite_output
from eae_core.training.options import History, TrainOptions
from eae_core.training.run import BatchObjective, Run, carry_out

REVISION = 1  # 1: as first recorded; see eae_core.revisions


def fit(
    model: Autoencoder,
    images: ImageSet,
    options: TrainOptions,
    *,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    after_epoch: Callable[[int], None] | None = None,
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
        after_epoch: called with the number of epochs done, once the checkpoint holds them, and
            again for its last epoch where a run goes on; random numbers it draws change nothing.

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
    return carry_out(
        _Minimization,
        model,
        images,
        options,
        checkpoint=checkpoint,
        resume=resume,
        after_epoch=after_epoch,
    )


class _Objective(BatchObjective):
    """The model's loss of the images at an index."""

    def __init__(self, model: Autoencoder, images: ImageSet, layout: torch.memory_format) -> None:
        super().__init__(images, layout)
        self.model = model

    def forward(self, index: Tensor) -> dict[str, Tensor]:
        return self.model.loss(self.batch(index))


class _Minimization(Run[TrainOptions]):
    """One loss, one optimizer."""

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        options = self.options
        betas = (options.beta1, 0.999)
        adam = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate, betas=betas)
        return {"": adam}

    def make_forward(self, images: ImageSet) -> Any:
        self.objective = _Objective(self.model, images, self.layout)
        return torch.compile(self.objective) if self.options.compile else self.objective

    def start_epoch(self) -> None:
        rate = self.options.learning_rate * self.options.learning_rate_decay**self.epoch
        for group in self.optimizers[""].param_groups:
            group["lr"] = rate
        if start_epoch := getattr(self.model, "start_epoch", None):
            start_epoch(self.epoch, self.options.epochs)

    def train_step(self, index: Tensor) -> None:
        terms = self.loss(index)
        check_named(terms, "loss(x)")
        self.note(terms)
        self.fabric.backward(terms["loss"])
        self.steppers[""].step()
        self.steppers[""].zero_grad()

    def loss(self, index: Tensor) -> dict[str, Tensor]:
        """Named terms on a batch; a model that refuses non-finite numbers counts as diverged."""
        try:
            terms: dict[str, Tensor] = self.forward(index)
        except Exception as error:
            self.check_terms()  # on a GPU the cause may lie some steps back
            step = self.log.done + 1
            with self.fabric.autocast():
                layer = first_nonfinite_output(self.objective.model, self.objective.batch(index))
            if layer:
                raise self.diverged(step, layer, f"the output of {layer}") from error
            if failure := compiler_failure(error):
                raise failure from error
            error.add_note(f"In training, epoch {self.epoch + 1}, step {step}.")
            raise
        return terms

    @property
    def advice(self) -> str:
        return f"a learning_rate below {self.options.learning_rate:g}"
