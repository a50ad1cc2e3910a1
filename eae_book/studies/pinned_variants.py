"""The pinned entropy with one more thing, each tried for a reason that chapter 20 gives."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers import (
    covariance_loss,
    entropy_radial_loss,
    knn_entropy_loss,
    radial_loss,
    sliced_wasserstein_loss,
)
from eae_core.regularizers.common import BatchReduction, term
from eae_core.regularizers.entropy_radial import RADIAL_WEIGHT

FLOOR = 1e-6  # of distances, as EAE has it in training
SLICES_WEIGHT = 50.0  # nats per unit of the sliced Wasserstein term


@term
def pinned_decorrelated_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    """The pinned entropy, plus the divergence of the covariance from the identity.

    Returns:
        A scalar in nats.

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(pinned_decorrelated_loss(z) > entropy_radial_loss(z))
        True
    """
    return entropy_radial_loss(z, floor=FLOOR) + covariance_loss(z)


@term
def pinned_slices_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    """The pinned entropy, plus 50 times the sliced Wasserstein term.

    Returns:
        A scalar in nats.

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> bool(pinned_slices_loss(z) > entropy_radial_loss(z))
        True
    """
    return entropy_radial_loss(z, floor=FLOOR) + SLICES_WEIGHT * sliced_wasserstein_loss(z)


@term
def pinned_whitened_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    r"""The pinned entropy, its neighbours looked for among whitened codes.

    .. math:: -\hat H(W z) - \tfrac12 \log\det C + 20 R(z) , \qquad W C W^\top = I

    The entropy part estimates the same number, and a linear map A adds :math:`-\log |\det A|` to
    it exactly, which of neighbours among the codes themselves is only true of a large batch.

    Returns:
        A scalar in nats.

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> near = pinned_whitened_loss(z) - entropy_radial_loss(z)
        >>> bool(near.abs() < 0.5)
        True
    """
    centred = z - z.mean(0)
    factor = torch.linalg.cholesky(centred.T @ centred / len(z))
    white = torch.linalg.solve_triangular(factor, centred.T, upper=False).T
    entropy = knn_entropy_loss(white, floor=FLOOR) - factor.diagonal().log().sum()
    pinned: Tensor = entropy + RADIAL_WEIGHT * radial_loss(z)
    return pinned


@term
def pinned_coverage_loss(
    z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    r"""The pinned entropy, plus how far Gaussian points are from their nearest codes.

    .. math:: \frac dn \sum_j \log \min_i \lVert g_j - z_i \rVert , \qquad g_j \sim \mathcal N(0, I)

    The entropy pushes codes apart; points of N(0, I), drawn anew in each call, pull the nearest
    code to where no code is.

    Returns:
        A scalar in nats.

    Example:
        >>> z = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> far = pinned_coverage_loss(z + 5) - entropy_radial_loss(z + 5)
        >>> bool(far > pinned_coverage_loss(z) - entropy_radial_loss(z))
        True
    """
    drawn = torch.randn_like(z)
    nearest = torch.cdist(drawn, z.detach()).argmin(1)
    gaps: Tensor = (drawn - z[nearest]).norm(dim=1).log()
    return entropy_radial_loss(z, floor=FLOOR) + z.shape[1] * gaps.mean()
