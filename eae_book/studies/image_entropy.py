r"""Entropy of what a trained model draws: that of its codes, and the stretch of its decoder.

Codes :math:`z = m + L u` with u from N(0, I) have a Gaussian law, and the decoder behind the affine
map is a decoder of N(0, I), so that its entropy is that of
:func:`eae_core.entropy.decoder_entropy`:

.. math:: H = \underbrace{\mathbb E[-\log p(z)]}_{\text{codes}}
    + \underbrace{\mathbb E\,\tfrac12 \log \det J^\top J}_{\text{stretch}},

up to s. A decoder can trade one for the other: codes twice as wide and a decoder half as steep draw
the same images. Only the sum is a property of the images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eae_book.studies.posterior_bounds import LOG_TWO_PI, check_scale
from eae_core.entropy import knn_entropy
from eae_core.entropy.jacobian import jacobian_singular_values
from eae_core.errors import check_integer
from eae_core.evaluation.densities import Density
from eae_core.models.autoencoders import Autoencoder
from eae_core.models.using import evaluation_mode

REVISION = 1  # 1: as first recorded; see eae_book.revisions

SCALES = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class ImageEntropy:
    """Entropy of the images of a law of codes, in nats."""

    scales: tuple[float, ...]  #: s, falling
    entropies: tuple[float, ...]  #: one for each scale
    standard_errors: tuple[float, ...]  #: of the stretch, over codes
    code_entropy: float  #: of the law of codes
    samples: int

    @property
    def entropy(self) -> float:
        """At the smallest scale."""
        return self.entropies[-1]

    @property
    def stretch(self) -> float:
        """What the decoder adds to the entropy of the codes, at the smallest scale."""
        return self.entropy - self.code_entropy


def entropy_of_samples(
    model: Autoencoder,
    law: Density,
    *,
    samples: int = 500,
    scales: Sequence[float] = SCALES,
    seed: int = 0,
) -> ImageEntropy:
    r"""Entropy of the images that a model makes of codes from N(m, L L^T).

    All scales share the codes and one pass of Jacobians. The mean of -log p(z) is known, and taken
    exactly: its sample mean would only add noise.

    Args:
        model: a trained autoencoder; it computes in evaluation mode, on the device it is on.
        law: N(0, I) or a fitted Gaussian, see :func:`~eae_core.evaluation.fit_density`.
        samples: codes, at least 2.
        scales: values of s, in any order.
        seed: of the codes u; the same on every device.

    Raises:
        ValueError: a mixture, whose codes are no affine image of N(0, I), or an impossible size.

    Source:
        Struminsky et al., equation 3 with its sign turned, for codes from N(0, I).

    Example:
        >>> from eae_core.evaluation import fit_density
        >>> from eae_core.models import build_model
        >>> model = build_model("ae", (1, 32, 32), latent_dim=2, width=1)
        >>> law = fit_density("standard", torch.zeros(2, 2))
        >>> found = entropy_of_samples(model, law, samples=4)
        >>> found.scales[-1], round(found.code_entropy, 4)
        (0.0001, 2.8379)
    """
    if len(law.weights) > 1:
        raise ValueError(
            f"a law of {len(law.weights)} Gaussians is no affine image of N(0, I): take the "
            "density 'standard' or 'gaussian'"
        )
    if check_integer("samples", samples) < 2:
        raise ValueError("samples must be at least 2: one value has no spread")
    d = law.dimension
    u = torch.randn(samples, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with evaluation_mode(model) as device:
        mean, factor = (part[0].float().to(device) for part in (law.means, law.factors))

        def decode(u: Tensor) -> Tensor:
            return model.decode(mean + u @ factor.T)

        singular = jacobian_singular_values(decode, u.float().to(device)).cpu()
    code_entropy = 0.5 * d * (LOG_TWO_PI + 1) + float(law.factors[0].diagonal().log().sum())
    # The singular values are those of J L, so the volume of L is in them already.
    return _summed(0.5 * d * (LOG_TWO_PI + 1), singular, scales, code_entropy)


def entropy_of_reconstructions(
    model: Autoencoder,
    codes: Tensor,
    *,
    samples: int = 500,
    scales: Sequence[float] = SCALES,
    k: int = 1,
) -> ImageEntropy:
    r"""Entropy of the images that a model makes of its own codes, whose law is not known.

    The nearest-neighbour estimate of the codes' entropy, plus the decoder's stretch at some codes.
    The estimate has the bias of its kind, which is large in many dimensions
    (:mod:`eae_core.entropy.expectation`); no standard error counts it.

    Args:
        model: as in :func:`entropy_of_samples`.
        codes: (n, d) of images, all of them for the entropy of the codes.
        samples: the first so many for the stretch.
        scales: values of s.
        k: which neighbour.

    Raises:
        ValueError: fewer codes than samples, or an impossible size.
    """
    if not 2 <= check_integer("samples", samples) <= len(codes):
        raise ValueError(f"samples must be from 2 to the number of codes, {len(codes)}")
    with evaluation_mode(model) as device:
        z = codes[:samples].float().to(device)
        singular = jacobian_singular_values(model.decode, z).cpu()
    code_entropy = float(knn_entropy(codes.double(), k))
    return _summed(code_entropy, singular, scales, code_entropy)


def _summed(
    base: float, singular: Tensor, scales: Sequence[float], code_entropy: float
) -> ImageEntropy:
    """Base plus the mean log volume of singular values (n, d), at every scale."""
    for scale in scales:
        check_scale(scale)
    if not scales:
        raise ValueError("scales must hold at least one value of s")
    falling = sorted((float(scale) for scale in scales), reverse=True)
    volumes = torch.stack([_log_volume(singular, scale) for scale in falling])  # scales x n
    return ImageEntropy(
        scales=tuple(falling),
        entropies=tuple((base + volumes.mean(1)).tolist()),
        standard_errors=tuple((volumes.std(1) / math.sqrt(len(singular))).tolist()),
        code_entropy=code_entropy,
        samples=len(singular),
    )


def _log_volume(singular: Tensor, scale: float) -> Tensor:
    """1/2 log det (J^T J + s^2 I) from singular values (n, d): (n,)."""
    return 0.5 * (singular.square() + scale**2).log().sum(1)
