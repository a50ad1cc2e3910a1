"""The Sphere Encoder's idea at this book's budget: codes on a sphere, made wide by noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from eae_core.models import Autoencoder, ModelOptions
from eae_core.models.autoencoders import squared_error


@dataclass(frozen=True)
class SphereOptions(ModelOptions):
    """Options of :class:`SphereEncoder`.

    Attributes:
        noise: standard deviation, a coordinate, of the strongest noise on a code; 0 has none.
    """

    noise: float = 1.0

    def __post_init__(self) -> None:
        self.check_weights("noise")


class SphereEncoder(Autoencoder):
    r"""An autoencoder whose codes lie on the sphere of radius sqrt(d), and meet noise there.

    .. math::
        \mathcal L = \frac1n \sum_i \Bigl\lVert x_i - D\bigl( S(S(E(x_i)) + u_i \sigma \epsilon_i)
        \bigr) \Bigr\rVert^2 , \qquad S(z) = \sqrt d \, z / \lVert z \rVert

    with Gaussian :math:`\epsilon_i` and :math:`u_i` uniform in [0, 1], so that each code fills a
    cap and images spread until the caps cover the sphere. No term asks for anything else. New
    images are decoded from random points of the sphere: :meth:`decode` takes every code to it, and
    the directions of N(0, I) are uniform.

    Source:
        The Sphere Encoder (2026), arXiv 2602.15030; its noise, and none of its further terms.

    Example:
        >>> from torch.nn import Linear
        >>> model = SphereEncoder(Linear(9, 4), Linear(4, 9), 4)
        >>> z = model.encode(torch.rand(3, 9))
        >>> bool((z.norm(dim=1) - 2).abs().max() < 1e-5)
        True
    """

    name = "sphere_encoder"
    revision = 1  # 1: as first recorded
    options_class = SphereOptions
    options: SphereOptions

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, d) of norm sqrt(d)."""
        return self._on_sphere(self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """Images of the points of the sphere in the directions of z (n, d)."""
        x: Tensor = self.decoder(self._on_sphere(z))
        return x

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        z = self.encode(x)
        strength = self.options.noise * torch.rand(len(z), 1, device=z.device, dtype=z.dtype)
        noisy = z + strength * torch.randn_like(z)
        reconstruction = squared_error(x, self.decode(noisy))
        return {"loss": reconstruction, "reconstruction": reconstruction}

    def _on_sphere(self, z: Tensor) -> Tensor:
        return math.sqrt(self.latent_dim) * normalize(z, dim=1)
