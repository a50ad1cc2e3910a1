"""Constraints that bound the code: a box with its uniform law, and the sphere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn

from eae_core.constraints.base import ConstraintLayer
from eae_core.entropy.distributions import Law, draw_normal, draw_uniform
from eae_core.entropy.sphere import sphere_knn_entropy, sphere_log_area

if TYPE_CHECKING:
    from scipy import stats


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
    smallest_share = "eps"  # next to 1 there is no finer step

    def constrain(self, z: Tensor) -> Tensor:
        return z.tanh()

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (1 + z) / 2, (1 - z) / 2, torch.full_like(z, -math.log(2))

    @property
    def law(self) -> Law:
        d = self.latent_dim
        zero = torch.zeros(d, dtype=torch.float64)

        def draw(n: int, generator: Generator) -> Tensor:
            return 2 * draw_uniform(n, d, generator) - 1

        return Law("uniform", d, d * math.log(2), zero, zero + 1 / 3, draw)

    @property
    def marginal(self) -> stats.rv_continuous:
        from scipy import stats

        return stats.uniform(-1, 2)


class CodeSphere(ConstraintLayer):
    r"""Norm 1 of every code: the uniform law on the sphere, ``z = u / |u|``.

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
    coordinates = ("code",)  # no edge, and no bias at the uniform law: nothing to repair

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
    def law(self) -> Law:
        d = self.latent_dim
        zero = torch.zeros(d, dtype=torch.float64)

        def draw(n: int, generator: Generator) -> Tensor:
            return nn.functional.normalize(draw_normal(n, d, generator), dim=1)

        return Law("uniform on the sphere", d, sphere_log_area(d), zero, zero + 1 / d, draw)

    @property
    def marginal(self) -> stats.rv_continuous:
        from scipy import stats

        # By Archimedes for d = 3, where it is uniform.
        half = (self.latent_dim - 1) / 2
        return stats.beta(half, half, -1, 2)
