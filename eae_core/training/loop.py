"""The fit loop: it asks a model for the loss terms of a batch and minimises ``"loss"``.

Built-in sets live on the device as bytes and are indexed there, so no worker process feeds the
loop. Everything that decides the weights (order of the data, the model's random draws, the
optimizer's moments) is in the checkpoint: an interrupted run that goes on ends with the bits of one
that was not. That holds on a CPU with the same number of threads; on a GPU as far as its kernels
are deterministic (``torch.use_deterministic_algorithms``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eae_core.models import Autoencoder
from eae_core.seeds import SEEDS, derived_seed
from eae_core.training.guards import check_named, unwrapped
from eae_core.training.options import History, TrainOptions
from eae_core.training.run import random_numbers_kept, train
from eae_core.training.trainer import Objective, Trainer, bits

REVISION = 1  # 1: as first recorded; see eae_book.revisions
FEW_STEPS = 100  # 0.9^100: until then some 1e-5 of the first running moments are left


def fit(
    model: Autoencoder,
    data: Any,
    options: TrainOptions,
    *,
    checkpoint: str | Path | None = None,
    resume: bool = True,
    logger: Any = None,
    after_epoch: Callable[[int], None] | None = None,
) -> History:
    """Train a model in place; it stays on the device it was trained on, in evaluation mode.

    Ctrl-C, SIGTERM or SIGHUP end the current step, write the checkpoint and return; a second one
    raises at once. With several devices each has a process of its own, which runs the whole script;
    all end with the weights that one process with the whole batch would have.

    Args:
        model: anything with ``loss(x)``, which returns named terms, and a JSON-able ``config``; if
            it has ``start_epoch(epoch, epochs)``, that is called before each epoch (from 0).
        data: a set of :mod:`eae_core.data`, a tensor, an array, a torch Dataset or DataLoader, see
            :func:`eae_core.data.as_source`.
        options: sizes, rates, devices. After fewer than 100 steps running moments lag, so they are
            computed anew over the data, and the history's notes say so: see ``recompute_moments``.
        checkpoint: file to write after every epoch, and to go on from if it exists. More ``epochs``
            than the file's train longer; no other option may change.
        resume: False starts anew and replaces the file.
        logger: one of Lightning's loggers, or several, which get the epochs' terms.
        after_epoch: called with the number of epochs done, once the checkpoint holds them, and
            again for its last epoch where a run goes on; random numbers it draws change nothing.

    Raises:
        TypeError: data of another kind, or a model without ``loss``.
        ValueError: a batch that is too small for the model or larger than the set, data of another
            shape, a device that is not there, a model whose checkpoint could not be loaded.
        CheckpointError: the file is damaged, or belongs to other options, data or another model.
        OSError: the checkpoint cannot be written, which is tried before training, or another
            process writes it.
        TrainingDiverged: a loss term is infinite or not a number; the checkpoint of the last good
            epoch stays.
        ProcessLost: another process of this training ended.

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("ae", (1, 32, 32), latent_dim=2, width=2)
        >>> options = TrainOptions(epochs=2, batch_size=10, progress=False)
        >>> history = fit(model, torch.rand(40, 1, 32, 32), options)
        >>> len(history.curve("reconstruction")), history.interrupted
        (2, False)
    """
    if not callable(getattr(unwrapped(model), "loss", None)):
        raise TypeError(
            f"fit asks model.loss(x) for a dictionary of terms, 'loss' among them: "
            f"{type(unwrapped(model)).__name__} has none"
        )
    kept: dict[str, Any] = {"checkpoint": checkpoint, "resume": resume}
    return train(
        _Minimization, model, data, options, logger=logger, after_epoch=after_epoch, **kept
    )


class _Loss(Objective):
    """The model's own loss."""

    def forward(self, bits: Tensor) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = self.model.loss(self.batch(bits))
        return terms


class _Minimization(Trainer[TrainOptions]):
    """One loss, one optimizer."""

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        options = self.options
        betas = (options.beta1, 0.999)
        adam = torch.optim.Adam(self.model.parameters(), lr=options.learning_rate, betas=betas)
        return {"": adam}

    def make_objective(self) -> Any:
        objective = _Loss(self.model, self.layout)
        return torch.compile(objective) if self.options.compile else objective

    def start_epoch(self) -> None:
        rate = self.options.learning_rate * self.options.learning_rate_decay**self.epoch
        for group in self.optimizers[""].param_groups:
            group["lr"] = rate
        if start_epoch := getattr(self.model, "start_epoch", None):
            start_epoch(self.epoch, self.options.epochs)

    def train_step(self, x: Tensor) -> None:
        terms = self.forward(bits(x))
        check_named(terms, "loss(x)")
        self.note(terms, x)
        self.fabric.backward(self.weighed(terms["loss"], x))
        self.steppers[""].step()
        self.steppers[""].zero_grad()

    def finish(self) -> str:
        asked = self.options.recompute_moments
        due = self.options.epochs * self.steps < FEW_STEPS if asked == "auto" else asked
        if not due or self.followed or not averaging_layers(self.model):
            return ""
        with random_numbers_kept(self.device), self.fabric.autocast():
            torch.manual_seed(derived_seed(self.options.seed, SEEDS))
            self.model.train()
            self.followed = recompute_moments(self.model, self.batches())
        return f"running moments computed anew over {self.steps} batches"

    @property
    def advice(self) -> str:
        return f"a learning_rate below {self.options.learning_rate:g}"


# --- running moments computed anew, over the data, of weights that just stopped moving
#
# A running moment follows the training with a memory of ten batches: after few steps it still holds
# its starting value, and after many it lags behind the weights. This is what
# torch.optim.swa_utils.update_bn does, for every layer of this package with a running average too.


def averaging_layers(model: nn.Module) -> dict[str, Any]:
    """The layers with running averages, by name."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if hasattr(layer, "momentum")
        and any(buffer.startswith("running_") for buffer, _ in layer.named_buffers(recurse=False))
    }


@torch.no_grad()
def recompute_moments(model: Any, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Replace all running averages by the means over batches of one size; return what they were."""
    layers = averaging_layers(model)
    before = {
        f"{name}.{buffer}".removeprefix("."): value.clone()
        for name, layer in layers.items()
        for buffer, value in layer.named_buffers(recurse=False)
    }
    momenta = {name: layer.momentum for name, layer in layers.items()}
    try:
        for number, x in enumerate(batches, start=1):
            for layer in layers.values():
                layer.momentum = 1 / number  # so the running average is that of all so far
            model.loss(x)
    finally:
        for name, layer in layers.items():
            layer.momentum = momenta[name]
    return before
