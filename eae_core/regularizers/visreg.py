"""VISReg: centre, scale and shape of a batch, each by a term of its own."""

from __future__ import annotations

from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import BatchReduction, as_module, project, quantiles, term


@term
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
        slices: number of random directions, drawn anew at every call.
        scale_weight: of the deviations.
        shape_weight: of the projections.
        center_weight: of the means.
        eps: added to the deviations.
        directions: (d, slices) to take instead.

    Returns:
        A scalar, in squared units of the code.

    Raises:
        ValueError: no slice, or eps <= 0.

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
    mean, deviation = z.mean(0), z.std(0, correction=0)  # (d,)
    y = project((z - mean) / (deviation.detach() + eps), slices, directions, group)
    shape = (y.sort(dim=0).values - quantiles(len(y), y, offset=0.0)[:, None]).square().mean()
    scale = (1 - deviation).square().mean()
    return scale_weight * scale + shape_weight * shape + center_weight * mean.square().mean()


VISRegLoss = as_module("VISRegLoss", visreg_loss)
