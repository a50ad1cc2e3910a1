"""A classifier lent to other images."""

import pytest
import torch

from eae_book.borrowed import borrowed_features
from eae_core.data import load_images
from eae_core.evaluation import classifier_features


def test_a_borrowed_classifier_sees_images_shrunk(tmp_path):
    shapes, faces = load_images("shapes32", limit=200), load_images("faces64", limit=6)
    judge = borrowed_features(shapes, epochs=1, root=tmp_path)
    own = classifier_features(shapes, epochs=1, root=tmp_path)
    assert judge.name == "FD-shapes32"
    assert judge.checksum != own.checksum  # not the same features: they are fed in another way
    x = shapes.batch(slice(0, 9))
    torch.testing.assert_close(judge.features(x), own.features(x))  # of their own size: untouched
    flat = torch.full((1, 3, 64, 64), 0.25)
    torch.testing.assert_close(judge.features(flat), own.features(flat[..., :32, :32]))
    y = faces.batch(slice(None))
    checkers = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(32, 32) * 0.05
    change = (judge.features(y + checkers) - judge.features(y)).norm()
    assert change < 0.1 * (judge.features(y) - judge.features(y.flip(0))).norm()
    with pytest.raises(ValueError, match=r"n x 3 x h x w, got shape \(1, 1, 8, 8\)"):
        judge.features(torch.zeros(1, 1, 8, 8))
