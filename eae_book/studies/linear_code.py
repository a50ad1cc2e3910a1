r"""A yardstick for short runs: the best that d numbers can do when encoder and decoder are linear.

Principal components minimise the squared error among all linear codes, and scaled to variance 1
their coordinates have mean 0 and covariance I on the images they were fitted to: the constraint of
an EAE without a network. Random codes then give samples of a Gaussian fitted to the images.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from eae_core.data import ImageSet
from eae_core.evaluation.distances import check_codes

_POWER_STEPS = 4  # of the randomised decomposition; two are usual, four agree to four digits


@dataclass(frozen=True, eq=False)
class LinearCode:
    """Principal components of images, as encoder and decoder; see :func:`fit_linear_code`."""

    mean: Tensor = field(repr=False)  #: (c, h, w)
    components: Tensor = field(repr=False)  #: (d, c * h * w), orthonormal rows
    scales: Tensor  #: (d,) standard deviations along them, falling

    @property
    def latent_dim(self) -> int:
        """Numbers in a code, d."""
        return len(self.scales)

    def encode(self, x: Tensor) -> Tensor:
        """Codes z (n, d) of images x (n, c, h, w), each coordinate scaled to variance 1."""
        centred = (x.cpu() - self.mean).flatten(1)
        z: Tensor = centred @ self.components.T / self.scales
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) of codes z (n, d), cut off at 0 and 1."""
        flat = (z.float() * self.scales) @ self.components
        images: Tensor = flat.unflatten(1, self.mean.shape) + self.mean
        return images.clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The nearest images (n, c, h, w) among those that codes have, cut off at 0 and 1."""
        return self.decode(self.encode(x))

    def sample(self, n: int, *, seed: int = 0) -> Tensor:
        """Images (n, c, h, w) of random codes from N(0, I); the same on every device."""
        generator = torch.Generator().manual_seed(seed)
        return self.decode(torch.randn(n, self.latent_dim, generator=generator))

    def reconstruction_error(self, images: ImageSet, *, batch_size: int = 500) -> float:
        """Squared error summed over pixels and channels, averaged over the data set."""
        total = 0.0
        for first in range(0, len(images), batch_size):
            x = images.batch(slice(first, first + batch_size)).cpu()
            total += (x - self.reconstruct(x)).square().sum().item()
        return total / len(images)


def fit_linear_code(images: ImageSet, latent_dim: int, *, seed: int = 0) -> LinearCode:
    r"""The first d principal components of images.

    .. math::
        \min_{m,\, V V^\top = I} \; \frac1n \sum_i \lVert (x_i - m) - V^\top V (x_i - m) \rVert^2

    by a randomised singular value decomposition, so that 10,000 images of 32 x 32 take a second.

    Args:
        images: on any device; the result is on the CPU, in float32.
        latent_dim: d.
        seed: of the decomposition.

    Raises:
        ValueError: d < 1, no more than d images or d pixels, or images that fill fewer than d
            dimensions.

    Source:
        Halko, Martinsson and Tropp (2011), for the randomised decomposition.

    Example:
        >>> from eae_core.data import load_images
        >>> digits = load_images("digits", limit=300)
        >>> errors = [fit_linear_code(digits, d).reconstruction_error(digits) for d in (4, 16)]
        >>> errors[1] < 0.5 * errors[0]
        True
    """
    count, pixels = len(images), images.images[0].numel()
    if not 1 <= latent_dim < min(count, pixels):
        raise ValueError(
            f"latent_dim must be at least 1 and below the numbers of images and of pixels, "
            f"{count} and {pixels}, got {latent_dim}"
        )
    x = images.batch(slice(None)).cpu().flatten(1)
    mean = x.mean(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        more = min(2 * latent_dim + 8, count, pixels)  # spare ones sharpen the last
        _, values, basis = torch.pca_lowrank(x - mean, q=more, center=False, niter=_POWER_STEPS)
    scales = values[:latent_dim] / count**0.5
    if scales[-1] <= 1e-6 * scales[0]:
        raise ValueError(f"the images fill fewer than latent_dim = {latent_dim} dimensions")
    return LinearCode(
        mean=mean.unflatten(0, images.image_shape),
        components=basis[:, :latent_dim].T.contiguous(),
        scales=scales,
    )


def used_dimensions(z: Tensor) -> float:
    r"""How many directions codes z (n, d) use, between 1 and d: the participation ratio.

    .. math:: \frac{(\sum_j \lambda_j)^2}{\sum_j \lambda_j^2}

    with the eigenvalues of their covariance: d if all are equal, 1 if all but one are zero. Codes
    with unit variances use fewer than d where coordinates are correlated.

    Raises:
        TypeError: no tensor, or not of floats.
        ValueError: not n x d with n > 1, NaN or infinity, or codes that are all the same.

    Example:
        >>> z = torch.tensor([[1.0, 1, 0], [-1, -1, 0], [0, 0, 1], [0, 0, -1]])
        >>> round(used_dimensions(z), 2)  # three coordinates, two of them the same
        1.8
    """
    z = check_codes(z)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(z.T).reshape(z.shape[1], -1)).clamp(min=0)
    total = eigenvalues.sum()
    if total <= 0:
        raise ValueError("all codes are the same: they use no direction")
    return float(total**2 / eigenvalues.square().sum())
