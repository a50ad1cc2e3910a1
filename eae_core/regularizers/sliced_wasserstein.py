"""Sliced Wasserstein distance: sorted projections beside Gaussian quantiles."""

from __future__ import annotations

from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import BatchReduction, as_module, project, quantiles, term


@term
def sliced_wasserstein_loss(
    z: Tensor,
    *,
    slices: int = 256,
    directions: Tensor | None = None,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Mean over random directions of the squared distance of sorted projections to quantiles.

    .. math:: L = E_\theta \frac1n \sum_{i=1}^n \bigl( (\theta \cdot z)_{(i)} - q_i \bigr)^2,
              \qquad q_i = \Phi^{-1}\Bigl(\frac{i - 1/2}n\Bigr)

    It is about the squared 2-Wasserstein distance of a projection to N(0, 1), of the order of
    (log log n) / n for a Gaussian batch. The published loss draws the prior's points instead.

    Args:
        slices: number of random directions, drawn anew at every call.
        directions: (d, slices) to take instead.

    Returns:
        A scalar, in squared units of the code.

    Raises:
        ValueError: no slice.

    Source:
        Kolouri et al. (2018, SWAE), section 3.

    Example:
        >>> import torch
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(sliced_wasserstein_loss(z) < 0.02), bool(sliced_wasserstein_loss(z + 1) > 0.1)
        (True, True)
    """
    y = project(z, slices, directions, group)  # (n, slices)
    return (y.sort(dim=0).values - quantiles(len(y), y)[:, None]).square().mean()


SlicedWassersteinLoss = as_module("SlicedWassersteinLoss", sliced_wasserstein_loss)
