"""Gradient ascent on the estimated entropy of points that are free to move.

No network, no data: what is left is what the estimate itself rewards under a constraint.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from eae_core.entropy.knn import knn_entropy
from eae_core.entropy.samples import check_sample
from eae_core.errors import check_integer

Constraint = Callable[[Tensor], Tensor]


def standardize(z: Tensor) -> Tensor:
    r"""Mean 0 and mean square 1 in every coordinate of a sample, exactly: batch normalisation.

    .. math:: z_{ij} = \frac{x_{ij} - m_j}{s_j}, \qquad s_j^2 = \frac1n \sum_i (x_{ij} - m_j)^2

    Unlike :class:`~eae_core.models.CodeBatchNorm` it adds nothing to the variance and keeps no
    running moments.

    Args:
        z: (n, d), n >= 2.

    Raises:
        TypeError: no tensor, or not of floats.
        ValueError: not n x d, n < 2, NaN or infinity, or a coordinate that is constant.

    Example:
        >>> standardize(torch.tensor([[1.0], [2.0], [3.0]])).flatten()
        tensor([-1.2247,  0.0000,  1.2247])
    """
    z = check_sample(z)
    if len(z) < 2:
        raise ValueError(f"a sample of n = {len(z)} points has no variance; n must be at least 2")
    z = z - z.mean(0)
    scale = z.square().mean(0).sqrt()  # (d,)
    if not (scale > 0).all():
        raise ValueError(f"{int((scale == 0).sum())} of {len(scale)} coordinates of z are constant")
    return z / scale


def maximize_entropy(
    points: Tensor,
    constraint: Constraint,
    *,
    steps: int,
    learning_rate: float = 0.05,
    k: int = 1,
    estimate: Callable[[Tensor], Tensor] | None = None,
    on_step: Callable[[int, Tensor, float], None] | None = None,
) -> Tensor:
    r"""Move points so that their estimated entropy grows while a constraint holds.

    .. math:: \max_x \hat H\bigl(c(x)\bigr)

    by Adam on the free points x, with a learning rate that falls to zero along a half cosine. The
    estimate is not smooth where two points are equally near, and a rate that stays finite would
    keep them jumping. The maximum that is found is a local one.

    Args:
        points: (n, d) start, which is not changed; float64 is worth its price here.
        constraint: any function or module from n x d to n x d, e.g. :func:`standardize`.
        steps: of the ascent.
        learning_rate: Adam's, at the first step.
        k: which neighbour the estimate uses.
        estimate: what is maximised, a scalar of n x d points; :func:`~eae_core.entropy.knn_entropy`
            with k by default. With an estimate of your own, k is not used.
        on_step: called with the number of the step (0 before the first one, ``steps`` after the
            last), the constrained points and their estimate in nats.

    Returns:
        (n, d) constrained points, without gradient.

    Raises:
        TypeError: the points are no tensor of floats.
        ValueError: steps < 1, a learning rate that is not positive, a constraint that changes the
            number of points, or an estimate that is no scalar.
        ArithmeticError: the estimate stops being a number.

    Example:
        >>> start = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
        >>> z = maximize_entropy(start, standardize, steps=50)
        >>> bool(knn_entropy(z) > knn_entropy(standardize(start)) + 1)
        True
    """
    check_integer("steps", steps)
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be above 0 and finite, got {learning_rate}")
    score = estimate or (lambda z: knn_entropy(z, k))
    x = check_sample(points, "points").detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        z, entropy = _scored(x, constraint, score, step)
        if on_step is not None:
            on_step(step, z.detach(), entropy.item())
        optimizer.zero_grad()
        (-entropy).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        z, entropy = _scored(x, constraint, score, steps)
    if on_step is not None:
        on_step(steps, z, entropy.item())
    return z.detach()


def _scored(
    x: Tensor, constraint: Constraint, score: Callable[[Tensor], Tensor], step: int
) -> tuple[Tensor, Tensor]:
    """Constrained points and their estimate, which must be a finite scalar."""
    z = constraint(x)
    if len(z) != len(x):
        raise ValueError(f"the constraint made {len(z)} points of {len(x)}")
    entropy = score(z)
    if entropy.ndim != 0:
        raise ValueError(f"the estimate must be a scalar, got shape {tuple(entropy.shape)}")
    if not entropy.isfinite():
        raise ArithmeticError(
            f"the estimate is {entropy.item()} after {step} steps; try a smaller learning_rate"
        )
    return z, entropy
