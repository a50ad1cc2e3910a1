"""Cramer-Wold distance: all projections at once, smoothed, in closed form."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import (
    BatchReduction,
    as_module,
    first_coordinate,
    pair_squares,
    term,
)

Form = Literal["asymptotic", "exact"]


@term
def cramer_wold_loss(
    z: Tensor,
    *,
    gamma: float | None = None,
    form: Form = "asymptotic",
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Squared Cramer-Wold distance of a batch to N(0, I).

    .. math::
        L = \frac1{2\sqrt\pi} \Bigl[ \frac1{n^2} \sum_{ij} \phi(\gamma, \lVert z_i - z_j \rVert^2)
        + (1 + \gamma)^{-\frac12}
        - \frac2n \sum_i \phi(\gamma + \tfrac12, \lVert z_i \rVert^2) \Bigr]

    .. math::
        \text{exact:}\quad \phi(g, s) = \frac1{\sqrt g}\, E_\theta\, e^{-s \theta_1^2 / 4g}
        = \frac1{\sqrt g}\, {}_1F_1\Bigl(\tfrac12; \tfrac d2; -\frac s{4g}\Bigr)
        \qquad
        \text{asymptotic:}\quad \phi(g, s) = \Bigl(g + \frac s{2d - 3}\Bigr)^{-\frac12}

    It is the squared distance of the densities of a projection, both smoothed by
    :math:`N(0, \gamma)`, averaged over all directions. By Parseval that is

    .. math:: E_\theta\, \frac1{2\pi} \int |\varphi_n(t) - e^{-t^2/2}|^2 e^{-\gamma t^2} dt

    so SIGReg with endlessly many slices and the whole line is :math:`2 \pi n` times the exact form
    at :math:`\gamma = 1/2`. The asymptotic form is the published loss. Of N(0, I) itself it is not
    0 but about 0.1 / d, and codes with wider norms make it smaller.

    Args:
        gamma: variance of the smoothing; None for Silverman's rule, :math:`(4 / 3n)^{2/5}`.
        form: ``"asymptotic"`` or ``"exact"``, which costs 32 times the memory.

    Returns:
        A scalar, a squared distance of densities.

    Raises:
        ValueError: gamma <= 0, another form, or d = 1 for the asymptotic one.

    Source:
        Tabor et al. (2020), theorem 3 and equation 4; as a loss: CWAE.

    Example:
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(cramer_wold_loss(z, form="exact") < 0.002), bool(cramer_wold_loss(2 * z) > 0.05)
        (True, True)
    """
    if form not in get_args(Form):
        raise ValueError(f"form must be one of {', '.join(get_args(Form))}, got {form!r}")
    if gamma is not None and not gamma > 0:
        raise ValueError(f"gamma must be above 0, or None for Silverman's rule; got {gamma}")
    n, d = z.shape
    if form == "asymptotic" and d < 2:
        raise ValueError('the asymptotic form needs d of at least 2; use form="exact" for d = 1')
    width = (4 / (3 * n)) ** 0.4 if gamma is None else gamma
    within = _overlap(width, pair_squares(z), d, form).mean()
    across = _overlap(width + 0.5, z.square().sum(1), d, form).mean()
    distance: Tensor = within - 2 * across + (1 + width) ** -0.5
    return distance / (2 * math.sqrt(math.pi))


def _overlap(g: float, squares: Tensor, d: int, form: str) -> Tensor:
    """Phi of the docstring, of squared lengths of any shape."""
    if form == "asymptotic":
        return (g + squares / (2 * d - 3)).rsqrt()
    node, weight = first_coordinate(d, squares)
    bumps = torch.exp(squares[..., None] * (-node.square() / (4 * g)))
    return bumps @ weight / math.sqrt(g)


CramerWoldLoss = as_module("CramerWoldLoss", cramer_wold_loss)
