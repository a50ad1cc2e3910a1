"""A distribution of known entropy, with two moments and a seeded sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from eae_core.entropy.knn import gaussian_entropy_bound
from eae_core.errors import check_integer


@dataclass(frozen=True, eq=False)
class Distribution:
    """A distribution on R^d whose entropy is known.

    Attributes:
        name: what figures call it.
        dimension: d.
        entropy: in nats.
        mean: (d,) float64; NaN where it does not exist.
        variance: (d,) float64, of each coordinate; infinite or NaN where it does not exist.
        draw: (n, generator) -> (n, d) float64; call `sample`, which checks its arguments.

    Example:
        >>> import torch
        >>> from eae_core import CodeBatchNorm
        >>> distribution = CodeBatchNorm(2).distribution
        >>> distribution
        Distribution(name='Gaussian', dimension=2, entropy=2.837...)
        >>> z = distribution.sample(5, generator=torch.Generator().manual_seed(0))
        >>> z.shape, z.dtype
        (torch.Size([5, 2]), torch.float64)
    """

    name: str
    dimension: int
    entropy: float
    mean: Tensor = field(repr=False)
    variance: Tensor = field(repr=False)
    draw: Callable[[int, Generator], Tensor] = field(repr=False)

    def sample(self, n: int, *, generator: Generator) -> Tensor:
        """Draw n independent points, n x d in float64, on the generator's device.

        Raises:
            TypeError: ``generator`` is no torch.Generator.
            ValueError: n < 1.
        """
        if not isinstance(generator, Generator):
            raise TypeError(
                f"generator must be a torch.Generator, got {type(generator).__name__}; "
                "try torch.Generator().manual_seed(0)"
            )
        return self.draw(check_integer("n", n), generator)


def standard_gaussian(latent_dim: int) -> Distribution:
    """N(0, I), drawn in single precision: seeded codes are those that torch.randn gives."""
    d = check_integer("dimension", latent_dim)

    def draw(n: int, generator: Generator) -> Tensor:
        return torch.randn(n, d, generator=generator, device=generator.device).double()

    zero = torch.zeros(d, dtype=torch.float64)
    return Distribution("Gaussian", d, gaussian_entropy_bound(d), zero, zero + 1, draw)
