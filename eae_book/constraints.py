"""Constraints other than batch normalisation, each with its own distribution of largest entropy.

===========  ===============================  ======================  ==================
name         holds fixed                      distribution            entropy (nats)
===========  ===============================  ======================  ==================
l1_norm      mean 0, mean absolute value 1    Laplace                 d (1 + log 2)
unit_mean    non-negative, mean 1             exponential             d
box          range (-1, 1)                    uniform                 d log 2
sphere       norm 1 of every code             uniform on the sphere   log of its area
===========  ===============================  ======================  ==================

All but the last act on each coordinate. Those that hold an average fixed use the batch's in
training mode and a running one in evaluation mode; ``box`` and ``sphere`` have no average and act
alike in both. All compute in float32 or better, also under autocast, and keep float64. Importing
this module makes them known to ``EAEOptions(constraint=...)``.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from scipy import stats
from torch import Generator, Tensor, nn

from eae_book.distributions import draw_normal, draw_uniform, exponential, laplace
from eae_book.studies.sphere import sphere_knn_entropy, sphere_log_area
from eae_core.constraints import (
    CONSTRAINTS,
    CodeConstraint,
    build_constraint,
    check_dimension,
    check_share,
)
from eae_core.distributed import Group
from eae_core.entropy.distributions import Distribution
from eae_core.entropy.samples import no_autocast

__all__ = [
    "CodeBox",
    "CodeL1Norm",
    "CodeSphere",
    "CodeUnitMean",
    "ConstraintLayer",
    "build_constraint",
]


class ConstraintLayer(CodeConstraint):
    """Dimension and Gaussian coordinates, which all constraints here treat alike.

    Shape:
        (n, d) to (n, d).

    Raises:
        ValueError: fewer dimensions than the constraint needs, or another shape.
    """

    smallest_dim = 1
    smallest_share: ClassVar[str] = "tiny"  #: beside a code that its precision can tell

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = check_dimension(latent_dim, self.smallest_dim, self.name)

    def gaussian_coordinates(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with no_autocast(z.device):
            below, above, log_density = self.tails(z.double())
            # The smaller of the two shares is exact where the other rounds to 1.
            least = getattr(torch.finfo(z.dtype), self.smallest_share)
            u = torch.special.ndtri(torch.minimum(below, above).clamp(min=least))
            u = torch.where(below < above, u, -u)
            log_normal = -0.5 * u.square() - 0.5 * math.log(2 * math.pi)
            return u, (log_density - log_normal).sum(1)

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Share of :attr:`marginal` below z, share above, and log density, each (n, d)."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return str(self.latent_dim)


class BatchAverage(ConstraintLayer):
    """Divide by an average over the batch, or by its running value in evaluation mode.

    Args:
        latent_dim: d.
        eps: smallest average that is divided by.
        momentum: weight of the newest batch in the running averages.
        group: ranks that hold the batch together, see :class:`~eae_core.CodeBatchNorm`.

    Raises:
        ValueError: an impossible option, or a training batch of one.
    """

    averages = True
    running_scale: Tensor

    def __init__(self, latent_dim: int, *, eps: float, momentum: float, group: Group) -> None:
        super().__init__(latent_dim)
        check_share("eps", eps)
        check_share("momentum", momentum, 1)
        self.eps, self.momentum, self.group = eps, momentum, group
        self.register_buffer("running_scale", torch.ones(self.latent_dim))

    def _mean(self, z: Tensor, running: Tensor) -> Tensor:
        """Mean (d,) of the batch, remembered in its running value; else that value."""
        if not self.training:
            return running.to(z.dtype)
        mean = z.mean(0)
        # detach: the running value outlives the graph of the batch.
        running.lerp_(mean.detach().to(running.dtype), self.momentum)
        return mean

    def _divide(self, z: Tensor, size: Tensor) -> Tensor:
        """Codes z over the mean of its size (n, d); both (n, d), size non-negative."""
        scale = self._mean(size, self.running_scale)
        # A floor in place of an added eps: above it the average is 1 to rounding, and below it (a
        # coordinate that is constant) the code stays finite.
        return z / scale.clamp(min=self.eps)


class CodeL1Norm(BatchAverage):
    r"""Mean 0 and mean absolute value 1 in every coordinate: Laplace distributions.

    .. math:: z_{ij} = \frac{u_{ij} - m_j}{\frac1n \sum_l \lvert u_{lj} - m_j \rvert}

    with :math:`m_j` the mean of the batch. It needs no centre but its own: with the mean or
    the median at 0, the other condition holds at the maximum by itself, so either centre leads to
    the same Laplace distribution. The mean has a gradient that reaches every code, and its running
    average is the mean of all codes, unlike an average of batch medians for a skewed code.

    Source:
        Ghose et al. (2020), section 3.3, which names L1 layers; their use in place of batch
        normalisation: Wu et al. (2018).

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
        z = z - self._mean(z, self.running_center)
        # No correction for small batches, unlike batch normalisation's n / (n - 1): a centre that
        # is off by the noise of n codes lowers E|z| by 1/n and raises it by p(0) Var(m) = 1/n
        # under the Laplace distribution.
        return self._divide(z, z.abs())

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        small = 0.5 * (-z.abs()).exp()
        below, above = (torch.where(side, small, 1 - small) for side in (z < 0, z >= 0))
        return below, above, -z.abs() - math.log(2)

    @property
    def distribution(self) -> Distribution:
        return laplace(self.latent_dim)

    @property
    def marginal(self) -> stats.rv_continuous:
        return stats.laplace()


