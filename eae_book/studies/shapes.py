"""Samples that are no Gaussian but have its first two moments: what does an estimate prefer?

Every distribution here has mean 0 and variance 1 in each coordinate, so that batch normalisation
lets it pass. Those without a density have the entropy minus infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from eae_book.distributions import (
    draw_normal,
    draw_uniform,
    gaussian,
    laplace,
    standardized,
    two_gaussians,
    uniform_cube,
)
from eae_core.entropy.distributions import Distribution
from eae_core.errors import check_integer

SEPARATION = 6.0  # of the two modes, in units of their width


def unit_shapes(dimension: int) -> dict[str, Distribution]:
    """Distributions with mean 0 and variance 1 in every coordinate, by name, the Gaussian first.

    Example:
        >>> {name: round(it.entropy, 2) for name, it in unit_shapes(2).items()}
        {'Gaussian': 2.84, 'cube': 2.48, 'Laplace': 2.69, 'two modes': 2.38, 'sphere': -inf, \
'corners': -9.59, 'half rank': -inf}
    """
    d = check_integer("dimension", dimension)
    return {
        "Gaussian": gaussian(d),
        "cube": standardized(uniform_cube(d)),
        "Laplace": standardized(laplace(d)),
        "two modes": standardized(two_gaussians(d, SEPARATION)),
        "sphere": sphere(d),
        "corners": corners(d),
        "half rank": half_rank(d),
    }


def sphere(dimension: int) -> Distribution:
    """Uniform on the sphere of radius sqrt(d).

    Example:
        >>> z = sphere(3).sample(5, generator=torch.Generator().manual_seed(0))
        >>> z.square().sum(1).round(decimals=6).tolist()
        [3.0, 3.0, 3.0, 3.0, 3.0]
    """
    d = check_integer("dimension", dimension)

    def draw(n: int, generator: Generator) -> Tensor:
        z = draw_normal(n, d, generator)
        z *= math.sqrt(d) / z.norm(dim=1, keepdim=True)
        return z

    return _unit("sphere", d, -math.inf, draw)


def corners(dimension: int, *, jitter: float = 1e-3) -> Distribution:
    """The corners -1 and +1 of a cube, each blurred to a Gaussian of standard deviation jitter.

    H = d (log 2 + 1/2 log(2 pi e jitter^2)) nats, up to the overlap of two corners, which a jitter
    of at most 0.1 keeps below 1e-20. The variance is 1 + jitter^2.

    Raises:
        ValueError: dimension < 1, or jitter outside (0, 0.1].

    Example:
        >>> round(corners(1, jitter=0.1).entropy, 4)
        -0.1905
    """
    d = check_integer("dimension", dimension)
    if not 0 < jitter <= 0.1:
        raise ValueError(f"jitter must lie in (0, 0.1], got {jitter}")

    def draw(n: int, generator: Generator) -> Tensor:
        signs = 2.0 * (draw_uniform(n, d, generator) < 0.5) - 1
        return signs + jitter * draw_normal(n, d, generator)

    entropy = d * (math.log(2) + 0.5 * math.log(2 * math.pi * math.e * jitter**2))
    return _unit("corners", d, entropy, draw)


def half_rank(dimension: int) -> Distribution:
    """A Gaussian in d/2 dimensions, rounded up, spread over d coordinates by fixed random weights.

    In d = 1 it is the Gaussian.

    Example:
        >>> z = half_rank(4).sample(100, generator=torch.Generator().manual_seed(0))
        >>> torch.linalg.matrix_rank(z).item()
        2
    """
    d = check_integer("dimension", dimension)
    rank = (d + 1) // 2
    weights = draw_normal(rank, d, Generator().manual_seed(0))
    weights = weights / weights.norm(dim=0)  # every coordinate has variance 1

    def draw(n: int, generator: Generator) -> Tensor:
        z: Tensor = draw_normal(n, rank, generator) @ weights.to(generator.device)
        return z

    return _unit("half rank", d, -math.inf if d > 1 else gaussian(1).entropy, draw)


def _unit(
    name: str, d: int, entropy: float, draw: Callable[[int, Generator], Tensor]
) -> Distribution:
    zero, one = (torch.full((d,), value, dtype=torch.float64) for value in (0.0, 1.0))
    return Distribution(name, d, entropy, zero, one, draw)
