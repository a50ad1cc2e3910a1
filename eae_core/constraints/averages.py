"""Constraints that hold an average over the batch fixed: Laplace and exponential laws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from eae_core.constraints.base import ConstraintLayer, check_code, check_share
from eae_core.distributed import Group, gather_rows
from eae_core.entropy.distributions import Law
from eae_core.entropy.references import exponential, laplace

if TYPE_CHECKING:
    from scipy import stats


class _BatchAverage(ConstraintLayer):
    """Divide by an average over the batch, or by its running value in evaluation mode."""

    smallest_batch = 2
    running_scale: Tensor

    def __init__(self, latent_dim: int, *, eps: float, momentum: float, group: Group) -> None:
        super().__init__(latent_dim)
        check_share("eps", eps)
        check_share("momentum", momentum, 1)
        self.eps, self.momentum, self.group = eps, momentum, group
        self.register_buffer("running_scale", torch.ones(self.latent_dim))

    def forward(self, z: Tensor) -> Tensor:
        if not self.training or self.group is None:
            return super().forward(z)
        check_code(z, self.latent_dim)
        rows, start = gather_rows(z, self.group)
        return super().forward(rows)[start : start + len(z)]

    def _remember(self, running: Tensor, batch: Tensor) -> None:
        # detach: the running value outlives the graph of the batch.
        running.lerp_(batch.detach().to(running.dtype), self.momentum)

    def _divide(self, z: Tensor, size: Tensor) -> Tensor:
        """Codes z over the mean of its size (n, d); both (n, d), size non-negative."""
        if self.training:
            scale = size.mean(0)  # (d,)
            self._remember(self.running_scale, scale)
        else:
            scale = self.running_scale.to(z.dtype)
        # A floor in place of an added eps: above it the average is 1 to rounding, and below it (a
        # coordinate that is constant) the code stays finite.
        return z / scale.clamp(min=self.eps)


class CodeL1Norm(_BatchAverage):
    r"""Mean 0 and mean absolute value 1 in every coordinate: Laplace laws.

    .. math:: z_{ij} = \frac{u_{ij} - m_j}{\frac1n \sum_l \lvert u_{lj} - m_j \rvert}

    with :math:`m_j` the mean of the batch. The law needs no centre but its own: with the mean or
    the median at 0, the other condition holds at the maximum by itself, so either centre leads to
    the same Laplace law. The mean has a gradient that reaches every code, and its running average
    is the mean of all codes; an average of batch medians is not the median of a skewed code.

    Args:
        latent_dim: d.
        eps: smallest mean absolute value that is divided by.
        momentum: weight of the newest batch in the running averages.
        group: ranks that hold the batch together, see :class:`~eae_core.CodeBatchNorm`.

    Shape:
        (n, d) to (n, d), n >= 2 in training mode.

    Raises:
        ValueError: an impossible option, another shape, or a training batch of one.

    Source:
        The law: Ghose et al. (2020), section 3.3, which names L1 layers; their use in place of
        batch normalisation: Wu et al. (2018).

    Example:
        >>> z = CodeL1Norm(1)(torch.tensor([[1.0], [2.0], [6.0]]))
        >>> z.flatten()  # less 3, over (2 + 1 + 3) / 3
        tensor([-1.0000, -0.5000,  1.5000])
    """

    name = "l1_norm"
    running_center: Tensor

    def __init__(
        self, latent_dim: int, *, eps: float = 1e-5, momentum: float = 0.1, group: Group = None
    ) -> None:
        super().__init__(latent_dim, eps=eps, momentum=momentum, group=group)
        self.register_buffer("running_center", torch.zeros(self.latent_dim))

    def constrain(self, z: Tensor) -> Tensor:
        if self.training:
            center = z.mean(0)  # (d,)
            self._remember(self.running_center, center)
        else:
            center = self.running_center.to(z.dtype)
        z = z - center
        # No correction for small batches, unlike batch normalisation's n / (n - 1): a centre that
        # is off by the noise of n codes lowers E|z| by 1/n and raises it by p(0) Var(m) = 1/n
        # under the Laplace law.
        return self._divide(z, z.abs())

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        small = 0.5 * (-z.abs()).exp()
        below, above = (torch.where(side, small, 1 - small) for side in (z < 0, z >= 0))
        return below, above, -z.abs() - math.log(2)

    @property
    def law(self) -> Law:
        return laplace(self.latent_dim)

    @property
    def marginal(self) -> stats.rv_continuous:
        from scipy import stats

        return stats.laplace()


class CodeUnitMean(_BatchAverage):
    r"""Non-negative with mean 1 in every coordinate: exponential laws.

    .. math:: z_{ij} = \frac{y_{ij}}{\frac1n \sum_l y_{lj}}, \qquad y = \log(1 + e^u)

    Softplus is one-to-one onto the positive numbers, so every law on them can be reached and the
    law of largest entropy does not depend on the map. ReLU sends half of the line to one point,
    where a law has no density and the encoder no gradient; the absolute value folds codes u and -u
    onto each other, which no decoder can undo.

    Args:
        latent_dim: d.
        eps: smallest mean that is divided by.
        momentum: weight of the newest batch in the running mean.
        group: ranks that hold the batch together, see :class:`~eae_core.CodeBatchNorm`.

    Shape:
        (n, d) to (n, d), n >= 2 in training mode.

    Raises:
        ValueError: an impossible option, another shape, or a training batch of one.

    Source:
        Cover and Thomas (2006), chapter 12, for the law.

    Example:
        >>> z = CodeUnitMean(2)(torch.randn(50, 2))
        >>> bool((z > 0).all()), [round(mean, 4) for mean in z.mean(0).tolist()]
        (True, [1.0, 1.0])
    """

    name = "unit_mean"

    def __init__(
        self, latent_dim: int, *, eps: float = 1e-12, momentum: float = 0.1, group: Group = None
    ) -> None:
        super().__init__(latent_dim, eps=eps, momentum=momentum, group=group)

    def constrain(self, z: Tensor) -> Tensor:
        y = nn.functional.softplus(z)
        return self._divide(y, y)

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return -torch.expm1(-z), (-z).exp(), -z

    @property
    def law(self) -> Law:
        return exponential(self.latent_dim)

    @property
    def marginal(self) -> stats.rv_continuous:
        from scipy import stats

        return stats.expon()
