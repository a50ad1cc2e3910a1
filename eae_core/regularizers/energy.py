"""Energy distance to N(0, I), with the Gaussian's side exact."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.neighbors.search import lengths
from eae_core.regularizers.common import BatchReduction, as_module, first_coordinate, term, widest


@term
def energy_loss(
    z: Tensor, *, unbiased: bool = True, reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    r"""Squared energy distance of a batch and N(0, I).

    .. math:: L = \frac2n \sum_i E\lVert z_i - Z \rVert - E\lVert Z - Z' \rVert
              - \frac1{n(n-1)} \sum_{i \ne j} \lVert z_i - z_j \rVert

    A length is a mean of its projections, :math:`\lVert v \rVert = c_d\, E_\theta |\theta \cdot
    v|`, and in one dimension the mean distance of a point a to N(0, 1) is known, so that

    .. math:: E\lVert x - Z \rVert = c_d\, E_\theta\, h(\theta_1 \lVert x \rVert), \qquad
              h(a) = a\, \mathrm{erf}\bigl(a / \sqrt2\bigr) + \sqrt{2 / \pi}\, e^{-a^2/2}

    with :math:`c_d = \sqrt\pi\, \Gamma(\frac{d+1}2) / \Gamma(\frac d2)`; the mean over the first
    coordinate of a direction is a Gauss-Gegenbauer sum. The mean for a batch from N(0, I) is 0, so
    that L can fall below it.

    Args:
        unbiased: leave out the pairs i = j; False counts them as 0, and L >= 0.

    Returns:
        A scalar, in units of the code.

    Source:
        Szekely and Rizzo (2005).

    Example:
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(energy_loss(z).abs() < 0.01), bool(energy_loss(1.5 * z) > 0.1)
        (True, True)
    """
    n, d = z.shape
    # From differences: the expanded square would lose the short distances.
    within = torch.pdist(widest(z)).mean() * (1.0 if unbiased else (n - 1) / n)
    norms = lengths(z)  # (n,)
    first, weight = first_coordinate(d, norms)
    a = norms[:, None] * first  # n x nodes
    to_gaussian = a * torch.erf(a / math.sqrt(2)) + math.sqrt(2 / math.pi) * (-a * a / 2).exp()
    ratio = math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    across = math.sqrt(math.pi) * ratio * (to_gaussian @ weight).mean()
    distance: Tensor = 2 * across - 2 * ratio - within
    return distance.to(z.dtype)


EnergyLoss = as_module("EnergyLoss", energy_loss)
