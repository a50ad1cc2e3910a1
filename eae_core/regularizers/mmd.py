"""Maximum mean discrepancy to N(0, I), with the Gaussian's side exact."""

from __future__ import annotations

import torch
from scipy import special
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import BatchReduction, as_module, constant, pair_squares, term

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the official code of WAE


@term
def mmd_loss(
    z: Tensor,
    *,
    scales: tuple[float, ...] = SCALES,
    unbiased: bool = True,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Squared discrepancy of a batch and N(0, I), under a sum of inverse multiquadrics.

    .. math::
        L = \frac1{n(n-1)} \sum_{i \ne j} k(z_i, z_j) - \frac2n \sum_i E\,k(z_i, Z) + E\,k(Z, Z'),
        \qquad k(x, y) = \sum_s \frac{C_s}{C_s + \lVert x - y \rVert^2}, \quad C_s = 2 d s

    No reference sample is drawn: a multiquadric is a mixture of Gaussian kernels over their widths,

    .. math:: E \frac{C}{C + \lVert x - Z \rVert^2} = \int_0^\infty
        \frac{e^{-v - a \lVert x \rVert^2 / (1 + 2a)}}{(1 + 2a)^{d/2}}\, dv, \qquad a = v / C

    summed by a Gauss-Laguerre rule, to 1e-9 of itself. The mean for a batch from N(0, I) is 0, so
    that L can fall below it.

    Args:
        scales: s, of the kernels' widths.
        unbiased: leave out the pairs i = j; False counts them, and L >= 0.

    Returns:
        A scalar without a unit; each kernel adds at most 2.

    Raises:
        ValueError: a scale that is not above 0.

    Source:
        Tolstikhin et al. (2018), algorithm 2, whose second sample is replaced by its expectation.

    Example:
        >>> z = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> bool(mmd_loss(z).abs() < 0.01), bool(mmd_loss(1.5 * z) > 0.1)
        (True, True)
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f"scales must be above 0, such as {SCALES}; got {scales}")
    n, d = z.shape
    squares = pair_squares(z)
    kernel = torch.stack([2 * d * s / (2 * d * s + squares) for s in scales]).sum(0)  # (n, n)
    apart = (kernel.sum() - kernel.diagonal().sum()) / (n * (n - 1))
    within = apart if unbiased else kernel.mean()
    rate, log_weight, between = _mixture(d, scales, z.dtype, z.device)
    across = torch.exp(log_weight - z.square().sum(1)[:, None] * rate).sum(1).mean()
    discrepancy: Tensor = within - 2 * across + between
    return discrepancy


@constant
def _mixture(
    d: int, scales: tuple[float, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, float]:
    """Rates and log-weights of ``E k(x, Z)`` as a sum of Gaussians of x, and ``E k(Z, Z')``."""
    node, weight = (torch.as_tensor(a) for a in special.roots_laguerre(24 if d >= 16 else 64))
    rates, log_weights, between = [], [], 0.0
    for s in scales:
        # The integrand falls like exp(-decay v) for a point at the typical norm, |x|^2 = d.
        decay = 1 + 1 / s
        v = node / decay
        a = v / (2 * d * s)
        log_w = weight.log() + node - v - torch.log(torch.as_tensor(decay, dtype=torch.float64))
        rates.append(a / (1 + 2 * a))
        log_weights.append(log_w - d / 2 * torch.log1p(2 * a))
        between += float(torch.exp(log_w - d / 2 * torch.log1p(4 * a)).sum())
    rate, log_weight = torch.cat(rates), torch.cat(log_weights)
    return rate.to(device, dtype), log_weight.to(device, dtype), between


MMDLoss = as_module("MMDLoss", mmd_loss)
