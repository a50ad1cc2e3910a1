"""Constraints other than batch normalisation, each with its own law of largest entropy.

===========  =========================================  ======================  ==================
name         holds fixed                                law                     entropy (nats)
===========  =========================================  ======================  ==================
batch_norm   mean 0, mean square 1                      Gaussian                d/2 log(2 pi e)
l1_norm      mean 0, mean absolute value 1              Laplace                 d (1 + log 2)
unit_mean    non-negative, mean 1                       exponential             d
box          range (-1, 1)                              uniform                 d log 2
sphere       norm 1 of every code                       uniform on the sphere   log of its area
===========  =========================================  ======================  ==================

All but the last act on each coordinate. Those that hold an average fixed use the batch's in
training mode and a running one in evaluation mode; ``box`` and ``sphere`` have no average and act
alike in both. All compute in float32 or better, also under autocast, and keep float64.
"""

from __future__ import annotations

import difflib
import math

import torch
from scipy import stats
from torch import Generator, Tensor, nn

from eae_core.entropy.law import Law, draw_normal, draw_uniform
from eae_core.entropy.references import exponential, laplace
from eae_core.entropy.sphere import sphere_knn_entropy, sphere_log_area
from eae_core.models.layers import CodeConstraint, ConstraintLayer
from eae_core.models.normalization import CodeBatchNorm


class _BatchAverage(ConstraintLayer):
    """Divide by an average over the batch, or by its running value in evaluation mode."""

    smallest_batch = 2
    running_scale: Tensor

    def __init__(self, latent_dim: int, *, eps: float, momentum: float) -> None:
        super().__init__(latent_dim)
        if not 0 < eps < math.inf:
            raise ValueError(f"eps must be finite and above 0, got {eps}")
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum must lie in (0, 1], got {momentum}")
        self.eps, self.momentum = eps, momentum
        self.register_buffer("running_scale", torch.ones(latent_dim))

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

    def __init__(self, latent_dim: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(latent_dim, eps=eps, momentum=momentum)
        self.register_buffer("running_center", torch.zeros(latent_dim))

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

    @property
    def law(self) -> Law:
        return laplace(self.latent_dim)

    @property
    def marginal(self) -> stats.rv_continuous:
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

    Shape:
        (n, d) to (n, d), n >= 2 in training mode.

    Raises:
        ValueError: an impossible option, another shape, or a training batch of one.

    Source:
        Cover and Thomas (2006), chapter 12, for the law.

    Example:
        >>> z = CodeUnitMean(2)(torch.randn(50, 2))
        >>> bool((z > 0).all()), z.mean(0)
        (True, tensor([1.0000, 1.0000]))
    """

    name = "unit_mean"

    def __init__(self, latent_dim: int, *, eps: float = 1e-12, momentum: float = 0.1) -> None:
        super().__init__(latent_dim, eps=eps, momentum=momentum)

    def constrain(self, z: Tensor) -> Tensor:
        y = nn.functional.softplus(z)
        return self._divide(y, y)

    @property
    def law(self) -> Law:
        return exponential(self.latent_dim)

    @property
    def marginal(self) -> stats.rv_continuous:
        return stats.expon()


class CodeBox(ConstraintLayer):
    r"""Range (-1, 1) in every coordinate, by a hyperbolic tangent: the uniform law on the cube.

    One-to-one onto the open cube, so every law in it can be reached; no batch is needed. Scaling by
    the smallest and largest code of a batch would leave codes of new images outside.

    Shape:
        (n, d) to (n, d).

    Raises:
        ValueError: latent_dim < 1 or another shape.

    Example:
        >>> CodeBox(1)(torch.tensor([[0.0], [20.0]])).flatten()
        tensor([0., 1.])
    """

    name = "box"

    def constrain(self, z: Tensor) -> Tensor:
        return z.tanh()

    @property
    def law(self) -> Law:
        d = self.latent_dim
        zero = torch.zeros(d, dtype=torch.float64)

        def draw(n: int, generator: Generator) -> Tensor:
            return 2 * draw_uniform(n, d, generator) - 1

        return Law("uniform", d, d * math.log(2), zero, zero + 1 / 3, draw)

    @property
    def marginal(self) -> stats.rv_continuous:
        return stats.uniform(-1, 2)


class CodeSphere(ConstraintLayer):
    r"""Norm 1 of every code: the uniform law on the sphere, z = u / |u|.

    The law has no density in R^d, where its entropy is minus infinity. :attr:`law` and
    :meth:`entropy` are with respect to the area of the sphere, of d - 1 dimensions.

    Shape:
        (n, d) to (n, d), d >= 2. The code 0 has no direction and stays where it is.

    Raises:
        ValueError: latent_dim < 2 or another shape.

    Source:
        Sablayrolles et al. (2019), whose KoLeo loss is the estimator on this sphere.

    Example:
        >>> CodeSphere(2)(torch.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """

    name = "sphere"
    smallest_dim = 2

    def constrain(self, z: Tensor) -> Tensor:
        return nn.functional.normalize(z, dim=1)

    def entropy(self, z: Tensor, k: int = 1) -> Tensor:
        return sphere_knn_entropy(z, k)

    @property
    def law(self) -> Law:
        d = self.latent_dim
        zero = torch.zeros(d, dtype=torch.float64)

        def draw(n: int, generator: Generator) -> Tensor:
            return nn.functional.normalize(draw_normal(n, d, generator), dim=1)

        return Law("uniform on the sphere", d, sphere_log_area(d), zero, zero + 1 / d, draw)

    @property
    def marginal(self) -> stats.rv_continuous:
        # By Archimedes for d = 3, where it is uniform.
        half = (self.latent_dim - 1) / 2
        return stats.beta(half, half, -1, 2)


CONSTRAINTS: dict[str, type[CodeBatchNorm] | type[ConstraintLayer]] = {
    kind.name: kind for kind in (CodeBatchNorm, CodeL1Norm, CodeUnitMean, CodeBox, CodeSphere)
}


def check_constraint(name: str) -> None:
    """Raise ValueError, with the nearest known name, unless there is a constraint of this name."""
    if name not in CONSTRAINTS:
        near = difflib.get_close_matches(name, CONSTRAINTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown constraint {name!r}{hint} There are: {', '.join(CONSTRAINTS)}")


def build_constraint(name: str, latent_dim: int) -> CodeConstraint:
    """The layer that holds something about a code fixed, by its name.

    Args:
        name: ``"batch_norm"``, ``"l1_norm"``, ``"unit_mean"``, ``"box"`` or ``"sphere"``.
        latent_dim: d.

    Raises:
        ValueError: unknown name (the nearest is named), or an impossible dimension.

    Example:
        >>> layer = build_constraint("unit_mean", 16)
        >>> layer, layer.law.entropy
        (CodeUnitMean(16), 16.0)
    """
    check_constraint(name)
    return CONSTRAINTS[name](latent_dim)
