"""SIGReg: characteristic functions of random projections against the Gaussian's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import BatchReduction, as_module, project, term


@term
def sigreg_loss(
    z: Tensor,
    *,
    slices: int = 256,
    knots: int = 17,
    t_max: float = 3.0,
    directions: Tensor | None = None,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Mean over random directions of the Epps-Pulley statistic of the projections.

    .. math:: L = E_\theta\, n \int_{-T}^T \Bigl| \frac1n \sum_{i=1}^n e^{it \theta \cdot z_i}
              - e^{-t^2/2} \Bigr|^2 e^{-t^2/2}\, dt

    by a trapezoid sum over so many knots on [0, T]. For independent draws of N(0, I) its mean is
    the same sum over :math:`1 - e^{-t^2}`, 1.05 by default, whatever n and d; for any other
    distribution it grows like n. Where codes collapse to a point its gradient vanishes.

    Args:
        slices: number of random directions, drawn anew at every call.
        knots: of the sum, with 0.
        t_max: T.
        directions: (d, slices) to take instead.

    Returns:
        A scalar without a unit.

    Raises:
        ValueError: fewer than 2 knots, no slice, or T <= 0.

    Source:
        Balestriero and LeCun (2025, LeJEPA, arXiv 2511.08544); the statistic of a projection: Epps
        and Pulley (1983).

    Example:
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(sigreg_loss(z) < 2), bool(sigreg_loss(2 * z) > 50)
        (True, True)
    """
    if knots < 2 or not t_max > 0:
        raise ValueError(f"knots must be at least 2 and t_max above 0, got {knots} and {t_max}")
    y = project(z, slices, directions, group)  # (n, slices)
    step = t_max / (knots - 1)
    cos_step, sin_step = (step * y).cos(), (step * y).sin()
    cos, sin = torch.ones_like(y), torch.zeros_like(y)
    total = y.new_zeros(y.shape[1])  # at t = 0 both functions are 1
    for knot in range(1, knots):
        # From t to t + step by the addition theorem: two functions of y instead of two a knot.
        cos, sin = cos * cos_step - sin * sin_step, sin * cos_step + cos * sin_step
        target = math.exp(-((knot * step) ** 2) / 2)
        error = (cos.mean(0) - target).square() + sin.mean(0).square()  # (slices,)
        total = total + (target if knot < knots - 1 else target / 2) * error
    return 2 * step * len(y) * total.mean()  # both signs of t


SIGRegLoss = as_module("SIGRegLoss", sigreg_loss)
