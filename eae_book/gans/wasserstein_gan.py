"""Critics whose slope is bounded: by clipped weights, or by a penalty, quirky and corrected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from eae_book.gans.gan import AdversarialModel
from eae_core.models.autoencoders import ModelOptions


@dataclass(frozen=True, kw_only=True)
class WGANOptions(ModelOptions):
    """Options of :class:`WGAN`.

    Attributes:
        clip: largest size of a number in the critic.
    """

    clip: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.clip < float("inf"):
            raise ValueError(f"clip must be finite and above 0, got {self.clip}")


class WGAN(AdversarialModel):
    r"""Wasserstein GAN: the critic's mean on given images minus that on made ones.

    .. math::
        \mathcal L_C = -\frac1n \sum_i C(x_i) + \frac1n \sum_i C(G(z_i)), \qquad
        \mathcal L_G = -\frac1n \sum_i C(G(z_i))

    After each of its steps every number that the critic learns is clipped to
    :math:`\pm 0.01`. Lee's peculiarities: scale and shift of batch normalisation are clipped too
    (the scale starts at 1, so the first step brings it to 0.01), the critic normalises over the
    batch at all, and it takes one step for one of the generator, where Arjovsky et al. take five.

    Source:
        Arjovsky et al. (2017); Lee (2017).

    Example:
        >>> from eae_book.gans.generators import build_generator
        >>> model = build_generator("wgan", latent_dim=4, width=2)
        >>> model.after_critic_step()
        >>> print(f"{max(p.abs().max().item() for p in model.critic.parameters()):.2f}")
        0.01
    """

    name = "wgan"
    revision = 1  # 1: as first recorded
    options_class: ClassVar[type[ModelOptions]] = WGANOptions

    def compare(self, given: Tensor, made: Tensor) -> dict[str, Tensor]:
        real, fake = -self.scores(given).mean(), self.scores(made).mean()
        return {"loss": real + fake, "real": real, "fake": fake}

    def generator_loss(self, n: int) -> dict[str, Tensor]:
        return {"loss": -self.scores(self.made(n)).mean()}

    @torch.no_grad()
    def after_critic_step(self) -> None:
        for parameter in self.critic.parameters():
            parameter.clamp_(-self.options.clip, self.options.clip)


def slope_penalty(
    score: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    *,
    mixing: Literal["image", "pixel"] = "image",
    norm: Literal["image", "rows"] = "image",
) -> Tensor:
    r"""How far a function's slope is from 1 between given and made images.

    .. math::
        \frac1n \sum_i \bigl( \lVert \nabla C(\tilde x_i) \rVert - 1 \bigr)^2, \qquad
        \tilde x_i = x_i + \alpha_i (y_i - x_i), \quad \alpha_i \sim U(0, 1)

    Args:
        score: images (n, c, h, w) to numbers (n,), with gradient.
        real: given images x.
        fake: made images y, of the same shape.
        mixing: one :math:`\alpha` for an image, or one for each of its pixels.
        norm: over the whole image, or over its rows only: then each column and channel has a slope
            of its own, which is to be 1.

    Returns:
        the mean over slopes. Where a slope is exactly 0 its gradient is taken as 0.

    Raises:
        ValueError: images that differ in shape.

    Source:
        Gulrajani et al. (2017), equation 3.

    Example:
        >>> x, y = torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2)
        >>> slope_penalty(lambda x: 1.5 * x.flatten(1).sum(1), x, y)  # the slope is 3
        tensor(4.)
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"given images {tuple(real.shape)} and made images {tuple(fake.shape)} differ in shape"
        )
    shape = real.shape if mixing == "pixel" else (len(real), *[1] * (real.ndim - 1))
    alpha = torch.rand(shape, device=real.device, dtype=real.dtype)
    between = torch.lerp(real, fake, alpha).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
    rows = gradient if norm == "rows" else gradient.flatten(1)[:, None, :, None]
    slopes = torch.linalg.vector_norm(rows, dim=2)  # (n, c, w), or (n, 1, 1)
    penalty: Tensor = (slopes - 1).square().mean()
    return penalty


