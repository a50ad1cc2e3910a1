"""Lee's networks: sizes by hand, first weights, and what normalises what."""

import math

import pytest
import torch
from torch import nn

from eae_book.gans.lee import lee_critic, lee_encoder, lee_generator


def count(network):
    return sum(p.numel() for p in network.parameters())


def by_hand(width, d):
    """Parameters of generator, of the trunk without its last layer, layer by layer."""
    units, channels = 16 * width, 2 * width
    flat = 7 * 7 * channels
    generator = [
        (d + 1) * units + 2 * units,  # dense, then scale and shift
        (units + 1) * flat + 2 * flat,
        channels * width * 16 + width + 2 * width,
        width * 16 + 1,
    ]
    trunk = [
        16 * width + width,
        width * channels * 16 + channels + 2 * channels,
        (flat + 1) * units + 2 * units,
    ]
    return sum(generator), sum(trunk)


@pytest.mark.parametrize(("width", "d"), [(64, 62), (3, 5)])
def test_parameters_are_those_counted_by_hand(width, d):
    generator, trunk = by_hand(width, d)
    units = 16 * width
    assert count(lee_generator(d, width=width)) == generator
    assert count(lee_critic(width=width)) == trunk + units + 1
    assert count(lee_critic(width=width, normalization="layer")) == trunk + units + 1
    assert count(lee_encoder(d, width=width)) == trunk + (units + 1) * 2 * d


def test_the_published_sizes():
    # 66,560 + 6,441,344 + 131,264 + 1,025 and 1,088 + 131,456 + 6,425,600 + 1,025
    assert count(lee_generator()) == 6_640_193
    assert count(lee_critic()) == 6_559_169


def test_sides_go_7_14_28_and_back():
    sides = []
    for network, x in (
        (lee_generator(4, width=2), torch.zeros(3, 4)),
        (lee_critic(width=2), torch.zeros(3, 1, 28, 28)),
    ):
        for layer in network:
            x = layer(x)
            if isinstance(layer, nn.Unflatten | nn.Conv2d | nn.ConvTranspose2d):
                sides.append(x.shape[2])
    assert sides == [7, 14, 28, 14, 7]


def test_images_lie_between_0_and_1_and_scores_do_not():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        generator, critic = lee_generator(4, width=2), lee_critic(width=2)
        x = generator(50 * torch.randn(8, 4))
    assert x.shape == (8, 1, 28, 28)
    assert 0 <= x.min() <= x.max() <= 1
    assert isinstance(generator[-1], nn.Sigmoid)
    critic[-1].bias.data.fill_(7.0)
    assert critic(x).min() > 1


def test_first_weights_have_their_deviation_and_biases_are_zero():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layers = [*lee_generator(width=32), *lee_critic(width=32)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            assert not layer.bias.any()
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.abs().max() <= 0.04
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d) and layer.weight.numel() > 10_000:
            sd = layer.weight.std().item()
            assert sd == pytest.approx(0.02, abs=4 * 0.02 / math.sqrt(2 * layer.weight.numel()))


def test_normalisation_is_lees():
    layers = [*lee_generator(width=2), *lee_critic(width=2), *lee_encoder(width=2)]
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 3 + 2 + 2
    assert {(norm.eps, norm.momentum, norm.affine) for norm in norms} == {(1e-5, 0.1, True)}
    slopes = {layer.negative_slope for layer in layers if isinstance(layer, nn.LeakyReLU)}
    assert slopes == {0.2}
    assert not isinstance(layers[11], nn.BatchNorm2d)  # no normalisation after the first layer


def test_layer_normalisation_treats_each_image_by_itself():
    x = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for kind, alone in (("layer", True), ("batch", False)):
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            critic = lee_critic(width=2, normalization=kind)
        same = torch.allclose(critic(x)[:3], critic(x[:3]), atol=1e-6)
        assert same is alone


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: lee_generator(0), "latent_dim must be at least 1, got 0"),
        (lambda: lee_encoder(0), "latent_dim must be at least 1"),
        (lambda: lee_generator(width=0), "width must be at least 1"),
        (lambda: lee_critic(width=-1), "width must be at least 1, got -1"),
    ],
)
def test_an_impossible_size_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
