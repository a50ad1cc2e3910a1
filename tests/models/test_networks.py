"""The networks have the papers' shapes and sizes."""

import pytest
import torch
from torch import nn

from eae_core.models.networks import build_networks

SHAPES = [(1, 32, 32), (3, 32, 32), (3, 64, 64)]  # of the papers


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


OTHERS = [(1, 40, 56), (3, 96, 96), (1, 128, 128), (3, 256, 256), (1, 28, 28), (4, 32, 32),
          (1, 64, 64), (3, 45, 33), (2, 4, 4), (1, 5, 70), (3, 64, 48)]  # fmt: skip


@pytest.mark.parametrize("shape", OTHERS)
def test_any_other_shape_round_trips_too(shape):
    encoder, decoder = build_networks(shape, 3, width=2)
    assert encoder(torch.rand(2, *shape)).shape == (2, 3)
    x = decoder(torch.randn(2, 3))
    assert x.shape == (2, *shape)
    assert isinstance(decoder[-1], nn.Sigmoid)  # as models look for it
    for convolutions in range(1, len(convolution_channels(encoder)) + 1):
        cut = build_networks(shape, 3, width=1, convolutions=convolutions)
        assert cut[1](cut[0](torch.rand(2, *shape))).shape == (2, *shape)


@pytest.mark.parametrize(
    ("shape", "halvings", "map_before", "stem"),
    [
        ((1, 40, 56), 4, (2, 3), (10, 14)),
        ((3, 96, 96), 5, (3, 3), (6, 6)),
        ((3, 128, 128), 5, (4, 4), (8, 8)),
        ((3, 256, 256), 6, (4, 4), (8, 8)),
        ((1, 28, 28), 4, (1, 1), (7, 7)),
    ],
)
def test_depth_follows_the_smaller_side(shape, halvings, map_before, stem):
    encoder, decoder = build_networks(shape, 3, width=1)
    assert len(convolution_channels(encoder)) == halvings
    flat = next(i for i, layer in enumerate(encoder) if isinstance(layer, nn.Flatten))
    assert encoder[:flat](torch.rand(2, *shape)).shape[2:] == map_before
    assert decoder[:2](torch.randn(2, 3)).shape[2:] == stem
    assert max(out for _, out in convolution_channels(encoder)) == 8


def test_the_middle_of_a_larger_map_is_the_image():
    _, decoder = build_networks((1, 45, 33), 2, width=1)
    middle = decoder[-2]
    larger = decoder[:-2](torch.randn(1, 2))
    assert larger.shape[2:] == (48, 36)
    assert torch.equal(middle(larger), larger[..., 1:46, 1:34])


def test_where_the_papers_have_networks_no_number_is_new():
    """Images of a seed's first weights, summed, as they were before there were other shapes."""
    recorded = {
        (1, 32, 32): 1017.2419050037861,
        (3, 32, 32): 2914.7193619310856,
        (3, 64, 64): 11675.590299516916,
    }
    for shape, expected in recorded.items():
        torch.manual_seed(0)
        encoder, decoder = build_networks(shape, 4, width=2)
        x = torch.linspace(0, 1, 2 * int(torch.tensor(shape).prod())).reshape(2, *shape)
        found = decoder.eval()(encoder.eval()(x)).double().sum().item()
        assert found == pytest.approx(expected, rel=1e-5)  # kernels differ in the last digits


@pytest.mark.parametrize("shape", [(1, 3, 28), (0, 32, 32), (32, 32), (3, 32, 32, 1)])
def test_refuses_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match="sides of at least 4; build_dense_model takes any"):
        build_networks(shape, 16)


@pytest.mark.parametrize("size", [{"latent_dim": 0}, {"latent_dim": 4, "width": 0}])
def test_refuses_sizes_below_one(size):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        build_networks((1, 32, 32), **size)