@dataclass(frozen=True, kw_only=True)
class WGANGPOptions(ModelOptions):
    """Options of :class:`WGANGP`.

    Attributes:
        penalty_weight: of the slope penalty.
        penalty_on: what has the slope, "sigmoid" of the critic's number or the "logit" itself.
    """

    penalty_weight: float = 0.25
    penalty_on: Literal["sigmoid", "logit"] = "sigmoid"

    def __post_init__(self) -> None:
        self.check_weights("penalty_weight")
        if self.penalty_on not in ("sigmoid", "logit"):
            raise ValueError(f"penalty_on must be sigmoid or logit, got {self.penalty_on!r}")


class WGANGP(WGAN):
    r"""WGAN with a gradient penalty as Lee has it, whose peculiarities Table 2 inherits.

    .. math::
        \mathcal L_C = -\frac1n \sum_i C(x_i) + \frac1n \sum_i C(G(z_i)) + \lambda P

    No weight is clipped. :math:`P` is :func:`slope_penalty`, but

    1. :math:`\lambda` is 0.25 where Gulrajani et al. have 10;
    2. :math:`\alpha` is drawn for each pixel, so that the images in between are noisy mixtures and
       lie on no segment;
    3. the slope is that of :math:`1 / (1 + e^{-C})`, at most a quarter of the critic's own; another
       version of Lee's file takes that of C: ``penalty_on="logit"``;
    4. its norm runs over the rows of an image only: each of the 28 columns is drawn to slope 1;
    5. the critic normalises over the batch, so that the slope at an image also holds what it does
       to the scores of the others.

    Source:
        Gulrajani et al. (2017); Lee (2017).

    Example:
        >>> from eae_book.gans.generators import build_generator
        >>> model = build_generator("wgan_gp", latent_dim=4, width=2)
        >>> sorted(model.critic_loss(torch.rand(3, 1, 28, 28)))
        ['fake', 'loss', 'penalty', 'real']
    """

    name = "wgan_gp"
    revision = 1  # 1: as first recorded
    options_class: ClassVar[type[ModelOptions]] = WGANGPOptions

    def compare(self, given: Tensor, made: Tensor) -> dict[str, Tensor]:
        terms = super().compare(given, made)
        penalty = self.penalty(given, made)
        loss = terms["loss"] + self.options.penalty_weight * penalty
        return {**terms, "loss": loss, "penalty": penalty}

    def penalty(self, given: Tensor, made: Tensor) -> Tensor:
        """The slope penalty between given images and as many made ones."""
        sigmoid = self.options.penalty_on == "sigmoid"
        score = (lambda x: self.scores(x).sigmoid()) if sigmoid else self.scores
        return slope_penalty(score, given, made, mixing="pixel", norm="rows")

    def after_critic_step(self) -> None:
        """Nothing: the penalty takes the place of clipping."""


@dataclass(frozen=True, kw_only=True)
class CorrectedWGANGPOptions(ModelOptions):
    """Options of :class:`CorrectedWGANGP`.

    Attributes:
        penalty_weight: of the slope penalty.
    """

    penalty_weight: float = 10.0

    def __post_init__(self) -> None:
        self.check_weights("penalty_weight")


class CorrectedWGANGP(WGANGP):
    """WGAN with the gradient penalty of its paper, on Lee's networks.

    As :class:`WGANGP` without what is listed there: weight 10, one mixing weight an image, the
    slope of the critic's own number over the whole image. The critic that
    :func:`~eae_book.gans.generators.build_generator` gives it has layer normalisation, which the
    paper proposes in place of batch normalisation, because the bound is meant for each image alone.
    Steps and rates stay Lee's: one step of the critic for one of the generator, where the paper has
    five.

    Source:
        Gulrajani et al. (2017), section 4.

    Example:
        >>> from eae_book.gans.generators import build_generator
        >>> model = build_generator("wgan_gp_corrected", latent_dim=4, width=2)
        >>> model.options.penalty_weight
        10.0
    """

    name = "wgan_gp_corrected"
    revision = 1  # 1: as first recorded
    options_class = CorrectedWGANGPOptions

    def penalty(self, given: Tensor, made: Tensor) -> Tensor:
        return slope_penalty(self.scores, given, made)
