"""The covariance of a batch beside the identity: second order only."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import (
    BatchReduction,
    as_module,
    term,
    values_are_looked_at,
    widest,
)

Form = Literal["log_det", "vicreg"]


@term
def covariance_loss(
    z: Tensor, *, form: Form = "log_det", reduction: BatchReduction = "mean", group: Group = None
) -> Tensor:
    r"""How far mean and covariance of a batch are from those of N(0, I).

    .. math::
        \text{log\_det:}\quad \mathrm{KL}\bigl(N(m, C) \,\Vert\, N(0, I)\bigr)
        = \tfrac12 \bigl( \lVert m \rVert^2 + \mathrm{tr}\, C - d - \log\det C \bigr)
        \qquad
        \text{vicreg:}\quad \frac1d \sum_{i \ne j} \hat C_{ij}^2

    with the batch's own mean and covariance C, divided by n as batch normalisation does, and
    :math:`\hat C` divided by n - 1. Of batch-normalised codes the first is :math:`-\frac12 \log
    \det C`, the entropy that a Gaussian loses by its correlations.

    Args:
        form: ``"log_det"`` or ``"vicreg"``.

    Returns:
        A scalar: nats, or a squared covariance a dimension.

    Raises:
        ValueError: another form, or for ``"log_det"`` n <= d or a covariance without an inverse.

    Source:
        Bardes et al. (2022, VICReg), equation 4.

    Example:
        >>> z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> covariance_loss(z).abs() < 1e-6, covariance_loss(z, form="vicreg")
        (tensor(True), tensor(0.))
    """
    if form not in get_args(Form):
        raise ValueError(f"form must be one of {', '.join(get_args(Form))}, got {form!r}")
    n, d = z.shape
    wide = widest(z)
    mean = wide.mean(0)
    centred = wide - mean
    if form == "vicreg":
        covariance = centred.T @ centred / (n - 1)
        off = covariance.square().sum() - covariance.diagonal().square().sum()
        return (off / d).to(z.dtype)
    if n <= d:
        raise ValueError(
            f"the covariance of {n} rows in d = {d} dimensions has no inverse: use a batch of more "
            'than d rows, or form="vicreg"'
        )
    covariance = centred.T @ centred / n
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if values_are_looked_at(z) and failed:
        raise ValueError(
            "the covariance has no inverse, as some coordinates depend on others: take them out, "
            'or use form="vicreg"'
        )
    log_det = 2 * factor.diagonal().log().sum()
    divergence: Tensor = mean.square().sum() + covariance.diagonal().sum() - d - log_det
    return (0.5 * divergence).to(z.dtype)


CovarianceLoss = as_module("CovarianceLoss", covariance_loss)
