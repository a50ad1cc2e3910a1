"""Feature extractors: the classifier is trained once, and batches do not matter."""

import dataclasses

import pytest
import torch

from eae_core.data import load_images
from eae_core.evaluation import (
    classifier_features,
    extract_features,
    frechet_distance,
)
from eae_core.evaluation import features as module


@pytest.fixture
def digits():
    return load_images("digits", limit=200)


def test_the_classifier_is_trained_once(digits, tmp_path, monkeypatch):
    first = classifier_features(digits, epochs=1, root=tmp_path)
    assert [path.parent.name for path in tmp_path.rglob("*.safetensors")] == ["classifiers"]
    with monkeypatch.context() as patch:
        patch.delattr(module, "train_classifier")
        again = classifier_features(digits, epochs=1, root=tmp_path)
        with pytest.raises(NameError):  # another seed is another network
            classifier_features(digits, epochs=1, seed=1, root=tmp_path)
    assert again.checksum == first.checksum
    x = digits.batch(slice(0, 9))
    assert torch.equal(again.features(x), first.features(x))
    assert not again.net.training
    assert classifier_features(digits, epochs=1, seed=1, root=tmp_path).checksum != first.checksum


def test_other_images_or_labels_are_another_classifier(digits, tmp_path):
    first = classifier_features(digits, epochs=1, root=tmp_path)
    relabelled = dataclasses.replace(digits, labels=(digits.labels + 1) % 10)
    fewer = digits.subset(190)
    for other in (relabelled, fewer):
        assert classifier_features(other, epochs=1, root=tmp_path).checksum != first.checksum


def test_data_root_is_where_it_lies_by_default(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path))
    classifier_features(digits, epochs=1)
    assert len(list(tmp_path.glob("classifiers/digits-200-*.safetensors"))) == 1


def test_refuses_images_without_labels(digits, tmp_path):
    with pytest.raises(ValueError, match="no labels"):
        classifier_features(dataclasses.replace(digits, labels=None), root=tmp_path)


class Pixels:
    """An extractor of a reader's own: it needs no base class."""

    name = "pixels"
    checksum = "0"

    def features(self, x):
        return x.flatten(1)[:, ::64]


def test_features_of_batches_are_those_of_the_whole(digits, tmp_path):
    judge = classifier_features(digits, epochs=1, root=tmp_path)
    x = digits.batch(slice(0, 100))
    found = extract_features([judge, Pixels()], x.split(30))
    assert list(found) == ["FD-classifier", "pixels"]
    torch.testing.assert_close(found["FD-classifier"], judge.features(x), atol=1e-5, rtol=1e-4)
    assert torch.equal(found["pixels"], Pixels().features(x))
    assert frechet_distance(found["FD-classifier"], judge.features(x)) < 1e-6


def test_refuses_what_has_no_features():
    with pytest.raises(ValueError, match="different names"):
        extract_features([Pixels(), Pixels()], [])
    with pytest.raises(ValueError, match="no images"):
        extract_features([Pixels()], [])
    with pytest.raises(ValueError, match="diverged"):
        extract_features([Pixels()], [torch.full((2, 1, 32, 32), torch.nan)])


@pytest.mark.regress
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_learns_real_images(real_data, tmp_path, name):
    train, test = real_data(name, limit=5000), real_data(name, "test", limit=500)
    judge = classifier_features(train, root=tmp_path)
    # Chance is 0.1; a binomial share of 500 has a standard error below 0.0224.
    assert judge.net.accuracy(test) > 0.1 + 5 * 0.0224
    half = judge.features(test.batch(slice(0, 250)))
    other = judge.features(test.batch(slice(250, 500)))
    noise = judge.features(torch.rand(250, *test.image_shape))
    assert frechet_distance(noise, other) > 3 * frechet_distance(half, other)
