"""The loop for two networks against each other: one step of the critic, one of the generator.

It shares images, seeds, guards and checkpoints with :func:`eae_core.training.fit`, and an
interrupted run that goes on ends here too with the bits of one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from eae_book.gans.gan import AdversarialModel
from eae_core.data import ImageSet
from eae_core.training.guards import check_named
from eae_core.training.options import History, LoopOptions
from eae_core.training.run import train
from eae_core.training.trainer import Objective, Trainer, bits

REVISION = 1  # 1: as first recorded; see eae_book.revisions


@dataclass(frozen=True, kw_only=True)
class AdversarialOptions(LoopOptions):
    """How to train two networks against each other: Adam for each, with rates of their own.

    The defaults are Lee's. There is no ``compile``: a slope penalty needs second derivatives, which
    torch.compile does not give.

    Raises:
        ValueError: an impossible option.

    Example:
        >>> AdversarialOptions(epochs=1, beta1=1.0)
        Traceback (most recent call last):
        ...
        ValueError: beta1 must be at least 0 and below 1, got 1.0
    """

    batch_size: int = 64
    generator_learning_rate: float = 1e-3
    critic_learning_rate: float = 2e-4
    beta1: float = 0.5  #: Adam's memory of gradients, for both

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_adam("generator_learning_rate", "critic_learning_rate")
        if self.devices * self.num_nodes > 1:
            raise ValueError("two networks against each other are trained on one device")


def fit_adversarial(
    model: AdversarialModel,
    images: ImageSet,
    options: AdversarialOptions,
    *,
    checkpoint: str | Path | None = None,
    resume: bool = True,
) -> History:
    """Train a generator and its critic in place; the model ends in evaluation mode.

    A step takes a batch of images: the critic learns from it and from as many made images, then the
    generator from new ones. The history holds the terms of both, with ``critic_`` and
    ``generator_`` before their names. Ctrl-C ends the current step, writes the checkpoint and
    returns; a second one raises at once.

    Args:
        model: with ``critic_loss(x)`` and ``generator_loss(n)``, which return named terms,
            ``after_critic_step()``, networks ``critic`` and ``generator``, and a JSON-able
            ``config``.
        images: moved to the device as a whole, as bytes.
        options: sizes, rates, device.
        checkpoint: file to write after every epoch, and to go on from if it exists. More ``epochs``
            than the file's train longer; no other option may change.
        resume: False starts anew and replaces the file.

    Raises:
        ValueError, CheckpointError, OSError, TrainingDiverged: see :func:`eae_core.training.fit`.

    Example:
        >>> from eae_book.gans.unpadded import unpadded_images
        >>> from eae_book.gans.generators import build_generator
        >>> model = build_generator("gan", latent_dim=2, width=1)
        >>> options = AdversarialOptions(epochs=2, batch_size=10, progress=False)
        >>> history = fit_adversarial(model, unpadded_images("digits", limit=40), options)
        >>> len(history.curve("critic_loss")), len(history.curve("generator_loss"))
        (2, 2)
    """
    return train(_Game, model, images, options, checkpoint=checkpoint, resume=resume)


class _Sides(Objective):
    """The critic's terms on a batch, or the generator's for as many images."""

    def forward(self, bits: Tensor, side: str) -> dict[str, Tensor]:
        x = self.batch(bits)
        terms: dict[str, Tensor] = (
            self.model.critic_loss(x) if side == "critic" else self.model.generator_loss(len(x))
        )
        return terms


class _Game(Trainer[AdversarialOptions]):
    """Two losses, two optimizers."""

    def make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rates = {
            "critic": self.options.critic_learning_rate,
            "generator": self.options.generator_learning_rate,
        }
        self.weights = {side: list(getattr(self.model, side).parameters()) for side in rates}
        betas = (self.options.beta1, 0.999)
        return {
            side: torch.optim.Adam(self.weights[side], lr=rate, betas=betas)
            for side, rate in rates.items()
        }

    def make_objective(self) -> _Sides:
        return _Sides(self.model, self.layout)

    def train_step(self, x: Tensor) -> None:
        critic = self.terms(x, "critic")
        self.update("critic", critic["loss"])
        self.model.after_critic_step()
        generator = self.terms(x, "generator")
        self.note(
            {f"critic_{name}": term for name, term in critic.items()}
            | {f"generator_{name}": term for name, term in generator.items()},
            x,
        )
        self.update("generator", generator["loss"])

    def terms(self, x: Tensor, side: str) -> dict[str, Tensor]:
        """Named terms of one side's objective."""
        terms: dict[str, Tensor] = self.forward(bits(x), side)
        check_named(terms, f"{side}_loss")
        return terms

    def update(self, side: str, loss: Tensor) -> None:
        """One step of one side; the other gets no gradient, which spares its share of the work."""
        self.fabric.backward(loss, inputs=self.weights[side])
        self.steppers[side].step()
        self.steppers[side].zero_grad()

    @property
    def advice(self) -> str:
        options = self.options
        return (
            f"a generator_learning_rate below {options.generator_learning_rate:g} or a "
            f"critic_learning_rate below {options.critic_learning_rate:g}"
        )
