"""The pinned entropy with one more thing, each tried for a reason that chapter 20 gives."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers import covariance_loss, entropy_radial_loss, sliced_wasserstein_loss
from eae_core.regularizers.common import BatchReduction, term

FLOOR = 1e-6  # of distances, as EAE has it in training
SLICES_WEIGHT = 50.0  # nats per unit of the sliced Wasserstein term


def pinned_decorrelated_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    """The pinned entropy of codes z (n, d), plus the divergence of their covariance (nats).

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(pinned_decorrelated_loss(z) > entropy_radial_loss(z))
        True
    """
    return entropy_radial_loss(z, floor=FLOOR, reduction=reduction, group=group) + covariance_loss(
        z, reduction=reduction, group=group
    )


def pinned_slices_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    """The pinned entropy of codes z (n, d), plus 50 times the sliced Wasserstein term (nats).

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(pinned_slices_loss(z) > entropy_radial_loss(z))
        True
    """
    pinned = entropy_radial_loss(z, floor=FLOOR, reduction=reduction, group=group)
    sliced = sliced_wasserstein_loss(z, reduction=reduction, group=group)
    return pinned + SLICES_WEIGHT * sliced


@term
def pinned_coverage_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    r"""The pinned entropy of codes z (n, d), plus how far Gaussian points are from their codes.

    .. math:: \frac dn \sum_j \log \min_i \lVert g_j - z_i \rVert , \qquad g_j \sim \mathcal N(0, I)

    in nats: with the entropy, whose terms push codes apart, points of N(0, I) pull the nearest code
    to where no code is. The draws are new in each call. A group must be None.

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(pinned_coverage_loss(z) > pinned_coverage_loss(torch.randn(100, 4)) - 5)
        True
    """
    if group is not None:
        raise ValueError("pinned_coverage is for one process: leave group at None")
    d = z.shape[1]
    drawn = torch.randn_like(z)
    nearest = torch.cdist(drawn, z.detach()).argmin(1)
    gaps: Tensor = d * (drawn - z[nearest]).norm(dim=1).log().mean()
    return entropy_radial_loss(z, floor=FLOOR) + gaps