class CodeUnitMean(BatchAverage):
    r"""Non-negative with mean 1 in every coordinate: exponential distributions.

    .. math:: z_{ij} = \frac{y_{ij}}{\frac1n \sum_l y_{lj}}, \qquad y = \log(1 + e^u)

    Softplus is one-to-one onto the positive numbers, so every distribution on them can be reached,
    and the one of largest entropy does not depend on the map. ReLU sends half of the line to one
    point, where there is no density and the encoder no gradient; the absolute value folds codes u
    and -u onto each other, which no decoder can undo.

    Source:
        Cover and Thomas (2006), chapter 12, for the distribution.

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
    def distribution(self) -> Distribution:
        return exponential(self.latent_dim)

    @property
    def marginal(self) -> stats.rv_continuous:
        return stats.expon()


class CodeBox(ConstraintLayer):
    r"""Range (-1, 1) in every coordinate, by a hyperbolic tangent: uniform on the cube.

    One-to-one onto the open cube, so every distribution in it can be reached; no batch is needed.
    Scaling by the smallest and largest code of a batch would leave codes of new images outside.

    Example:
        >>> CodeBox(1)(torch.tensor([[0.0], [20.0]])).flatten()
        tensor([0., 1.])
    """

    name = "box"
    smallest_share = "eps"  # next to 1 there is no finer step

    def constrain(self, z: Tensor) -> Tensor:
        return z.tanh()

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (1 + z) / 2, (1 - z) / 2, torch.full_like(z, -math.log(2))

    @property
    def distribution(self) -> Distribution:
        d = self.latent_dim
        zero = torch.zeros(d, dtype=torch.float64)

        def draw(n: int, generator: Generator) -> Tensor:
            return 2 * draw_uniform(n, d, generator) - 1

        return Distribution("uniform", d, d * math.log(2), zero, zero + 1 / 3, draw)

    @property
    def marginal(self) -> stats.rv_continuous:
        return stats.uniform(-1, 2)


class CodeSphere(ConstraintLayer):
    r"""Norm 1 of every code: the uniform distribution on the sphere, ``z = u / |u|``.

    It has no density in R^d, where its entropy is minus infinity. :attr:`distribution` and
    :meth:`entropy` are with respect to the area of the sphere, of d - 1 dimensions, d >= 2. The
    code 0 has no direction and stays where it is.

    Source:
        Sablayrolles et al. (2019), whose KoLeo loss is the estimator on this sphere.

    Example:
        >>> CodeSphere(2)(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """

    name = "sphere"
    smallest_dim = 2
    coordinates = ("code",)  # no edge, and no bias at the uniform one: nothing to repair

    def constrain(self, z: Tensor) -> Tensor:
        # A code of any length has a direction, also where its square overflows or vanishes. The
        # factor has no gradient, and needs none: it does not change the direction.
        size = z.detach().abs().amax(1, keepdim=True)  # n x 1
        ordinary = ((size > 1e-10) & (size < 1e15)) | (size == 0)
        return nn.functional.normalize(z / size.where(~ordinary, 1.0), dim=1)

    def entropy(self, z: Tensor, k: int = 1, *, coordinates: str = "code") -> Tensor:
        self.check_coordinates(coordinates)
        return sphere_knn_entropy(z, k)

    @property
    def distribution(self) -> Distribution:
        d = self.latent_dim
        zero = torch.zeros(d, dtype=torch.float64)

        def draw(n: int, generator: Generator) -> Tensor:
            return nn.functional.normalize(draw_normal(n, d, generator), dim=1)

        return Distribution(
            "uniform on the sphere", d, sphere_log_area(d), zero, zero + 1 / d, draw
        )

    @property
    def marginal(self) -> stats.rv_continuous:
        # By Archimedes for d = 3, where it is uniform.
        half = (self.latent_dim - 1) / 2
        return stats.beta(half, half, -1, 2)


CONSTRAINTS |= {kind.name: kind for kind in (CodeL1Norm, CodeUnitMean, CodeBox, CodeSphere)}
