"""Kernels of transposed convolutions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from eae_core.entropy.jacobian import jacobian_singular_values
from eae_core.entropy.kernels import FEW_CHANNELS, FastTransposedConvolutions


@pytest.mark.parametrize("channels", [1, FEW_CHANNELS, FEW_CHANNELS + 1])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_result_is_the_same(channels, groups):
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(8, channels * groups, 4, stride=2, padding=1, groups=groups)
    x = torch.randn(3, 8, 5, 5)
    expected = layer(x)
    with FastTransposedConvolutions():
        found = layer(x)
        named = F.conv_transpose2d(
            input=x, weight=layer.weight, bias=layer.bias, stride=2, padding=1, groups=groups
        )
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    assert torch.equal(named, found)
    assert found.requires_grad


@pytest.mark.parametrize(("channels", "own"), [(1, True), (FEW_CHANNELS + 1, False)])
def test_only_few_channels_leave_the_library(channels, own, monkeypatch):
    seen = []
    real = torch.backends.mkldnn.flags

    def flags(**options):
        seen.append(options)
        return real(**options)

    monkeypatch.setattr(torch.backends.mkldnn, "flags", flags)
    before = torch.backends.mkldnn.is_available(), torch._C._get_mkldnn_enabled()
    with FastTransposedConvolutions():
        F.conv_transpose2d(torch.ones(1, 2, 3, 3), torch.ones(2, channels, 2, 2))
    assert seen == [{"enabled": False}] * own
    assert (torch.backends.mkldnn.is_available(), torch._C._get_mkldnn_enabled()) == before


def test_the_jacobian_of_a_decoder_of_images_uses_it(monkeypatch):
    decode = nn.Sequential(nn.Unflatten(1, (4, 1, 1)), nn.ConvTranspose2d(4, 1, 3))
    weight = decode[1].weight.detach().flatten(1).T  # (9, 4): the whole map, as the input is 1 x 1
    entered = []
    real = FastTransposedConvolutions.__enter__
    monkeypatch.setattr(
        FastTransposedConvolutions, "__enter__", lambda mode: (entered.append(1), real(mode))[1]
    )
    values = jacobian_singular_values(decode, torch.randn(3, 4))
    assert entered
    expected = torch.linalg.svdvals(weight.double()).expand(3, -1)
    assert torch.allclose(values, expected, rtol=1e-6, atol=0)
