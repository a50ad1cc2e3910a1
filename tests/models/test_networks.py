"""The networks have the papers' shapes and sizes."""

import pytest
import torch
from torch import nn

from eae_core.models.networks import ARCHITECTURES, build_networks

SHAPES = list(ARCHITECTURES)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("latent_dim", "width"), [(1, 1), (16, 4)])
def test_shapes_round_trip(shape, latent_dim, width):
    encoder, decoder = build_networks(shape, latent_dim, width=width)
    z = encoder(torch.rand(3, *shape))
    x = decoder(z)
    assert z.shape == (3, latent_dim)
    assert x.shape == (3, *shape)
    assert x.min() >= 0
    assert x.max() <= 1


def convolution_channels(network: nn.Module) -> list[tuple[int, int]]:
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    return [(m.in_channels, m.out_channels) for m in network.modules() if isinstance(m, kinds)]


def test_channels_of_the_papers():
    encoder, decoder = build_networks((3, 64, 64), 64)
    assert convolution_channels(encoder) == [(3, 128), (128, 256), (256, 512), (512, 1024)]
    assert convolution_channels(decoder) == [(1024, 512), (512, 256), (256, 128), (128, 3)]
    encoder, decoder = build_networks((3, 32, 32), 128)
    assert convolution_channels(encoder) == [(3, 128), (128, 256), (256, 512), (512, 1024)]
    assert convolution_channels(decoder) == [(1024, 512), (512, 256), (256, 3)]


def test_fewer_convolutions_leave_out_those_next_to_the_code():
    encoder, decoder = build_networks((3, 32, 32), 5, width=2, convolutions=2)
    assert convolution_channels(encoder) == [(3, 2), (2, 4)]
    assert convolution_channels(decoder) == [(8, 4), (4, 3)]
    assert decoder[1](decoder[0](torch.rand(1, 5))).shape == (1, 8, 16, 16)
    encoder, decoder = build_networks((3, 64, 64), 5, width=2, convolutions=1)
    assert convolution_channels(encoder) == [(3, 2)]
    assert convolution_channels(decoder) == [(2, 3)]
    for shape in SHAPES:
        for convolutions in (1, 2, 3, 4):
            encoder, decoder = build_networks(shape, 5, width=1, convolutions=convolutions)
            assert decoder(encoder(torch.rand(2, *shape))).shape == (2, *shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_all_convolutions_are_the_papers_networks(shape):
    published = build_networks(shape, 3, width=2)
    assert str(build_networks(shape, 3, width=2, convolutions=4)) == str(published)


@pytest.mark.parametrize("convolutions", [0, 5])
def test_refuses_convolutions_that_are_not_there(convolutions):
    with pytest.raises(ValueError, match=f"must be from 1 to 4, got {convolutions}"):
        build_networks((3, 32, 32), 2, width=1, convolutions=convolutions)


def test_every_strided_layer_is_normalised_and_rectified_but_the_stem_is_not():
    encoder, decoder = build_networks((1, 32, 32), 16, width=2)
    for network in (encoder, decoder):
        layers = list(network)
        for layer, after, then in zip(layers, layers[1:], layers[2:], strict=False):
            strided = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.stride == (2, 2)
            assert isinstance(after, nn.BatchNorm2d) == strided
            assert isinstance(then, nn.ReLU) == strided


def test_small_images_are_rescaled_and_faces_are_not():
    for shape in SHAPES:
        first = build_networks(shape, 2, width=1)[0][0]
        assert isinstance(first, nn.Conv2d) == (shape == (3, 64, 64))


@pytest.mark.parametrize("shape", [(1, 28, 28), (4, 32, 32), (1, 64, 64), (32, 32)])
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"there are \(1, 32, 32\), \(3, 32, 32\), \(3, 64, 64\)"):
        build_networks(shape, 16)


@pytest.mark.parametrize("size", [{"latent_dim": 0}, {"latent_dim": 4, "width": 0}])
def test_refuses_sizes_below_one(size):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        build_networks((1, 32, 32), **size)
