"""Networks small enough to work out their objectives by hand."""

import pytest
import torch
from torch import nn


class Constant(nn.Module):
    """Decodes everything to one grey value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(z), 1, 2, 2)


@pytest.fixture
def grey():
    """A decoder that gives one value for all codes: images are 1 x 2 x 2."""
    return Constant


@pytest.fixture
def linear_encoder():
    """Four pixels to so many numbers."""
    return lambda outputs: nn.Sequential(nn.Flatten(), nn.Linear(4, outputs))


@pytest.fixture
def linear_decoder():
    """z to A z for a matrix A (4, d), as images 1 x 2 x 2."""

    def build(matrix: torch.Tensor) -> nn.Module:
        layer = nn.Linear(matrix.shape[1], 4, bias=False)
        layer.weight = nn.Parameter(matrix.clone())
        return nn.Sequential(layer, nn.Unflatten(1, (1, 2, 2)))

    return build


@pytest.fixture
def images():
    """n random images of a shape, MNIST's by default."""

    def draw(n: int = 8, shape: tuple[int, ...] = (1, 32, 32)) -> torch.Tensor:
        return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))

    return draw
