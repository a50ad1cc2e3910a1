"""The variational autoencoder of Lee's collection: pixels as probabilities."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from eae_core.models.autoencoders import Autoencoder, ModelOptions
from eae_core.models.variational import draw_posterior, gaussian_kl

SMALLEST_SIGMA = 1e-6


class LeeVAE(Autoencoder):
    r"""Variational autoencoder with a Bernoulli likelihood.

    .. math::
        \mathcal L = \frac1n \sum_i \Bigl( & -\sum_p \bigl( x_{ip} \log D(z_i)_p
        + (1 - x_{ip}) \log(1 - D(z_i)_p) \bigr) \\
        & + \mathrm{KL}\bigl(N(\mu_i, \sigma_i^2), N(0, I)\bigr) \Bigr),
        \qquad z_i = \mu_i + \sigma_i \varepsilon_i

    minus the evidence lower bound, in nats, with :math:`\sigma = \log(1 + e^s) + 10^{-6}` of the
    encoder's second half s. Grey pixels are taken as they are, though only 0 and 1 have such a
    likelihood: the loss of a perfect reconstruction is then not 0.
    The logarithms are taken of the decoder's logits, exactly, where Lee cuts its images at 1e-8
    from 0 and 1.
    :meth:`encode` gives the means.

    Args:
        encoder: maps images to (n, 2 d).
        decoder: layers in a row whose last is a sigmoid.
        latent_dim: d.
        options: there are none.

    Raises:
        TypeError: a decoder of another kind, or options of another model.

    Source:
        Kingma and Welling (2014); Lee (2017).

    Example:
        >>> import torch
        >>> from eae_book.gans.generators import build_generator
        >>> model = build_generator("lee_vae", latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 28, 28)))
        ['kl', 'loss', 'reconstruction']
    """

    name = "lee_vae"
    revision = 1  # 1: as first recorded
    options_class = ModelOptions
    encoder_outputs_per_dim = 2

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent_dim: int,
        options: ModelOptions | None = None,
    ) -> None:
        super().__init__(encoder, decoder, latent_dim, options)
        if not isinstance(decoder, nn.Sequential) or not isinstance(decoder[-1], nn.Sigmoid):
            raise TypeError(
                "the loss needs the decoder's logits: give it an nn.Sequential whose last layer is "
                f"nn.Sigmoid, got {type(decoder).__name__}"
            )

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each (n, d) in float32, of the codes of images x."""
        mean, spread = self.encoder(x).float().chunk(2, dim=1)
        return mean, F.softplus(spread) + SMALLEST_SIGMA

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def logits(self, z: Tensor) -> Tensor:
        """Images of codes z before the sigmoid, in float32."""
        values: Tensor = cast(nn.Sequential, self.decoder)[:-1](z)
        return values.float()

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        mean, sigma = self.posterior(x)
        log_sigma = sigma.log()
        logits = self.logits(draw_posterior(mean, log_sigma))
        pixels = F.binary_cross_entropy_with_logits(logits, x.float(), reduction="none")
        reconstruction = pixels.flatten(1).sum(1).mean()
        kl = gaussian_kl(mean, log_sigma)
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}
