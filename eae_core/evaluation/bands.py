"""What the tests against N(0, I) share: a check of the codes, and bands of what is normal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from eae_core.entropy.samples import check_sample
from eae_core.errors import check_integer

TAIL = 0.025  # share of true Gaussian samples on each side of a band
_DRAWS, _SEED = 400, 0


class Band(NamedTuple):
    """Where 95 % of true samples from N(0, I) lie: 2.5 % fall below it, and 2.5 % above."""

    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.low:{spec}} to {self.high:{spec}}"


def check_codes(z: Tensor) -> Tensor:
    """Codes (n, d) in float64 on the CPU, without gradient.

    Raises:
        TypeError, ValueError: no floats n x d, n < 2, NaN or infinity.
    """
    z = check_sample(z)
    if len(z) < 2:
        raise ValueError(f"n = {len(z)} codes are no sample to test; n must be at least 2")
    return z.detach().double().cpu()


def check_size(n: int, d: int) -> None:
    """Raise ValueError unless there can be samples of n >= 2 points in d >= 1 dimensions."""
    if check_integer("n", n) < 2:
        raise ValueError("n = 1 code is no sample to test; n must be at least 2")
    check_integer("d", d)


def simulated_deviations(
    statistic: Callable[[Tensor], float], n: int, d: int, mean: float
) -> np.ndarray:
    """Lower and upper 2.5 % of n times (statistic - mean) on seeded samples from N(0, I_d).

    The distances here are integrals of a squared deviation, so that n times their deviation from
    the mean has a limit, reached at a few hundred points.

    Args:
        statistic: of a sample (n, d).
        n: points in a sample.
        d: dimension.
        mean: of the statistic on such samples.
    """
    generator = torch.Generator().manual_seed(_SEED)
    values = [
        statistic(torch.randn(n, d, generator=generator, dtype=torch.float64))
        for _ in range(_DRAWS)
    ]
    return np.quantile(n * (np.array(values) - mean), (TAIL, 1 - TAIL))
