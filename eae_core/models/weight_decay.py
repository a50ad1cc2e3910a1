"""Small decoder weights: the L2 variants of the plain and of the regularised autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from eae_core.models.autoencoders import Autoencoder, ModelOptions, squared_error
from eae_core.models.penalties import decoder_l2
from eae_core.models.regularized import RAE, RAEOptions


@dataclass(frozen=True, kw_only=True)
class AEL2Options(ModelOptions):
    """Options of :class:`AEL2`.

    Attributes:
        decoder_l2: weight of the squared decoder kernels.
        decoder_l2_stem: count the decoder's linear layer too, as the published CelebA runs do.
    """

    decoder_l2: float = 1.024e-4
    decoder_l2_stem: bool = False

    def __post_init__(self) -> None:
        self.check_weights("decoder_l2")


class AEL2(Autoencoder):
    r"""Autoencoder with small decoder weights, and nothing that holds the code.

    .. math::
        \mathcal L = \frac1n \sum_i \lVert x_i - D(E(x_i)) \rVert^2
        + \lambda \sum_w w^2

    over the kernels of the decoder's convolutions. RAE's code averages the error over pixels and
    channels, so its weight counts 1 / (c h w) as much; the biases stay out in both.

    Source:
        Baseline of Ghosh et al. (2020).

    Example:
        >>> import torch
        >>> from eae_core.models import build_model
        >>> model = build_model("ae_l2", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['decoder_l2', 'loss', 'reconstruction']
    """

    name = "ae_l2"
    revision = 1  # 1: as first recorded
    options_class = AEL2Options

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: AEL2Options | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim)
        self.options: AEL2Options = self.own_options(options)

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        reconstruction = squared_error(x, self(x))
        penalty = decoder_l2(self.decoder, stem=self.options.decoder_l2_stem)
        loss = reconstruction + self.options.decoder_l2 * penalty
        return {"loss": loss, "reconstruction": reconstruction, "decoder_l2": penalty}


@dataclass(frozen=True, kw_only=True)
class RAEL2Options(RAEOptions):
    """Options of :class:`RAEL2`.

    Attributes:
        latent_weight: beta, of half the squared norm of the code.
        decoder_l2: weight of the squared decoder kernels.
        decoder_l2_stem: count the decoder's linear layer too, as the published CelebA runs do.
    """

    latent_weight: float = 0.0128
    decoder_l2: float = 1.024e-4
    decoder_l2_stem: bool = False

    def __post_init__(self) -> None:
        self.check_weights("latent_weight", "decoder_l2")


class RAEL2(RAE):
    r"""RAE with small decoder weights: :class:`RAE` plus :math:`\lambda \sum_w w^2`.

    Over kernels of convolutions, as RAE's code. pythae's loss leaves the sum out: there it is
    weight decay of the optimiser.

    Example:
        >>> import torch
        >>> from eae_core.models import build_model
        >>> model = build_model("rae_l2", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['decoder_l2', 'latent', 'loss', 'reconstruction']
    """

    name = "rae_l2"
    revision = 1  # 1: as first recorded
    options_class = RAEL2Options
    options: RAEL2Options

    def terms(self, x: Tensor, z: Tensor, decoded: Tensor) -> dict[str, Tensor]:
        terms = super().terms(x, z, decoded)
        penalty = decoder_l2(self.decoder, stem=self.options.decoder_l2_stem)
        loss = terms["loss"] + self.options.decoder_l2 * penalty
        return {**terms, "loss": loss, "decoder_l2": penalty}
