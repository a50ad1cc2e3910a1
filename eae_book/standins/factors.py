"""Generating factors: named numbers from which a drawn image follows completely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Law = Literal["uniform", "bell", "choice", "rare"]

_TAIL = 0.02  # a bell is a Gaussian cut off at its 2 % and 98 % quantiles
_RARE = 0.25  # share of the images in which a rare factor differs from zero


@dataclass(frozen=True)
class Factor:
    """One generating factor and the law it is drawn from.

    The laws turn a uniform number t in [0, 1) into a value between `low` and `high`:
    "uniform"; "bell", a Gaussian around the middle, cut off at the ends; "choice", one of the
    integers low, ..., high; "rare", zero for three images of four, else uniform.

    >>> Factor("style", 0, 2, "choice").value(np.array([0.0, 0.5, 0.99])).tolist()
    [0.0, 1.0, 2.0]
    """

    name: str
    low: float
    high: float
    law: Law = "uniform"

    @property
    def choices(self) -> list[int]:
        """The values of a factor of the law "choice"."""
        return list(range(int(self.low), int(self.high) + 1))

    def value(self, t: NDArray[np.float64]) -> NDArray[np.float64]:
        """The value of the factor at the quantile t."""
        width = self.high - self.low
        if self.law == "choice":
            return np.floor(self.low + t * (width + 1))
        if self.law == "rare":
            kept = (t - (1 - _RARE)) / _RARE
            return np.where(kept >= 0, self.low + width * kept, 0.0)
        if self.law == "bell":
            t = 0.5 + 0.5 * ndtri(_TAIL + (1 - 2 * _TAIL) * t) / ndtri(1 - _TAIL)
        return self.low + width * t


def sample(
    factors: Sequence[Factor], count: int, *, seed: int | Sequence[int] = 0, start: int = 0
) -> NDArray[np.float32]:
    """Factors of the images start, ..., start + count - 1: an array count x len(factors).

    Row i depends on the seed and on i alone: every row uses up the same number of random numbers,
    so the generator can be moved to any row.

    >>> table = (Factor("x", -1, 1), Factor("size", 0, 1, "bell"))
    >>> bool((sample(table, 5)[2:] == sample(table, 3, start=2)).all())
    True
    """
    if count < 0 or start < 0:
        raise ValueError(f"count and start must not be negative, got {count} and {start}")
    bits = np.random.PCG64(np.random.SeedSequence(seed))
    bits.advance(start * len(factors))
    t = np.random.Generator(bits).random((count, len(factors)))
    columns = [factor.value(t[:, j]) for j, factor in enumerate(factors)]
    return np.stack(columns, axis=1).astype(np.float32)


def planes(
    factors: Sequence[Factor], values: NDArray[np.float32]
) -> Mapping[str, NDArray[np.float32]]:
    """Each factor by its name, n x 1 x 1, ready to broadcast over pixels."""
    return {f.name: values[:, j, None, None] for j, f in enumerate(factors)}
