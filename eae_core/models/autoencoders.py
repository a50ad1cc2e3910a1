"""What every model is, and the plain autoencoder.

Every model owns its objective: :meth:`Autoencoder.loss` returns named terms, of which ``"loss"`` is
minimised. One convention of reduction holds for all: squared error is summed over pixels and
channels, terms of the code are summed over its dimensions, and both are averaged over the batch;
entropy and divergences are in nats. So a weight of 1 trades one nat against one unit of squared
error. :func:`published_options` has the published weights in this convention.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from eae_core.constraints import CodeBatchNorm
from eae_core.distributed import Group
from eae_core.entropy.distributions import Distribution, standard_gaussian
from eae_core.models import using


@dataclass(frozen=True)
class ModelOptions:
    """Options of a model: one class a model, derived from this one."""

    weights: ClassVar[tuple[str, ...]] = ()  #: options that must be finite and at least 0

    def __post_init__(self) -> None:
        self.check_weights(*self.weights)

    def check_weights(self, *names: str) -> None:
        """Raise ValueError unless these options are finite and at least 0."""
        for name in names:
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be finite and at least 0, got {value}")

    def check_sizes(self, *names: str) -> None:
        """Raise ValueError unless these options are at least 1."""
        for name in names:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class Autoencoder(nn.Module, ABC):
    """What every model of this package can do.

    Args:
        encoder: maps images (n, c, h, w) in [0, 1] to (n, d).
        decoder: maps codes (n, d) to images in [0, 1].
        latent_dim: d.
        options: of ``options_class``; None for the defaults.

    Raises:
        TypeError: options of another model.
    """

    name: ClassVar[str]
    revision: ClassVar[int]  #: goes up when its numbers change, see :mod:`eae_book.revisions`
    options_class: ClassVar[type[ModelOptions]] = ModelOptions
    options: Any  #: of ``options_class``
    encoder_outputs_per_dim: ClassVar[int] = 1  #: 2 where it gives mean and spread of the code
    minimum_batch_size = 2  # the networks normalise over the batch

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: ModelOptions | None = None,
    ) -> None:
        super().__init__()
        self.options = self.own_options(options)
        self.encoder = encoder
        self.decoder = decoder
        self.latent_dim = latent_dim
        self.config: dict[str, Any] = {}  # how build_model made it; empty for own networks
        #: processes that hold the batch together; set by :func:`eae_core.training.fit`
        self.group: Group = None
        last = list(decoder.modules())[-1] if isinstance(decoder, nn.Module) else None
        self._bounded = isinstance(last, nn.Sigmoid)
        self._range_seen = False
        self.add_layers()

    def add_layers(self) -> None:
        """Make what a model has besides its two networks; called when these are in place."""

    @classmethod
    def own_options(cls, options: ModelOptions | None) -> Any:
        """These options, or the model's defaults for None; TypeError for those of another model."""
        if options is None:
            return cls.options_class()
        if type(options) is not cls.options_class:
            raise TypeError(
                f"model {cls.name!r} takes {cls.options_class.__name__}, "
                f"got {type(options).__name__}"
            )
        return options

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(channels, height, width) that the model was built for."""
        return tuple(self.config["image_shape"])

    @property
    def code_distribution(self) -> Distribution:
        """What codes of new images are drawn from: N(0, I), unless the model has another law."""
        return standard_gaussian(self.latent_dim)

    def draw_codes(self, n: int, *, generator: Generator) -> Tensor:
        """Codes (n, d), n >= 1, of new images, from :attr:`code_distribution` or a learned law."""
        return self.code_distribution.sample(n, generator=generator)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Called before each epoch (from 0) of so many: a model in stages changes its stage."""

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

    def sample(self, n: int, *, seed: int = 0, density: Any = None) -> Tensor:
        """New images (n, c, h, w) of codes that the model, or a density fitted to its codes, draws.

        As the next two: without gradient, in evaluation mode, on the model's device, results on the
        CPU. A density is one of :func:`eae_core.evaluation.fit_density`.

        Example:
            >>> from eae_core.models import build_model
            >>> build_model("eae", (3, 48, 48), latent_dim=4, width=2).sample(5).shape
            torch.Size([5, 3, 48, 48])
        """
        if density is None:
            return using.sample_images(self, n, seed=seed)
        return using.decode_codes(self, density.sample(n, seed=seed))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions (n, c, h, w) of images x."""
        return using.reconstruct(self, x)

    def interpolate(self, start: Tensor, end: Tensor, *, steps: int = 8) -> Tensor:
        """Images (n, steps, c, h, w) on spherical paths between codes of two sets (n, c, h, w)."""
        return using.interpolate(self, start, end, steps=steps)

    def check_images(self, x: Tensor) -> None:
        """Raise ValueError if a decoder that ends in a sigmoid can never give such images.

        On a CPU every batch is looked at; on a GPU, which would have to wait, the first one.
        """
        if not self._bounded or torch.compiler.is_compiling() or not x.numel():
            return
        if self._range_seen and x.device.type != "cpu":
            return
        self._range_seen = True
        low, high = (float(end) for end in x.aminmax())
        if low < -1e-5 or high > 1 + 1e-5:
            raise ValueError(
                "the decoder ends in a sigmoid, so images must lie in [0, 1], but these reach from "
                f"{low:g} to {high:g}: rescale them, for instance (x - low) / (high - low)"
            )

    @abstractmethod
    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """Named terms of the objective on a batch x; ``"loss"`` is the one to minimise."""


def check_shape(model: Any, images: Any) -> None:
    """Raise ValueError if images, of a name and a shape, are of another shape than the model's."""
    shape = (getattr(model, "config", None) or {}).get("image_shape")
    found = tuple(images.image_shape)
    if shape is None or tuple(shape) == found:
        return
    last = tuple(shape) == (*found[-1:], *found[:-1])
    hint = ": a tensor has its channels first, see x.movedim(-1, 1)" if last else ""
    raise ValueError(
        f"the model is for images of shape {tuple(shape)} (channels, height, width), "
        f"{images.name} has {found}{hint}"
    )


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error summed over pixels and channels, averaged over the batch.

    Example:
        >>> squared_error(torch.ones(5, 1, 2, 2), torch.zeros(5, 1, 2, 2))
        tensor(4.)
    """
    if x.shape != reconstruction.shape:
        raise ValueError(
            f"images {tuple(x.shape)} and reconstructions {tuple(reconstruction.shape)} "
            "differ in shape: was the model built for another data set?"
        )
    return (x.float() - reconstruction.float()).square().flatten(1).sum(1).mean()


def objective(reconstruction: Tensor, **weighted: tuple[float, Tensor]) -> dict[str, Tensor]:
    """Named terms: the error, others by name, and ``"loss"``, the error plus their weighted sum.

    Example:
        >>> objective(torch.tensor(4.0), kl=(0.5, torch.tensor(2.0)))
        {'loss': tensor(5.), 'reconstruction': tensor(4.), 'kl': tensor(2.)}
    """
    loss = reconstruction
    for weight, term in weighted.values():
        loss = loss + weight * term
    terms = {name: term for name, (_, term) in weighted.items()}
    return {"loss": loss, "reconstruction": reconstruction, **terms}


@dataclass(frozen=True)
class AEOptions(ModelOptions):
    """Options of :class:`AE`.

    Attributes:
        normalize_code: batch-normalise the code, without an entropy term.
    """

    normalize_code: bool = False


class AE(Autoencoder):
    r"""Plain autoencoder: squared error alone.

    .. math:: \mathcal L = \frac1n \sum_i \lVert x_i - D(E(x_i)) \rVert^2

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("ae", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['loss', 'reconstruction']
    """

    name = "ae"
    revision = 1  # 1: as first recorded
    options_class = AEOptions
    options: AEOptions

    def add_layers(self) -> None:
        normalize = self.options.normalize_code
        self.code_norm = CodeBatchNorm(self.latent_dim) if normalize else nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        z: Tensor = self.code_norm(self.encoder(x))
        return z

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        return objective(squared_error(x, self(x)))
