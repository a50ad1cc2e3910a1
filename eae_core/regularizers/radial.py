"""The norms of a batch beside those of a Gaussian: the pin that keeps codes off a shell."""

from __future__ import annotations

from torch import Tensor

from eae_core.distributed import Group
from eae_core.neighbors.search import lengths
from eae_core.regularizers.common import BatchReduction, as_module, quantiles, term


@term
def radial_loss(z: Tensor, *, reduction: BatchReduction = "mean", group: Group = None) -> Tensor:
    r"""Squared Wasserstein distance of the norms of a batch to the norm of N(0, I).

    .. math:: L = \frac1n \sum_{i=1}^n \bigl( \lVert z \rVert_{(i)} - q_i \bigr)^2,
              \qquad q_i = F_{\chi_d}^{-1}\Bigl(\frac{i - 1/2}n\Bigr)

    with the i-th smallest norm. It is a mean over the batch: about 1/2 for a sphere of radius
    :math:`\sqrt d` in any dimension, and of the order of (log log n) / n for a Gaussian. It sees
    the norms alone, not the directions.

    Returns:
        A scalar, in squared units of the code.

    Source:
        Norms against the chi distribution: Radial-VCReg (2026, arXiv 2602.14272).

    Example:
        >>> import torch
        >>> z = torch.nn.functional.normalize(torch.randn(500, 64)) * 8
        >>> radial_loss(z)  # the variance of a chi with 64 degrees of freedom is 0.498
        tensor(0.49...)
    """
    n, d = z.shape
    norms = lengths(z).sort().values  # (n,), of any size
    return (norms - quantiles(n, norms, chi=d)).square().mean().to(z.dtype)


RadialLoss = as_module("RadialLoss", radial_loss)
