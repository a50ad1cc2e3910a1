"""Features of real images: found again only for the same images, number and network."""

import dataclasses

import pytest
import torch

from eae_core.data import load_images
from eae_core.evaluation import FeatureStatistics, frechet_distance, reference_features
from eae_core.evaluation.fid import frechet_distance_of_statistics


class Pixels:
    """64 pixels of an image; counts how many images it has seen."""

    name = "FD-pixels"

    def __init__(self, checksum="a"):
        self.checksum = checksum
        self.seen = 0

    def features(self, x):
        self.seen += len(x)
        return x.flatten(1)[:, 8::16]


@pytest.fixture
def test_images():
    return load_images("digits", "test", limit=100)


def test_features_and_moments(test_images, tmp_path):
    found = reference_features(Pixels(), test_images, batch_size=30, root=tmp_path)
    expected = Pixels().features(test_images.batch(slice(None)))
    assert torch.equal(found.features, expected)
    assert found.statistics.n == 100
    statistics = FeatureStatistics.of(expected)
    assert torch.equal(found.statistics.mean, statistics.mean)
    assert torch.equal(found.statistics.covariance, statistics.covariance)
    other = torch.rand(50, 64)
    assert found.distance(other) == frechet_distance(other, expected)
    assert found.distance(other) == frechet_distance_of_statistics(
        FeatureStatistics.of(other), statistics
    )


def test_computed_once(test_images, tmp_path):
    first, again = Pixels(), Pixels()
    a = reference_features(first, test_images, root=tmp_path)
    b = reference_features(again, test_images, root=tmp_path)
    assert (first.seen, again.seen) == (100, 0)
    assert torch.equal(a.features, b.features)
    assert torch.equal(a.statistics.covariance, b.statistics.covariance)


def test_anything_else_is_computed_anew(test_images, tmp_path):
    reference_features(Pixels(), test_images, root=tmp_path)
    moved = test_images.images.clone()
    moved[0, 0, 16, 16] ^= 1  # one bit of one pixel, under the old checksum
    for judge, images in (
        (Pixels("b"), test_images),
        (Pixels(), test_images.subset(99)),
        (Pixels(), dataclasses.replace(test_images, images=moved)),
        (Pixels(), dataclasses.replace(test_images, images=test_images.images.flip(0))),
    ):
        found = reference_features(judge, images, root=tmp_path)
        assert judge.seen == len(images)
        assert torch.equal(found.features, Pixels().features(images.batch(slice(None))))


def test_a_damaged_file_is_made_anew(test_images, tmp_path):
    expected = reference_features(Pixels(), test_images, root=tmp_path)
    (file,) = tmp_path.glob("features/*.safetensors")
    file.write_bytes(file.read_bytes()[:5000])
    judge = Pixels()
    found = reference_features(judge, test_images, root=tmp_path)
    assert judge.seen == 100
    assert torch.equal(found.features, expected.features)


def test_a_bar_on_request(test_images, tmp_path, capsys):
    reference_features(Pixels(), test_images, root=tmp_path / "quiet")
    assert capsys.readouterr().err == ""
    reference_features(Pixels(), test_images, root=tmp_path, progress=True)
    assert "FD-pixels of digits test" in capsys.readouterr().err


def test_refuses_other_features(test_images, tmp_path):
    found = reference_features(Pixels(), test_images, root=tmp_path)
    with pytest.raises(ValueError, match="dimensions"):
        found.distance(torch.rand(50, 3))
