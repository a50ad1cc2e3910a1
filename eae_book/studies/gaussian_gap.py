"""How far is a sample from a Gaussian, in nats of entropy?"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.entropy.knn import gaussian_entropy_bound, knn_entropy
from eae_core.entropy.samples import Zero
from eae_core.neighbors import Engine


class GaussianGap(NamedTuple):
    """The entropy that a sample lacks, in nats, as two scalars."""

    raw: Tensor
    """Bound minus estimate: the estimator's bias is still in it."""
    calibrated: Tensor
    """Mean estimate of a Gaussian sample of the same size, minus estimate: 0 on average for it."""


def gaussian_gap(
    z: Tensor,
    k: int = 1,
    *,
    zero: Zero = "raise",
    floor: float | None = None,
    engine: Engine = "auto",
    memory_limit: int | None = None,
) -> GaussianGap:
    r"""How much entropy a sample lacks against N(0, I), in nats, without and with calibration.

    .. math:: G_{raw} = \tfrac d2 \log(2 \pi e) - \hat H(z), \qquad
              G_{calibrated} = E[\hat H(g)] - \hat H(z)

    where g is a sample of n points from N(0, I). If the mean square norm of the law is d, as batch
    normalisation makes it, the true gap is KL(Z || N(0, I)), which is not negative. The estimate is
    biased by tens of nats in high dimension, and the raw gap with it. The calibrated gap subtracts
    the exact bias on N(0, I) at the same n, d and k, so its mean is 0 on Gaussian samples. It does
    not calibrate other laws: a cube or a sphere may well come out negative.

    Args:
        z: (n, d) sample; not standardised here, so an entropy of scale is part of the gap.
        k: which neighbour; ``1 <= k < n``.
        zero: as in :func:`eae_core.entropy.knn_entropy`.
        floor: as in :func:`eae_core.entropy.knn_entropy`.
        engine: as in :func:`eae_core.entropy.knn_entropy`.
        memory_limit: as in :func:`eae_core.entropy.knn_entropy`.

    Returns:
        Two scalars with gradients; minimise either, they differ by a constant.

    Raises:
        TypeError, ValueError, DuplicatePointsError: as :func:`eae_core.entropy.knn_entropy`.

    Example:
        >>> import torch
        >>> z = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
        >>> gap = gaussian_gap(z)
        >>> f"raw {gap.raw:.1f}, calibrated {gap.calibrated:.1f} nats"
        'raw -10.5, calibrated 0.5 nats'
    """
    estimate = knn_entropy(z, k, zero=zero, floor=floor, engine=engine, memory_limit=memory_limit)
    n, d = z.shape
    return GaussianGap(gaussian_entropy_bound(d) - estimate, _expected(d, n, k) - estimate)


# Some 20 milliseconds, the same for every batch of a training run.
_expected = lru_cache(maxsize=256)(expected_gaussian_estimate)
