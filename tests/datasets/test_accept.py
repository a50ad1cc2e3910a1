"""Everything that training takes as data, and what it makes of it."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from eae_core.data import ImageSet, MappedSet, Stream, as_source, load_images

PIXELS = torch.randint(256, (20, 3, 6, 4), generator=torch.Generator().manual_seed(0))
PIXELS = PIXELS.to(torch.uint8)


class Noisy(Dataset):
    """Items with a label, augmented by every generator that people use."""

    def __len__(self):
        return 20

    def __getitem__(self, index):
        shift = (torch.rand(()) + np.random.rand() + random.random()) / 3  # noqa: NPY002
        return (PIXELS[index] / 255 + shift) / 2, index


def epoch(source, *, order=None, seed=1, size=5):
    order = torch.arange(len(source)) if order is None else order
    return list(source.batches(order, size, seed=seed))


@pytest.mark.parametrize(
    "data",
    [
        PIXELS,
        PIXELS.permute(0, 2, 3, 1).numpy(),
        (PIXELS / 255).double(),
        PIXELS.permute(0, 2, 3, 1).numpy().astype(">u2") * 257,
        TensorDataset(PIXELS, torch.arange(20)),
        ImageSet("mine", "train", PIXELS),
        MappedSet("mine", "train", PIXELS.permute(0, 2, 3, 1).numpy(), np.arange(20), ""),
    ],
    ids=["uint8", "array", "float64", "16 bit", "TensorDataset", "ImageSet", "MappedSet"],
)
def test_the_same_pictures_in_every_form(data):
    source = as_source(data)
    assert (len(source), source.image_shape) == (20, (3, 6, 4))
    found = source.batch(torch.tensor([7, 2]))
    assert found.dtype == torch.float32
    assert torch.allclose(found, PIXELS[[7, 2]] / 255, atol=1e-7)


def test_arrays_are_data_where_nothing_reads_pictures():
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('PIL', 'tqdm', 'torchvision', 'sklearn'))\n"
        "import numpy, eae_core.data as data\n"
        "print(len(data.as_source(numpy.zeros((4, 3)))), 'mnist' in data.DATASETS)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "4 True\n"


def test_grey_pictures_masks_and_tables():
    assert as_source(PIXELS[:, 0]).image_shape == (1, 6, 4)
    assert as_source(np.eye(4)[None] > 0).batch(torch.tensor([0]))[0, 0].equal(torch.eye(4))
    table = as_source(np.arange(12).reshape(4, 3))
    assert table.image_shape == (3,)
    assert table.batch(torch.tensor([3])).tolist() == [[9.0, 10.0, 11.0]]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (torch.zeros(3), ValueError, r"got \(3,\)"),
        (torch.zeros(0, 1, 4, 4), ValueError, "got"),
        (torch.full((2, 1, 4, 4), 2.0), ValueError, r"must lie in \[0, 1\].* from 2 to 2"),
        (torch.full((2, 3), torch.nan), ValueError, "2 of 2 rows hold NaN"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.int64), TypeError, "uint8 .* got torch.int64"),
        (torch.zeros(2, 3, dtype=torch.complex64), TypeError, "real numbers"),
        (np.array([["a"]]), TypeError, "must be numbers"),
        (np.zeros((2, 3, 8, 8)), ValueError, "numpy.moveaxis"),
        ([], ValueError, "length 0"),
        (DataLoader([], batch_size=2), ValueError, "length 0"),
        ([torch.full((3,), torch.nan)], ValueError, "item 0 holds NaN"),
        (
            [torch.zeros(1, 4, 4), torch.zeros(1, 4, 5)],
            ValueError,
            r"item 1 has the shape \(1, 4, 5\), item 0 \(1, 4, 4\): bring all to one size",
        ),
        (
            DataLoader([torch.full((3,), torch.nan)]),
            ValueError,
            "batch of the DataLoader holds NaN",
        ),
        (3, TypeError, "got int; training takes"),
        ("mnist", TypeError, "load_images"),
        (iter([1]), TypeError, "load_images"),
    ],
)
def test_other_data_are_refused_with_the_reason(data, kind, message):
    with pytest.raises(kind, match=message):
        as_source(data)


def test_a_bad_item_that_was_not_looked_at_is_named_when_it_comes():
    items = [torch.zeros(1, 4, 4) for _ in range(200)]
    items[2], items[5] = torch.full((1, 4, 4), torch.inf), torch.zeros(1, 5, 4)
    stream = as_source(items)
    with pytest.raises(ValueError, match="item 2 holds NaN or infinity"):
        epoch(stream, order=torch.tensor([0, 2]), size=1)
    with pytest.raises(ValueError, match="item 5 has the shape"):
        epoch(stream, order=torch.tensor([0, 5]), size=1)


def test_an_item_whose_first_part_is_its_label_is_explained():
    with pytest.raises(ValueError, match="data must be images") as caught:
        as_source([(3, image) for image in PIXELS])
    assert caught.value.__notes__ == [
        "In item 0; where an item holds several things, the first counts"
    ]


def test_a_table_of_another_package_is_an_array():
    class Frame:
        """What pandas has, whose items are its columns."""

        def __len__(self):
            return 4

        def __getitem__(self, name):
            raise KeyError(name)

        def __array__(self, dtype=None, copy=None):
            return np.arange(12.0).reshape(4, 3)

    assert as_source(Frame()).batch(torch.tensor([1])).tolist() == [[3.0, 4.0, 5.0]]


def test_an_endless_dataset_is_refused():
    class Endless(IterableDataset):
        def __iter__(self):
            return iter(PIXELS)

    with pytest.raises(TypeError, match="with a length"):
        as_source(Endless())
    with pytest.raises(TypeError, match="how many data there are"):
        as_source(DataLoader(Endless(), batch_size=2))


@pytest.mark.parametrize("form", [TensorDataset, list, "arrays", "mappings"])
def test_items_of_a_dataset_come_in_the_order_asked_for(form):
    items = [(p, 0) for p in PIXELS]
    if form is list:
        items = list(PIXELS)
    elif form == "arrays":
        items = [(p.permute(1, 2, 0).numpy(), 0) for p in PIXELS]
    elif form == "mappings":
        items = [{"image": p, "label": 0} for p in PIXELS]
    source = as_source(items)
    assert isinstance(source, Stream)
    order = torch.randperm(20)
    for found, rows in zip(epoch(source, order=order), order.split(5), strict=True):
        assert torch.equal(found, PIXELS[rows].float() / 255)


def test_pictures_of_pillow_are_items():
    from PIL import Image

    source = as_source([Image.fromarray(p.permute(1, 2, 0).numpy()) for p in PIXELS])
    assert torch.equal(epoch(source)[0], PIXELS[:5].float() / 255)


def test_augmentation_follows_from_the_seed_whatever_the_workers():
    before = torch.get_rng_state()
    plain = as_source(Noisy())
    first = epoch(plain)
    assert torch.equal(torch.get_rng_state(), before)  # the model's draws are its own
    again, other = epoch(plain), epoch(plain, seed=2)
    workers = epoch(as_source(Noisy(), workers=2))
    rest = epoch(plain, order=torch.arange(10, 20))  # after an interruption
    for a, b, c in zip(first, again, workers, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.cat(first)[10:], torch.cat(rest))
    assert as_source(Noisy()).checksum == plain.checksum


def test_a_dataloader_keeps_its_order_and_can_be_taken_up_again():
    loader = DataLoader(TensorDataset(PIXELS, torch.arange(20)), batch_size=6, shuffle=True)
    source = as_source(loader)
    assert (len(source), source.batch_size, source.image_shape) == (18, 6, (3, 6, 4))
    first, again = epoch(source, size=6), epoch(source, size=6)
    assert [len(batch) for batch in first] == [6, 6, 6]
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(torch.cat(first), torch.cat(epoch(source, size=6, seed=2)))
    rest = epoch(source, order=torch.arange(12), size=6)
    assert torch.equal(torch.cat(rest), torch.cat(first[1:]))
    with pytest.raises(ValueError, match="makes batches of 6, the options say 5"):
        epoch(source)


def test_batches_of_unequal_size_are_refused():
    batches = [[0, 1, 2], [3], [4, 5, 6], [7, 8, 9]]
    loader = DataLoader(TensorDataset(PIXELS), batch_sampler=batches)
    with pytest.raises(ValueError, match="a batch of 1 after batches of 3"):
        epoch(as_source(loader), size=3)


def test_the_checksum_follows_the_content():
    other = PIXELS.clone()
    other[0, 0, 0, 0] ^= 1
    for form in (lambda x: x, list, lambda x: DataLoader(TensorDataset(x), batch_size=20)):
        assert as_source(form(PIXELS)).checksum == as_source(form(PIXELS)).checksum
        assert as_source(form(PIXELS)).checksum != as_source(form(other)).checksum
    images = ImageSet("mine", "train", PIXELS)
    assert images.checksum != ImageSet("mine", "train", other).checksum != ""
    assert as_source(list(PIXELS), checksum="mine 2").checksum == "mine 2"
    assert (
        as_source(load_images("digits", limit=9)).checksum
        == load_images("digits", limit=9).checksum
    )
