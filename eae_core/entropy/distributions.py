"""A distribution of known entropy, with two moments and a seeded sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Generator, Tensor

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
        >>> from eae_core import CodeBatchNorm
        >>> CodeBatchNorm(2).distribution
        Distribution(name='Gaussian', dimension=2, entropy=2.837...)
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

        Example:
            >>> import torch
            >>> from eae_core import CodeBatchNorm
            >>> generator = torch.Generator().manual_seed(0)
            >>> z = CodeBatchNorm(3).distribution.sample(5, generator=generator)
            >>> z.shape, z.dtype
            (torch.Size([5, 3]), torch.float64)
        """
        if not isinstance(generator, Generator):
            raise TypeError(
                f"generator must be a torch.Generator, got {type(generator).__name__}; "
                "try torch.Generator().manual_seed(0)"
            )
        return self.draw(check_integer("n", n), generator)
