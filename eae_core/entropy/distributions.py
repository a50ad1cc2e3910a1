"""What a reference law is: an entropy, two moments and a seeded sampler; and the basic samplers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Generator, Tensor


@dataclass(frozen=True, eq=False)
class Law:
    """A law on R^d whose entropy is known.

    Attributes:
        name: what figures call it.
        dimension: d.
        entropy: in nats.
        mean: (d,) float64; NaN where it does not exist.
        variance: (d,) float64, of each coordinate; infinite or NaN where it does not exist.
        draw: (n, generator) -> (n, d) float64; call `sample`, which checks its arguments.

    Example:
        >>> from eae_core.entropy.references import laplace
        >>> laplace(2)
        Law(name='Laplace', dimension=2, entropy=3.386...)
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
            >>> from eae_core.entropy.references import uniform_cube
            >>> z = uniform_cube(3).sample(5, generator=torch.Generator().manual_seed(0))
            >>> z.shape, z.dtype
            (torch.Size([5, 3]), torch.float64)
        """
        if not isinstance(generator, Generator):
            raise TypeError(
                f"generator must be a torch.Generator, got {type(generator).__name__}; "
                "try torch.Generator().manual_seed(0)"
            )
        return self.draw(whole("n", n), generator)

    def standardized(self) -> Law:
        """The same law with each coordinate shifted and scaled to mean 0 and variance 1.

        H((Z - m) / s) = H(Z) - sum_j log s_j, in nats. Correlations between coordinates remain.

        Raises:
            ValueError: a mean or a variance is not finite.

        Example:
            >>> from eae_core.entropy.references import uniform_cube
            >>> round(uniform_cube(1).standardized().entropy, 4)  # log sqrt(12)
            1.2425
        """
        if not (self.mean.isfinite().all() and self.variance.isfinite().all()):
            raise ValueError(
                f"{self.name} has no finite mean and variance, so it cannot be standardised; "
                "use it as it is (a Student t has a finite variance for df > 2)"
            )
        mean, scale = self.mean, self.variance.sqrt()

        def draw(n: int, generator: Generator) -> Tensor:
            device = generator.device
            return (self.draw(n, generator) - mean.to(device)) / scale.to(device)

        return replace(
            self,
            entropy=self.entropy - float(scale.log().sum()),
            mean=torch.zeros_like(mean),
            variance=torch.ones_like(scale),
            draw=draw,
        )


def draw_normal(n: int, d: int, generator: Generator) -> Tensor:
    """Standard Gaussian coordinates, n x d in float64."""
    return torch.randn(n, d, generator=generator, dtype=torch.float64, device=generator.device)


def draw_uniform(n: int, d: int, generator: Generator) -> Tensor:
    """Coordinates uniform on [0, 1), n x d in float64."""
    return torch.rand(n, d, generator=generator, dtype=torch.float64, device=generator.device)


def draw_exponential(n: int, d: int, generator: Generator) -> Tensor:
    """Exponential coordinates of rate 1, n x d in float64."""
    empty = torch.empty(n, d, dtype=torch.float64, device=generator.device)
    return empty.exponential_(generator=generator)


def draw_student_t(n: int, d: int, df: float, generator: Generator) -> Tensor:
    """Student t coordinates of scale 1, n x d in float64, by Bailey's polar method (1994)."""
    # Radius times (cos, sin) of a uniform angle is a bivariate t. Bailey's U^(-2/df) is
    # exp(2 E / df) with E exponential, and expm1 keeps small radii exact.
    radius = (df * torch.expm1(draw_exponential(n, d, generator) * (2 / df))).sqrt()
    return radius * torch.cos(2 * math.pi * draw_uniform(n, d, generator))


def whole(name: str, value: int, least: int = 1) -> int:
    """The value as an int, NumPy's too; ValueError with its name if it is none of at least this."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return operator.index(value)
