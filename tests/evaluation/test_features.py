"""The small classifier learns, repeats, and tells good samples from bad ones."""

import dataclasses

import pytest
import torch

from eae_core.data import load_images
from eae_core.evaluation import frechet_distance, train_classifier


@pytest.fixture(scope="module")
def net():
    return train_classifier(load_images("digits"), epochs=3)


def test_learns_the_digits(net):
    assert net.accuracy(load_images("digits", "test")) > 0.8  # chance is 0.1


def test_same_seed_same_net_and_the_global_generator_is_left_alone():
    digits = load_images("digits", limit=200)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    a = train_classifier(digits, epochs=1, seed=3)
    assert torch.equal(torch.rand(1), expected)
    b = train_classifier(digits, epochs=1, seed=3)
    x = digits.batch(torch.arange(10))
    assert torch.equal(a.features(x), b.features(x))


def test_distance_grows_with_noise(net):
    digits = load_images("digits")
    x = digits.batch(torch.arange(0, 1500, 2))
    reference = net.features(digits.batch(torch.arange(1, 1500, 2)))
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    distances = [
        frechet_distance(net.features(torch.lerp(x, noise, share)), reference)
        for share in (0.0, 0.2, 0.5, 1.0)
    ]
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[0]


def test_refuses():
    digits = load_images("digits", limit=20)
    with pytest.raises(ValueError, match="no labels"):
        train_classifier(dataclasses.replace(digits, labels=None))
    with pytest.raises(ValueError, match="32 x 32"):
        train_classifier(load_images("faces64", limit=20))
