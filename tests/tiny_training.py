"""A model and images small enough to train many times a second: a plugin of fixtures."""

import os
import signal

import pytest
import torch
from torch import nn

from eae_core.data import ImageSet


class Tiny(nn.Module):
    """Draws random numbers, keeps running moments and has a convolution, like real models."""

    minimum_batch_size = 3

    def __init__(self, penalty_weight: float = 0.1) -> None:
        super().__init__()
        self.config = {
            "name": "tiny",
            "image_shape": [2, 4, 4],
            "options": {"penalty_weight": penalty_weight},
        }
        self.penalty_weight = penalty_weight
        self.encoder = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 3))
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.3)
        self.decoder = nn.Linear(3, 32)
        self.calls = 0
        self.before_loss = {}  # number of the call (from 1) to what is done then

    def loss(self, x):
        self.calls += 1
        self.before_loss.get(self.calls, lambda: None)()
        z = self.drop(self.norm(self.encoder(x)))
        reconstruction = (self.decoder(z) - x.flatten(1)).square().sum(1).mean()
        penalty = z.abs().mean()
        return {
            "loss": reconstruction + self.penalty_weight * penalty,
            "reconstruction": reconstruction,
            "penalty": penalty,
        }


@pytest.fixture
def tiny():
    """Builds the model; the same seed gives the same weights."""

    def build(seed: int = 0, *, kind: type[Tiny] = Tiny, **options: float) -> Tiny:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            return kind(**options)

    return build


@pytest.fixture
def tiny_kind():
    """The model's class, to derive from."""
    return Tiny


@pytest.fixture
def images():
    """Builds a set of n images."""

    def build(n: int = 22, *, shape: tuple[int, ...] = (2, 4, 4), checksum: str = "tiny-1"):
        generator = torch.Generator().manual_seed(n)
        pixels = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
        return ImageSet(
            name="tiny", split="train", images=pixels, labels=None, checksum=checksum, stand_in=""
        )

    return build


@pytest.fixture
def press_ctrl_c():
    """What a terminal does on Ctrl-C, with Python's own handler in place before and after."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def assert_same_weights():
    """Bit for bit, running moments included."""

    def compare(first: nn.Module, second: nn.Module) -> None:
        a, b = first.state_dict(), second.state_dict()
        assert a.keys() == b.keys()
        for name in a:
            assert torch.equal(a[name], b[name]), name

    return compare
