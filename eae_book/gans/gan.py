"""Two networks against each other: what such models share, and the first of them.

A critic learns to tell made images from given ones, a generator to make images that it takes for
given. The losses are two, so that the ordinary loop cannot train them:
:func:`eae_book.gans.adversarial.fit_adversarial` takes a step of each in turn.

The objectives are those of Lee's collection, with its peculiarities; each is named where it stands.
Two belong to the loop: Lee visits the images in the same order in every epoch and, but for WGAN-GP,
shows both networks the same noise; here the order changes and noise is always drawn anew.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from eae_core.models.autoencoders import ModelOptions


class AdversarialModel(nn.Module, ABC):
    """A generator, and the critic that it is trained against.

    Both networks normalise over the batch, so each call in training mode sees batches of one kind:
    the critic takes given and made images in two passes, and its running moments follow both.

    Args:
        generator: maps codes z (n, d) to images.
        critic: maps images to one number each, (n, 1), before any sigmoid.
        latent_dim: d.
        options: the model's own; by default Lee's.

    Raises:
        TypeError: options of another model.
    """

    name: ClassVar[str]
    revision: ClassVar[int]  #: goes up when its numbers change, see :mod:`eae_book.revisions`
    options_class: ClassVar[type[ModelOptions]] = ModelOptions
    minimum_batch_size = 2  # the networks normalise over the batch

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        latent_dim: int,
        options: ModelOptions | None = None,
    ) -> None:
        super().__init__()
        self.generator = generator
        self.critic = critic
        self.latent_dim = latent_dim
        self.options: Any = self.options_class() if options is None else options
        if type(self.options) is not self.options_class:
            raise TypeError(
                f"model {self.name!r} takes {self.options_class.__name__}, "
                f"got {type(options).__name__}"
            )
        self.config: dict[str, Any] = {}  # how build_generator made it; empty for own networks

    def draw_codes(self, n: int, *, generator: Generator) -> Tensor:
        """Codes (n, d) of new images, from N(0, I), as in training."""
        return torch.randn(n, self.latent_dim, generator=generator)

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) in [0, 1] of codes z (n, d)."""
        x: Tensor = self.generator(z)
        return x

    def forward(self, z: Tensor) -> Tensor:
        """The same as :meth:`decode`."""
        return self.decode(z)

    def scores(self, x: Tensor) -> Tensor:
        """What the critic says of images x, (n,) in float32: large for given ones."""
        logits: Tensor = self.critic(x)
        return logits.float().squeeze(1)

    def made(self, n: int) -> Tensor:
        """Images (n, c, h, w) from noise by torch's global generator, in float32."""
        device = next(self.generator.parameters()).device
        return self.decode(torch.randn(n, self.latent_dim, device=device)).float()

    def critic_loss(self, x: Tensor) -> dict[str, Tensor]:
        """Named terms of the critic's objective on images x; ``"loss"`` is the one to minimise.

        No gradient reaches the generator.
        """
        with torch.no_grad():
            made = self.made(len(x))
        return self.compare(x, made)

    @abstractmethod
    def compare(self, given: Tensor, made: Tensor) -> dict[str, Tensor]:
        """Named terms of the critic's objective on given images and as many made ones."""

    @abstractmethod
    def generator_loss(self, n: int) -> dict[str, Tensor]:
        """Named terms of the generator's objective on n made images, ``"loss"`` among them.

        Gradients reach the critic's weights too: clear them before its next step.
        """

    def after_critic_step(self) -> None:
        """Called by the loop when the critic has taken a step."""


class GAN(AdversarialModel):
    r"""The original game, with the generator's loss that does not saturate.

    .. math::
        \mathcal L_C &= \frac1n \sum_i \log\bigl(1 + e^{-C(x_i)}\bigr)
            + \frac1n \sum_i \log\bigl(1 + e^{C(G(z_i))}\bigr) \\
        \mathcal L_G &= \frac1n \sum_i \log\bigl(1 + e^{-C(G(z_i))}\bigr)

    in nats: the cross-entropy of the critic's sigmoid with "given" and "made", and of made images
    with "given". An undecided critic has 2 log 2 and log 2.

    Source:
        Goodfellow et al. (2014); Lee (2017).

    Example:
        >>> from eae_book.gans.generators import build_generator
        >>> model = build_generator("gan", latent_dim=4, width=2)
        >>> sorted(model.critic_loss(torch.rand(3, 1, 28, 28)))
        ['fake', 'loss', 'real']
        >>> model.eval().decode(torch.zeros(5, 4)).shape
        torch.Size([5, 1, 28, 28])
    """

    name = "gan"
    revision = 1  # 1: as first recorded

    def compare(self, given: Tensor, made: Tensor) -> dict[str, Tensor]:
        real = F.softplus(-self.scores(given)).mean()
        fake = F.softplus(self.scores(made)).mean()
        return {"loss": real + fake, "real": real, "fake": fake}

    def generator_loss(self, n: int) -> dict[str, Tensor]:
        return {"loss": F.softplus(-self.scores(self.made(n))).mean()}
