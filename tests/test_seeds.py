"""One rule for seeds."""

import numpy as np
import pytest
import torch

from eae_core.seeds import SEEDS, check_seed, derived_seed
from eae_core.training import TrainOptions


@pytest.mark.parametrize("seed", [0, 7, SEEDS - 1, np.int64(3), np.uint32(3), torch.tensor(3)])
def test_a_seed_is_a_whole_number_that_everyone_takes(seed):
    number = check_seed(seed)
    assert type(number) is int
    np.random.RandomState(number)
    torch.Generator().manual_seed(derived_seed(number, 1))
    assert TrainOptions(epochs=1, seed=seed).seed == number


@pytest.mark.parametrize("seed", [-1, SEEDS, 2**64, 1.0, "1", True, None, float("nan")])
def test_other_seeds_are_named(seed):
    with pytest.raises(ValueError, match=r"^seed must be a whole number from 0 to 4294967295"):
        check_seed(seed)
    with pytest.raises(ValueError, match=r"^seed must be a whole number from 0 to 4294967295"):
        TrainOptions(epochs=1, seed=seed)
    with pytest.raises(ValueError, match=r"^first_seed must be"):
        check_seed(seed, "first_seed")
