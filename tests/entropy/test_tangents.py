"""Short ways of tangents: the same derivatives, with fewer operations."""

import pytest
import torch
from torch import nn
from torch.func import jacfwd, jvp, vmap
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from eae_core.entropy.jacobian import jacobian_singular_values, load_forward_mode
from eae_core.entropy.tangents import RULES, ShortTangents

load_forward_mode()


def trained(layer):
    """Statistics that are not those of a fresh layer."""
    with torch.no_grad():
        for tensor in (*layer.parameters(), *layer.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5)
    return layer.eval()


LAYERS = {
    "linear": (lambda: nn.Linear(6, 5), (6,)),
    "linear without bias": (lambda: nn.Linear(6, 5, bias=False), (6,)),
    "convolution": (lambda: nn.Conv2d(2, 4, 3, padding="same", groups=2), (2, 5, 4)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, groups=2), (4, 3, 3)),
    "transposed to one": (lambda: nn.ConvTranspose2d(4, 1, 3, output_padding=0), (4, 3, 3)),
    "batch norm of rows": (lambda: nn.BatchNorm1d(6), (6,)),
    "batch norm of images": (lambda: nn.BatchNorm2d(2, eps=0.1), (2, 3, 3)),
    "batch norm, not affine": (lambda: nn.BatchNorm2d(2, affine=False), (2, 3, 3)),
    "relu": (nn.ReLU, (6,)),
    "relu in place": (lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True)), (6,)),
    "another layer": (lambda: nn.LayerNorm(6), (6,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_are_those_of_torch(name):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layer = trained(make()).double()
    x = torch.randn(3, *shape, dtype=torch.float64)
    basis = torch.eye(x[0].numel(), dtype=x.dtype).view(-1, *shape)

    def along(direction):
        return jvp(layer, (x,), (direction.expand_as(x).contiguous(),))

    with torch.no_grad(), ShortTangents():
        value, columns = vmap(along, out_dims=(None, 0))(basis)
    assert torch.allclose(value, layer(x), rtol=0, atol=1e-14)
    columns = columns.flatten(2).permute(1, 2, 0)
    expected = vmap(jacfwd(lambda row: layer(row[None])[0]))(x).reshape(columns.shape)
    assert torch.allclose(columns, expected, rtol=0, atol=1e-13)


def test_every_rule_is_tried():
    seen = set()

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.add(func)
            return func(*args, **(kwargs or {}))

    for make, shape in LAYERS.values():
        with Watch():
            trained(make())(torch.zeros(2, *shape))
    assert set(RULES) <= seen


@pytest.mark.parametrize("named", [False, True])
def test_a_weight_that_moves_with_the_code_is_left_to_torch(named):
    def decode(z):
        weight = z[:1].T @ z[:1]  # (2, 2)
        return F.linear(input=z, weight=weight) if named else F.linear(z, weight)

    z, direction = torch.randn(1, 2).double(), torch.randn(1, 2).double()
    expected = jvp(decode, (z,), (direction,))[1]
    with ShortTangents():
        found = jvp(decode, (z,), (direction,))[1]
    assert torch.equal(found, expected)
    moved = direction @ (z.T @ z) + z @ (direction.T @ z + z.T @ direction)
    assert torch.allclose(found, moved)


def test_an_input_by_name_and_one_that_does_not_move():
    layer, x = nn.Linear(2, 3), torch.randn(1, 2)
    with ShortTangents():
        moved = jvp(lambda x: F.linear(input=x, weight=layer.weight), (x,), (x,))[1]
        still = F.relu(layer(x))
    assert torch.allclose(moved, x @ layer.weight.T)
    assert torch.equal(still, F.relu(layer(x)))
    assert still.requires_grad


def test_batch_normalisation_in_training_mode_is_left_to_torch():
    torch.manual_seed(0)
    x, direction = torch.randn(5, 3).double(), torch.randn(5, 3).double()

    def normalise(x):
        return F.batch_norm(x, None, None, training=True)

    with ShortTangents():
        found = jvp(normalise, (x,), (direction,))[1]
    assert torch.equal(found, jvp(normalise, (x,), (direction,))[1])
    assert found.sum(0).abs().max() < 1e-12  # the mean is taken away


def test_jacobians_take_them_and_need_fewer_operations(monkeypatch):
    class Count(TorchDispatchMode):
        calls = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.calls += 1
            return func(*args, **(kwargs or {}))

    torch.manual_seed(0)
    decode = nn.Sequential(
        nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Unflatten(1, (2, 2, 2)),
        nn.ConvTranspose2d(2, 1, 2),
    ).eval()  # fmt: skip
    z = torch.randn(3, 2)

    def calls():
        with Count() as count:
            values = jacobian_singular_values(decode, z)
        return count.calls, values

    short, values = calls()
    monkeypatch.setattr("eae_core.entropy.tangents.RULES", {})
    long, expected = calls()
    assert short < long
    assert torch.allclose(values, expected, rtol=1e-5, atol=1e-7)
