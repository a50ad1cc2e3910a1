"""Regularised autoencoders of Ghosh et al. (2020): a small code, and a decoder that is smooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from eae_core.models.autoencoders import Autoencoder, ModelOptions, squared_error
from eae_core.models.penalties import GRADIENTS, gradient_penalty
from eae_core.models.spectral import spectrally_normalize


@dataclass(frozen=True, kw_only=True)
class RAEOptions(ModelOptions):
    """Options of :class:`RAE`.

    Attributes:
        latent_weight: beta, of half the squared norm of the code.
    """

    latent_weight: float = 0.064

    def __post_init__(self) -> None:
        self.check_weights("latent_weight")


class RAE(Autoencoder):
    r"""Regularised autoencoder without a term for the decoder: a small code alone.

    .. math::
        \mathcal L = \frac1n \sum_i \Bigl( \lVert x_i - D(z_i) \rVert^2
        + \frac\beta2 \lVert z_i \rVert^2 \Bigr), \qquad z = E(x)

    As the paper and pythae have it. RAE's code, to which the published weights belong, averages the
    error over pixels and channels and the square of the code over its dimensions, without the
    half. Samples need a density fitted to the codes: the objective names no law.

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
    options: RAEOptions

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: RAEOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim)
        self.options = self.own_options(options)

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        z = self.encode(x)
        return self.terms(x, z, self.decode(z))

    def terms(self, x: Tensor, z: Tensor, decoded: Tensor) -> dict[str, Tensor]:
        """Error and norm of the code, and their weighted sum."""
        reconstruction = squared_error(x, decoded)
        latent = 0.5 * z.float().square().sum(1).mean()
        loss = reconstruction + self.options.latent_weight * latent
        return {"loss": loss, "reconstruction": reconstruction, "latent": latent}


@dataclass(frozen=True, kw_only=True)
class RAEGPOptions(RAEOptions):
    """Options of :class:`RAEGP`.

    Attributes:
        latent_weight: beta, of half the squared norm of the code.
        gradient_penalty: weight of the decoder's squared gradient.
        gradient: energy (as RAE's code) or jacobian (as the paper).
    """

    latent_weight: float = 0.0128
    gradient_penalty: float = 3.2e-6
    gradient: str = "energy"

    def __post_init__(self) -> None:
        self.check_weights("latent_weight", "gradient_penalty")
        if self.gradient not in GRADIENTS:
            raise ValueError(
                f"gradient must be one of {', '.join(GRADIENTS)}, got {self.gradient!r}"
            )


class RAEGP(RAE):
    r"""RAE with a flat decoder: :class:`RAE` plus :math:`\lambda` times a squared gradient.

    Which gradient, and how the paper's, RAE's code and pythae's differ in it:
    :func:`~eae_core.models.gradient_penalty`. The penalty is differentiated a second time, which
    torch.compile cannot, so the decoder then runs uncompiled. With weight 0, as RAE's configuration
    has it for CIFAR-10, the term is left out.

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("rae_gp", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['gradient', 'latent', 'loss', 'reconstruction']
    """

    name = "rae_gp"
    revision = 1  # 1: as first recorded
    options_class = RAEGPOptions
    options: RAEGPOptions

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        weight = self.options.gradient_penalty
        if not weight:
            return super().loss(x)
        self.check_images(x)
        z = self.encode(x)
        decoded, penalty = self._decode_with_penalty(z)
        terms = self.terms(x, z, decoded)
        return {**terms, "loss": terms["loss"] + weight * penalty, "gradient": penalty}

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _decode_with_penalty(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return gradient_penalty(self.decode, z, of=self.options.gradient)


@dataclass(frozen=True, kw_only=True)
class RAESNOptions(RAEOptions):
    """Options of :class:`RAESN`.

    Attributes:
        latent_weight: beta, of half the squared norm of the code.
    """

    latent_weight: float = 1.152


class RAESN(RAE):
    """RAE with spectral normalisation of every layer of encoder and decoder.

    The objective is that of :class:`RAE`; see :func:`~eae_core.models.spectrally_normalize`. The
    paper's regulariser is the decoder's, RAE's code normalises both networks; pythae has no such
    model.

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("rae_sn", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['latent', 'loss', 'reconstruction']
    """

    name = "rae_sn"
    revision = 1  # 1: as first recorded
    options_class = RAESNOptions

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: RAEOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, options)
        spectrally_normalize(self)
