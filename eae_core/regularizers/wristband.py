"""The Wristband loss: directions and shares of the radius, spread together."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.regularizers.common import (
    BatchReduction,
    as_module,
    constant,
    pair_squares,
    term,
    unit_rows,
)

_EPS = 1e-12


class WristbandParts(NamedTuple):
    """What the loss is made of, before it is calibrated."""

    repulsion: Tensor
    radial: Tensor
    moments: Tensor


@term
def wristband_loss(
    z: Tensor,
    *,
    beta: float = 8.0,
    alpha: float = math.sqrt(1 / 12),
    radial_weight: float = 0.1,
    moment_weight: float = 1.0,
    batches: int = 1024,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Repulsion of directions and radii, radii to uniform, moments to the identity's.

    .. math:: L = \frac1s \bigl( \hat R + 0.1\, \hat Q + \hat M \bigr), \qquad
              u_i = z_i / \lVert z_i \rVert, \quad t_i = F_{\chi^2_d}(\lVert z_i \rVert^2)

    .. math::
        R = \frac1{\beta n} \sum_i \log \frac{\sum_j K_{ij} - 1}{3n - 1}, \qquad
        K_{ij} = e^{-\beta \alpha^2 \lVert u_i - u_j \rVert^2} \sum_{r \in \{t_j, -t_j, 2 - t_j\}}
        e^{-\beta (t_i - r)^2}

    .. math::
        Q = \frac{12}n \sum_i \Bigl( t_{(i)} - \frac{i - 1/2}n \Bigr)^2, \qquad
        M = \frac1d \Bigl( \lVert m \rVert^2 + \sum_k \bigl( \sqrt{\lambda_k} - 1 \bigr)^2 \Bigr)

    with the eigenvalues of the covariance, divided by n - 1. A hat takes off the mean on batches
    from N(0, I) of the same size and divides by their standard deviation, and s does so for the
    sum: the loss of a Gaussian batch has mean 0 and variance 1. The first call of a size draws
    those batches, from a generator of its own, and takes seconds for large ones.

    Args:
        beta: of the kernels.
        alpha: of directions beside radii.
        radial_weight: of Q.
        moment_weight: of M.
        batches: drawn for the calibration.

    Returns:
        A scalar, in standard deviations of a Gaussian batch.

    Raises:
        ValueError: beta <= 0, or fewer than 2 batches.

    Source:
        Parakhin (2026, arXiv 2605.08749).

    Example:
        >>> z = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
        >>> bool(wristband_loss(z, batches=64).abs() < 4), bool(wristband_loss(2 * z) > 20)
        (True, True)
    """
    if not beta > 0 or batches < 2:
        raise ValueError(f"beta must be above 0 and batches at least 2, got {beta} and {batches}")
    weights = (1.0, radial_weight, moment_weight)
    means, spreads, total = _calibration(*z.shape, beta, alpha, weights, batches)
    parts = wristband_parts(z, beta, alpha)
    scores = [
        weight * (part - mean) / spread
        for part, weight, mean, spread in zip(parts, weights, means, spreads, strict=True)
    ]
    return torch.stack(scores).sum() / total


def wristband_parts(z: Tensor, beta: float, alpha: float) -> WristbandParts:
    """R, Q and M of codes z (n, d), in their dtype; see :func:`wristband_loss`."""
    n, d = z.shape
    half_square = 0.5 * z.square().sum(1)  # (n,)
    shape = torch.full_like(half_square, d / 2)
    t = torch.special.gammainc(shape, half_square).clamp(_EPS, 1 - _EPS)  # (n,)
    kernel = torch.exp(-beta * alpha**2 * pair_squares(unit_rows(z)))
    differences, sums = t[:, None] - t, t[:, None] + t
    gaps = torch.stack([differences, sums, sums - 2])  # 3 x n x n
    reflected = torch.exp(-beta * gaps.square()).sum(0)
    # A point's kernel with itself, but not with its own reflections, is left out.
    repulsion = (((kernel * reflected).sum(1) - 1) / (3 * n - 1)).log().mean() / beta
    ranks = (torch.arange(n, device=z.device, dtype=z.dtype) + 0.5) / n
    radial = 12 * (t.sort().values - ranks).square().mean()
    mean = z.mean(0)
    # sum (sqrt(lambda) - 1)^2 by singular values, whose sum has a gradient at 0 too.
    roots = torch.linalg.svdvals((z - mean) / math.sqrt(n - 1))
    deviation = roots.square().sum() - 2 * roots.sum() + d
    return WristbandParts(repulsion, radial, (mean.square().sum() + deviation) / d)


@constant
def _calibration(
    n: int, d: int, beta: float, alpha: float, weights: tuple[float, ...], batches: int
) -> tuple[list[float], list[float], float]:
    """Means and standard deviations of the parts of Gaussian batches, and that of their sum."""
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        drawn = (torch.randn(n, d, generator=generator) for _ in range(batches))
        values = [torch.stack(wristband_parts(z, beta, alpha)) for z in drawn]
    parts = torch.stack(values).double()  # batches x 3
    means, spreads = parts.mean(0), parts.std(0)
    total = ((parts - means) / spreads) @ torch.tensor(weights, dtype=parts.dtype)
    return means.tolist(), spreads.tolist(), float(total.std())


WristbandLoss = as_module("WristbandLoss", wristband_loss)
