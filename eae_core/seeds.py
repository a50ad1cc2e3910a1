"""Seeds: which are possible, and a stream of random numbers for each use of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from eae_core.errors import check_integer

SEEDS = 2**32  #: NumPy's older generators and scikit-learn take no more


def check_seed(seed: Any, name: str = "seed") -> int:
    """The seed as an int, ValueError unless it is from 0 to 2^32 - 1: one rule everywhere."""
    return check_integer(name, seed, 0, SEEDS - 1)


def derived_seed(seed: int, stream: int) -> int:
    """The seed of a stream: 0 is the model's own draws, e the order of the images in epoch e.

    Streams are independent of each other, also those of neighbouring seeds, and none repeats the
    numbers that ``torch.manual_seed(seed)`` gave the initial weights.

    Example:
        >>> derived_seed(0, 1) != derived_seed(1, 0)
        True
    """
    # 63 bits: torch's generators take a signed integer.
    return int(np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0] >> 1)


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order (count,) in which an epoch (from 1) visits the images, the same on every device."""
    generator = torch.Generator().manual_seed(derived_seed(seed, epoch))
    return torch.randperm(count, generator=generator)
