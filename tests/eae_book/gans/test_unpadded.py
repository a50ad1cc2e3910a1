"""28 x 28 images of both splits."""

import pytest
import torch
from torch.nn import functional as F

from eae_book.gans.unpadded import unpadded_images
from eae_core.data import load_images


def test_padding_them_again_gives_the_padded_set_in_its_order():
    images = unpadded_images("digits")
    whole = [load_images("digits", split) for split in ("train", "test")]
    assert images.image_shape == (1, 28, 28)
    assert torch.equal(F.pad(images.images, (2,) * 4), torch.cat([part.images for part in whole]))
    assert torch.equal(images.labels, torch.cat([part.labels for part in whole]))
    assert images.stand_in == whole[0].stand_in


def test_classes_are_chosen_before_the_limit():
    images = unpadded_images("digits", classes=[3, 1], limit=40)
    everything = unpadded_images("digits")
    wanted = everything.images[(everything.labels == 1) | (everything.labels == 3)]
    assert torch.equal(images.images, wanted[:40])
    assert set(images.labels.tolist()) == {1, 3}


def test_what_is_chosen_has_a_checksum_of_its_own():
    sets = [{}, {"limit": 100}, {"classes": [0]}, {"classes": [0, 1]}, {"classes": list(range(10))}]
    sums = [unpadded_images("digits", **chosen).checksum for chosen in sets]
    assert sums[0] == sums[-1]
    assert len(set(sums)) == len(sums) - 1


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"classes": [0, 10]}, "digits has no class 10; there are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"classes": []}, "no class is chosen"),
        ({"limit": 0}, "limit must be a whole number of at least 1"),
        ({"limit": 1798}, "has 1797 images, fewer than the limit of 1798"),
        ({"classes": [0], "limit": 1000}, "has 178 images"),
    ],
)
def test_an_impossible_choice_is_named(chosen, message):
    with pytest.raises(ValueError, match=message):
        unpadded_images("digits", **chosen)


def test_coloured_images_are_refused():
    with pytest.raises(ValueError, match=r"shapes32 has images of shape \(3, 32, 32\); grey ones"):
        unpadded_images("shapes32")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_papers_set_has_seventy_thousand_images(real_data, name):
    padded = real_data(name, "test", limit=5)
    images = unpadded_images(name)
    assert len(images) == 70_000
    assert torch.equal(F.pad(images.images[60_000:60_005], (2,) * 4), padded.images)
    assert len(images.labels.unique()) == 10
