"""The deterministic autoencoder, and the Entropic Autoencoder of Ghose et al. (2020).

Every model owns its objective: :meth:`Autoencoder.loss` returns named terms, of which ``"loss"`` is
minimised. Squared error is summed over pixels and channels and averaged over the batch; entropy is
in nats, of the whole code. So an entropy weight of 1 trades one nat against one unit of squared
error. The paper does not say how it reduces either term.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Generator, Tensor, nn

from eae_core.entropy.law import Law
from eae_core.models.constraints import build_constraint, check_constraint
from eae_core.models.normalization import CodeBatchNorm, standard_gaussian


class Autoencoder(nn.Module, ABC):
    """What every model of this package can do.

    Args:
        encoder: maps images (n, c, h, w) in [0, 1] to (n, d).
        decoder: maps codes (n, d) to images in [0, 1].
        latent_dim: d.
    """

    name: ClassVar[str]
    minimum_batch_size = 2  # the networks normalise over the batch

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.config: dict[str, Any] = {}  # how build_model made it; empty for own networks

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width) that the model was built for."""
        return tuple(self.config["image_shape"])

    @property
    def code_law(self) -> Law:
        """What codes of new images are drawn from: N(0, I), unless the model has another law."""
        return standard_gaussian(self.latent_dim)

    def draw_codes(self, n: int, *, generator: Generator) -> Tensor:
        """Codes (n, d) of new images, from :attr:`code_law` unless the model learned a sampler.

        Raises:
            ValueError: n < 1.
        """
        return self.code_law.sample(n, generator=generator)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Called by the training loop before each epoch (from 0) of a run of so many epochs.

        Also where a run goes on after an interruption. A model that trains in stages changes its
        stage here.
        """

    def encode(self, x: Tensor) -> Tensor:
        """Codes z (n, d) of images x (n, c, h, w)."""
        z: Tensor = self.encoder(x)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) in [0, 1] of codes z (n, d)."""
        x: Tensor = self.decoder(z)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction of x."""
        return self.decode(self.encode(x))

    @abstractmethod
    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """Named terms of the objective on a batch x; ``"loss"`` is the one to minimise."""


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error summed over pixels and channels, averaged over the batch.

    Example:
        >>> import torch
        >>> squared_error(torch.ones(5, 1, 2, 2), torch.zeros(5, 1, 2, 2))
        tensor(4.)
    """
    if x.shape != reconstruction.shape:
        raise ValueError(
            f"images {tuple(x.shape)} and reconstructions {tuple(reconstruction.shape)} "
            "differ in shape: was the model built for another data set?"
        )
    return (x.float() - reconstruction.float()).square().flatten(1).sum(1).mean()


@dataclass(frozen=True)
class AEOptions:
    """Options of :class:`AE`."""

    normalize_code: bool = False  #: batch-normalise the code, without an entropy term


class AE(Autoencoder):
    r"""Plain autoencoder: squared error alone.

    .. math:: \mathcal L = \frac1n \sum_i \lVert x_i - D(E(x_i)) \rVert^2

    Example:
        >>> import torch
        >>> from eae_core.models import build_model
        >>> model = build_model("ae", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['loss', 'reconstruction']
    """

    name = "ae"

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: AEOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim)
        self.options = options or AEOptions()
        self.code_norm = CodeBatchNorm(latent_dim) if self.options.normalize_code else nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        z: Tensor = self.code_norm(self.encoder(x))
        return z

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        reconstruction = squared_error(x, self(x))
        return {"loss": reconstruction, "reconstruction": reconstruction}


# Marks an option that files of version 0.1.0 do not know: it is written only where it is not at
# its default, so that those files stay files of the same model.
ADDED_LATER = {"added_later": True}


@dataclass(frozen=True)
class EAEOptions:
    """Options of :class:`EAE`."""

    entropy_weight: float = 1.0  #: lambda, in units of squared error per nat
    k: int = 1  #: which neighbour the estimator uses
    #: what is held fixed about the code, see :func:`~eae_core.models.build_constraint`
    constraint: str = field(default="batch_norm", metadata=ADDED_LATER)
    #: in which the entropy is estimated, see :meth:`~eae_core.models.CodeConstraint.entropy`
    coordinates: str = field(default="code", metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        if not 0 <= self.entropy_weight < float("inf"):
            raise ValueError(
                f"entropy_weight must be finite and at least 0, got {self.entropy_weight}"
            )
        if self.k < 1:
            raise ValueError(f"k must be at least 1, got {self.k}")
        check_constraint(self.constraint, self.coordinates)


class EAE(Autoencoder):
    r"""Entropic autoencoder: a constrained code, batch-normalised by default, of large entropy.

    .. math::
        \mathcal L = \frac1n \sum_i \lVert x_i - D(z_i) \rVert^2 - \lambda \hat H(z_1, \dots, z_n),
        \qquad z = \mathrm{BN}(E(x))

    with the Kozachenko-Leonenko estimate over the batch. With ``entropy_weight=0`` it is an
    autoencoder with a batch-normalised code, and the entropy is reported all the same. Another
    constraint in place of BN leads to another law of the code, :attr:`code_law`.

    Source:
        Ghose et al. (2020), equation 2; other constraints: their section 3.3. The estimator is in
        float64, whatever the precision of training; the weight counts one nat against one unit of
        summed squared error.

    Example:
        >>> import torch
        >>> from eae_core.models import EAEOptions, build_model
        >>> model = build_model("eae", (1, 32, 32), latent_dim=4, width=2, options=EAEOptions(k=2))
        >>> sorted(model.loss(torch.rand(5, 1, 32, 32)))
        ['entropy', 'loss', 'reconstruction']
    """

    name = "eae"

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: EAEOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim)
        self.options = options or EAEOptions()
        self.code_norm = build_constraint(self.options.constraint, latent_dim)
        self.minimum_batch_size = self.options.k + 2

    @property
    def code_law(self) -> Law:
        return self.code_norm.law

    def encode(self, x: Tensor) -> Tensor:
        z: Tensor = self.code_norm(self.encoder(x))
        return z

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        if len(x) < self.minimum_batch_size:
            raise ValueError(
                f"a batch of {len(x)} is too small for neighbour {self.options.k}: "
                f"use at least k + 2 = {self.minimum_batch_size} images"
            )
        z = self.encode(x)
        reconstruction = squared_error(x, self.decode(z))
        weight = self.options.entropy_weight
        entropy = self.code_norm.entropy(
            z if weight else z.detach(), self.options.k, coordinates=self.options.coordinates
        )
        return {
            "loss": reconstruction - weight * entropy,
            "reconstruction": reconstruction,
            "entropy": entropy,
        }
