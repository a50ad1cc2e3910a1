"""Spectral normalisation against a singular value decomposition."""

import pytest
import torch
from torch import nn

from eae_core.models import build_model, spectrally_normalize

KINDS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def layers_of(model):
    return [layer for layer in model.modules() if isinstance(layer, KINDS)]


def norm(layer):
    """Largest singular value of the kernel, output channels by everything else."""
    weight = layer.weight.detach().double()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return torch.linalg.matrix_norm(weight.flatten(1), 2).item()


def test_every_layer_has_norm_1_after_some_steps(images):
    torch.manual_seed(0)
    model = build_model("rae_sn", (1, 32, 32), 4, width=4)
    x = images()
    with torch.no_grad():
        for _ in range(100):
            model(x)
    model.eval()
    assert len(layers_of(model)) == 9
    for layer in layers_of(model):
        assert norm(layer) == pytest.approx(1, abs=2e-3)
        original = layer.parametrizations.weight.original.detach()
        ratio = original / layer.weight.detach()
        torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio))  # only a factor


def test_evaluation_changes_nothing_and_training_goes_on(images):
    torch.manual_seed(0)
    model = build_model("rae_sn", (1, 32, 32), 4, width=2).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(images())
    assert all(torch.equal(before[n], value) for n, value in model.state_dict().items())
    model.train()(images())
    changed = {n for n, value in model.state_dict().items() if not torch.equal(before[n], value)}
    states = ("._u", "._v", "running_mean", "running_var", "num_batches_tracked")
    assert all(name.endswith(states) for name in changed)
    assert sum(name.endswith("._u") for name in changed) > 4  # some are there already


def test_half_precision_leaves_the_norm_exact():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 4), nn.Flatten(), nn.Linear(8, 5))
    spectrally_normalize(network)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(50):
            network(torch.rand(2, 3, 4, 4))
    network.eval()
    assert [norm(layer) for layer in layers_of(network)] == pytest.approx([1, 1], abs=1e-3)


def test_the_gradient_cannot_grow_the_weight():
    """Along the weight itself the normalised one does not change."""
    layer = nn.Linear(4, 4)
    spectrally_normalize(layer)
    for _ in range(100):
        _ = layer.weight
    (layer.weight * torch.ones(4, 4)).sum().backward()
    original = layer.parametrizations.weight.original
    assert (original.grad * original).sum().abs() < 1e-4
    assert original.grad.abs().max() > 0


def test_refuses_what_it_cannot_normalise():
    with pytest.raises(ValueError, match="no linear layer or convolution"):
        spectrally_normalize(nn.ReLU())
    layer = nn.Linear(2, 2)
    spectrally_normalize(layer)
    with pytest.raises(ValueError, match="already"):
        spectrally_normalize(layer)
