"""The k-nearest-neighbour entropy with pinned norms: it no longer prefers a sphere."""

from __future__ import annotations

from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import BatchReduction, as_module, term
from eae_core.regularizers.knn import knn_entropy_loss
from eae_core.regularizers.radial import radial_loss

RADIAL_WEIGHT = 20.0  # nats per unit of the radial term


@term
def entropy_radial_loss(
    z: Tensor,
    *,
    k: int = 1,
    radial_weight: float = RADIAL_WEIGHT,
    floor: float | None = None,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Minus the entropy of a batch, plus a weight times what its norms lack.

    .. math:: L = -\hat H + w\, \frac1n \sum_i \bigl( \lVert z \rVert_{(i)} - q_i \bigr)^2

    The entropy estimate prefers a sphere to a Gaussian by a few nats in high dimension. For a
    sphere the second term is w / 2, so that a weight above twice that preference ends it. A sum
    over the batch in its place, with coefficient c, is the weight w = c n: 0.2 at n = 100 is 20.

    Args:
        k: which neighbour.
        radial_weight: w, at least 0, in nats per squared unit of the code.
        floor: smallest distance that counts, see :func:`knn_entropy_loss`.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: a weight below 0; else as :func:`knn_entropy_loss`.

    Example:
        >>> import torch
        >>> z = torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
        >>> total = entropy_radial_loss(z, radial_weight=3.0)
        >>> bool((total - knn_entropy_loss(z) - 3 * radial_loss(z)).abs() < 1e-5)
        True
    """
    if not 0 <= radial_weight < float("inf"):
        raise ValueError(f"radial_weight must be finite and at least 0, got {radial_weight}")
    return knn_entropy_loss(z, k=k, floor=floor) + radial_weight * radial_loss(z)


EntropyRadialLoss = as_module("EntropyRadialLoss", entropy_radial_loss)
