"""VISReg: centre, scale and shape of a batch, each by a term of its own."""

from __future__ import annotations

from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import (
    BatchReduction,
    as_module,
    full_precision,
    normal_quantiles,
    project,
    times_batch,
    whole_batch,
)


@full_precision
def visreg_loss(
    z: Tensor,
    *,
    slices: int = 4096,
    scale_weight: float = 1.0,
    shape_weight: float = 1.0,
    center_weight: float = 1.0,
    eps: float = 1e-4,
    directions: Tensor | None = None,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Means to 0, standard deviations to 1, and projections of what is left to quantiles.

    .. math:: L = \frac1d \sum_j \bigl( m_j^2 + (1 - s_j)^2 \bigr)
              + E_\theta \frac1n \sum_{i=1}^n \bigl( (\theta \cdot y)_{(i)} - q_i \bigr)^2

    with :math:`q_i = \Phi^{-1}(i / (n + 1))` and :math:`y = (z - m) / (s + \epsilon)`, the division
    without gradient, so that the shape does not pull at the scale. Batch-normalised codes leave
    the shape alone.

    Args:
        z: (n, d), n >= 2.
        slices: number of random directions, drawn anew at every call.
        scale_weight: of the deviations.
        shape_weight: of the projections.
        center_weight: of the means.
        eps: added to the deviations.
        directions: (d, slices) to take instead.
        reduction: "mean", or "sum" for n times that, see :func:`times_batch`.
        group: ranks that hold the batch together.

    Returns:
        A scalar, in squared units of the code.

    Raises:
        TypeError, ValueError: no floats n x d, one row, NaN or infinity, no slice, eps <= 0.

    Source:
        Wu et al. (2026, VISReg, arXiv 2606.02572), equations 1, 2, 5 and 6.

    Example:
        >>> import torch
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(visreg_loss(z, slices=64) < 0.02), bool(visreg_loss(z + 1, slices=64) > 0.9)
        (True, True)
    """
    if not eps > 0:
        raise ValueError(f"eps must be above 0, got {eps}")
    z = whole_batch(z, group=group)
    mean, deviation = z.mean(0), z.std(0, correction=0)  # (d,)
    y = project((z - mean) / (deviation.detach() + eps), slices, directions, group)
    quantiles = normal_quantiles(len(y), y, 0.0)
    shape = (y.sort(dim=0).values - quantiles[:, None]).square().mean()
    scale = (1 - deviation).square().mean()
    total = scale_weight * scale + shape_weight * shape + center_weight * mean.square().mean()
    return times_batch(total, len(z), reduction)


VISRegLoss = as_module("VISRegLoss", visreg_loss)
