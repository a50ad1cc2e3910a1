"""Variational autoencoders: a learned spread of each code, or a constant one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from eae_core.constraints import being_traced
from eae_core.distributed import Group, noise_like
from eae_core.models.autoencoders import Autoencoder, ModelOptions, objective, squared_error

LOG_SIGMA_BOUND = 5.0  # of RAE's code: sigma stays within exp(-5) and exp(5)


def gaussian_kl(mean: Tensor, log_sigma: Tensor) -> Tensor:
    r"""Divergence from N(0, I) of Gaussians with diagonal covariance, in nats.

    .. math:: \frac1n \sum_i \frac12 \sum_j \mu_{ij}^2 + \sigma_{ij}^2 - 1 - 2 \log \sigma_{ij}

    Args:
        mean: (n, d).
        log_sigma: (n, d), logarithm of the standard deviation.

    Example:
        >>> gaussian_kl(torch.ones(5, 3), torch.zeros(5, 3))  # d / 2
        tensor(1.5000)
    """
    terms = mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma
    return 0.5 * terms.sum(1).mean()


def draw_posterior(mean: Tensor, log_sigma: Tensor, group: Group = None) -> Tensor:
    """Codes (n, d) from N(mean, sigma^2), with gradient, by torch's global generator."""
    return mean + log_sigma.exp() * noise_like(mean, group)


def split_posterior(outputs: Tensor, latent_dim: int) -> tuple[Tensor, Tensor]:
    """Mean and log sigma, each (n, d) in float32, from an encoder's outputs (n, 2 d)."""
    if not being_traced() and outputs.shape[1:] != (2 * latent_dim,):
        raise ValueError(
            f"the encoder of a variational model gives 2 x {latent_dim} numbers an image, mean and "
            f"log sigma, got shape {tuple(outputs.shape)}: build it with encoder_outputs"
        )
    mean, spread = outputs.float().chunk(2, dim=1)
    return mean, LOG_SIGMA_BOUND * spread.tanh()


@dataclass(frozen=True, kw_only=True)
class VAEOptions(ModelOptions):
    """Options of :class:`VAE`.

    Attributes:
        beta: weight of the divergence, in units of squared error per nat.
    """

    weights = ("beta",)
    beta: float = 0.312


class VAE(Autoencoder):
    r"""Variational autoencoder: an encoder that gives a Gaussian, held near N(0, I).

    .. math::
        \mathcal L = \frac1n \sum_i \Bigl( \lVert x_i - D(z_i) \rVert^2
        + \beta \, \mathrm{KL}\bigl(N(\mu_i, \sigma_i^2), N(0, I)\bigr) \Bigr),
        \qquad z_i = \mu_i + \sigma_i \varepsilon_i

    with :math:`\log \sigma = 5 \tanh` of the encoder's second half, as in RAE's code: minus the
    evidence lower bound, times beta, for Gaussian pixels of variance beta / 2. :meth:`encode` gives
    the means.

    Source:
        Kingma and Welling (2014); beta: Higgins et al. (2017).

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("vae", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['kl', 'loss', 'reconstruction']
    """

    name = "vae"
    revision = 1  # 1: as first recorded
    options_class: ClassVar[type[ModelOptions]] = VAEOptions
    encoder_outputs_per_dim: ClassVar[int] = 2

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log sigma, each (n, d) in float32, of the codes of images x."""
        return split_posterior(self.encoder(x), self.latent_dim)

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def draw_terms(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes z (n, d) drawn for images x, the error of their reconstructions, and the KL."""
        mean, log_sigma = self.posterior(x)
        z = draw_posterior(mean, log_sigma, self.group)
        return z, squared_error(x, self.decode(z)), gaussian_kl(mean, log_sigma)

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        _, reconstruction, kl = self.draw_terms(x)
        return objective(reconstruction, kl=(self.options.beta, kl))


@dataclass(frozen=True, kw_only=True)
class CVVAEOptions(ModelOptions):
    """Options of :class:`CVVAE`.

    Attributes:
        beta: weight of the divergence, in units of squared error per nat.
        sigma: the standard deviation of every code.
    """

    weights = ("beta",)
    beta: float = 0.039
    sigma: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be finite and above 0, got {self.sigma}")


class CVVAE(VAE):
    r"""Constant-variance VAE: every code has the same spread.

    The objective is that of :class:`VAE` with one :math:`\sigma` for all: up to a constant its
    divergence is :math:`\frac12 \lVert \mu \rVert^2`, so :class:`RAE` is its limit without noise.

    Source:
        Ghosh et al. (2020), section 3.
    """

    name = "cv_vae"
    revision = 1  # 1: as first recorded
    options_class = CVVAEOptions
    encoder_outputs_per_dim = 1

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.encoder(x).float()
        return mean, torch.full_like(mean, math.log(self.options.sigma))
