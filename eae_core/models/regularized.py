"""Regularised autoencoders of Ghosh et al. (2020): a small code, and a decoder that is smooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from eae_core.models.autoencoders import Autoencoder, ModelOptions, objective, squared_error
from eae_core.models.smoothness import (
    check_gradient,
    decoder_l2,
    gradient_penalty,
    spectrally_normalize,
)

Weighted = dict[str, tuple[float, Tensor]]


@dataclass(frozen=True, kw_only=True)
class RAEOptions(ModelOptions):
    """Options of :class:`RAE`.

    Attributes:
        latent_weight: beta, of half the squared norm of the code.
    """

    weights: ClassVar[tuple[str, ...]] = ("latent_weight",)
    latent_weight: float = 0.064


class RAE(Autoencoder):
    r"""Regularised autoencoder without a term for the decoder: a small code alone.

    .. math::
        \mathcal L = \frac1n \sum_i \Bigl( \lVert x_i - D(z_i) \rVert^2
        + \frac\beta2 \lVert z_i \rVert^2 \Bigr), \qquad z = E(x)

    Samples need a density fitted to the codes: the objective names none.

    Source:
        Ghosh et al. (2020), section 3.

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("rae", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['latent', 'loss', 'reconstruction']
    """

    name = "rae"
    revision = 1  # 1: as first recorded
    options_class: ClassVar[type[ModelOptions]] = RAEOptions

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        z = self.encode(x)
        decoded, smoothness = self.decode_smoothly(z)
        latent = 0.5 * z.float().square().sum(1).mean()
        terms: Weighted = {"latent": (self.options.latent_weight, latent), **smoothness}
        return objective(squared_error(x, decoded), **terms)

    def decode_smoothly(self, z: Tensor) -> tuple[Tensor, Weighted]:
        """Images of codes z, and the term that keeps the decoder smooth, with its weight."""
        return self.decode(z), {}


@dataclass(frozen=True, kw_only=True)
class RAEGPOptions(RAEOptions):
    """Options of :class:`RAEGP`, beside those of :class:`RAE`.

    Attributes:
        gradient_penalty: weight of the decoder's squared gradient.
        gradient: energy (as RAE's code) or jacobian (as the paper).
    """

    weights = ("latent_weight", "gradient_penalty")
    latent_weight: float = 0.0128
    gradient_penalty: float = 3.2e-6
    gradient: str = "energy"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_gradient(self.gradient)


class RAEGP(RAE):
    r"""RAE with a flat decoder: :class:`RAE` plus :math:`\lambda` times a squared gradient.

    See :func:`~eae_core.models.gradient_penalty`. It is differentiated a second time, which
    torch.compile cannot, so the decoder then runs uncompiled; with weight 0 the term is left out.
    """

    name = "rae_gp"
    revision = 1  # 1: as first recorded
    options_class = RAEGPOptions

    def decode_smoothly(self, z: Tensor) -> tuple[Tensor, Weighted]:
        if not (weight := self.options.gradient_penalty):
            return super().decode_smoothly(z)
        decoded, penalty = self._decode_with_penalty(z)
        return decoded, {"gradient": (weight, penalty)}

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _decode_with_penalty(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return gradient_penalty(self.decode, z, of=self.options.gradient)


@dataclass(frozen=True, kw_only=True)
class RAESNOptions(RAEOptions):
    """Options of :class:`RAESN`, those of :class:`RAE`."""

    latent_weight: float = 1.152


class RAESN(RAE):
    """RAE with spectral normalisation of every layer of encoder and decoder.

    The objective is that of :class:`RAE`; see :func:`~eae_core.models.spectrally_normalize`.
    """

    name = "rae_sn"
    revision = 1  # 1: as first recorded
    options_class = RAESNOptions

    def add_layers(self) -> None:
        spectrally_normalize(self)


@dataclass(frozen=True, kw_only=True)
class AEL2Options(ModelOptions):
    """Options of :class:`AEL2`.

    Attributes:
        decoder_l2: weight of the squared decoder kernels.
        decoder_l2_stem: count the decoder's linear layer too, as the published CelebA runs do.
    """

    weights = ("decoder_l2",)
    decoder_l2: float = 1.024e-4
    decoder_l2_stem: bool = False


class AEL2(Autoencoder):
    r"""Autoencoder with small decoder weights, and nothing that holds the code.

    .. math:: \mathcal L = \frac1n \sum_i \lVert x_i - D(E(x_i)) \rVert^2 + \lambda \sum_w w^2

    over the kernels of the decoder's convolutions, see :func:`~eae_core.models.decoder_l2`.

    Source:
        Baseline of Ghosh et al. (2020).
    """

    name = "ae_l2"
    revision = 1  # 1: as first recorded
    options_class = AEL2Options

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        return objective(squared_error(x, self(x)), **_kernels(self))


@dataclass(frozen=True, kw_only=True)
class RAEL2Options(RAEOptions):
    """Options of :class:`RAEL2`: those of :class:`RAE` and of :class:`AEL2`."""

    weights = ("latent_weight", "decoder_l2")
    latent_weight: float = 0.0128
    decoder_l2: float = 1.024e-4
    decoder_l2_stem: bool = False


class RAEL2(RAE):
    r"""RAE with small decoder weights: :class:`RAE` plus :math:`\lambda \sum_w w^2`."""

    name = "rae_l2"
    revision = 1  # 1: as first recorded
    options_class = RAEL2Options

    def decode_smoothly(self, z: Tensor) -> tuple[Tensor, Weighted]:
        return self.decode(z), _kernels(self)


def _kernels(model: AEL2 | RAEL2) -> Weighted:
    squares = decoder_l2(model.decoder, stem=model.options.decoder_l2_stem)
    return {"decoder_l2": (model.options.decoder_l2, squares)}
