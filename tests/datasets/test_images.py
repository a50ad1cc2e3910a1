from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

import eae_core
from eae_core.data import (
    DATASETS,
    DataUnavailableError,
    ImageSet,
    data_root,
    dataset_info,
    load_images,
    prepare,
)

NAMES = ["digits", "mnist", "fashion_mnist", "cifar10", "celeba64"]
EMBEDDED = [name for name in NAMES if dataset_info(name).embedded]


def test_names_and_image_shapes():
    # Others may have been registered, by the book.
    shapes = {name: dataset_info(name).image_shape for name in NAMES}
    assert shapes == {
        "digits": (1, 32, 32),
        "mnist": (1, 32, 32),
        "fashion_mnist": (1, 32, 32),
        "cifar10": (3, 32, 32),
        "celeba64": (3, 64, 64),
    }
    assert EMBEDDED == ["digits"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_sets_need_no_files(name, tmp_path):
    images = load_images(name, limit=40, root=tmp_path / "absent", download=False)
    assert len(images) == 40
    assert images.image_shape == dataset_info(name).image_shape
    assert images.images.dtype == torch.uint8
    assert images.labels.dtype == torch.int64
    assert "in place of" in images.stand_in
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_limit_takes_the_beginning(name):
    long, short = load_images(name, "test", limit=60), load_images(name, "test", limit=25)
    assert torch.equal(long.images[:25], short.images)
    assert torch.equal(long.labels[:25], short.labels)
    assert long.subset(25).checksum == short.checksum != long.checksum


@pytest.mark.parametrize("name", EMBEDDED)
def test_train_and_test_are_different_images(name):
    train, test = (load_images(name, split, limit=50) for split in ("train", "test"))
    distances = torch.cdist(train.batch(slice(None)).flatten(1), test.batch(slice(None)).flatten(1))
    assert distances.min() > 0.5


def test_digits_are_those_of_scikit_learn_enlarged():
    source = load_digits()
    splits = [load_images("digits", split) for split in ("train", "test")]
    assert [len(images) for images in splits] == [1500, 297]
    images = torch.cat([split.images for split in splits])
    assert torch.cat([split.labels for split in splits]).tolist() == source.target.tolist()
    small = torch.from_numpy(source.images)[:, None] / 16 * 255
    large = torch.nn.functional.interpolate(small, scale_factor=3, mode="bilinear")
    # Rounding to whole levels moves a value by at most one half.
    assert (images[:, :, 4:-4, 4:-4] - large).abs().max() <= 0.5 + 1e-9
    images[:, :, 4:-4, 4:-4] = 0
    assert images.max() == 0  # the frame


def test_a_batch_is_float_between_zero_and_one():
    images = load_images("digits", limit=30)
    index = torch.tensor([3, 29, 3])
    batch = images.batch(index)
    assert batch.dtype == torch.float32
    assert batch.shape == (3, 1, 32, 32)
    assert torch.equal(batch * 255, images.images[index].float())
    assert batch.max() == 1.0
    assert torch.equal(images.batch([3, 29, 3]), batch)
    assert torch.equal(images.batch(slice(3, 5)), images.batch(torch.tensor([3, 4])))


def test_moving_a_set_keeps_it():
    images = load_images("digits", limit=10)
    moved = images.to("cpu")
    assert torch.equal(moved.images, images.images)
    assert moved.checksum == images.checksum
    assert load_images("digits", limit=10, device="meta").images.device.type == "meta"


def test_a_set_prints_without_its_pixels():
    assert len(repr(load_images("digits", limit=10))) < 300


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4).double(), None, "must be uint8 or float32"),
        (torch.zeros(2, 4, dtype=torch.uint8), None, "a float32 table n x features"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), None, r"got torch.uint8 of \(2, 4, 4\)"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3), "2 images need as many"),
    ],
)
def test_an_image_set_checks_what_it_is_given(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ImageSet("mine", "train", images, labels)


def test_the_checksum_of_an_own_set_follows_its_subset():
    images = ImageSet("mine", "train", torch.arange(64, dtype=torch.uint8).reshape(4, 1, 4, 4))
    assert images.subset(2).checksum != images.subset(3).checksum


@pytest.mark.parametrize(
    ("name", "near"), [("minst", "mnist"), ("CIFAR10", "cifar10"), ("celeba", "celeba64")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name, near):
    with pytest.raises(ValueError, match=f"did you mean '{near}'") as error:
        load_images(name)
    assert all(known in str(error.value) for known in DATASETS)


def test_impossible_splits_and_limits():
    with pytest.raises(ValueError, match="no split 'valid' of digits; there are train and test"):
        load_images("digits", "valid")
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1, got 0"):
        load_images("digits", limit=0)
    with pytest.raises(ValueError, match="digits test has 297 images, fewer than the limit of 298"):
        load_images("digits", "test", limit=298)
    with pytest.raises(ValueError, match="this set of digits has 5 images"):
        load_images("digits", limit=5).subset(6)


def test_preparing_an_embedded_set_is_nothing(tmp_path):
    assert prepare("digits", root=tmp_path) == tmp_path / "digits"
    assert not list(tmp_path.iterdir())


def test_where_data_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("EAE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EAE_DATA", "sets")
    assert data_root() == tmp_path / "sets"
    monkeypatch.setenv("EAE_DATA", "~no_such_user/sets")
    with pytest.raises(DataUnavailableError, match="EAE_DATA is '~no_such_user/sets'"):
        data_root()
    monkeypatch.delenv("EAE_DATA")
    above = Path(eae_core.__file__).parent.parent
    assert (data_root() == above / "data" / "cache") == (above / "pyproject.toml").is_file()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EMBEDDED])
def test_real_sets_are_whole(name, real_data):
    info = dataset_info(name)
    for split in ("train", "test"):
        images = real_data(name, split, limit=1_000)
        assert images.image_shape == info.image_shape
        assert images.images.max() == 255
        if images.labels is not None:
            assert images.labels.unique().tolist() == list(range(10))


def test_mnist_is_mnist(real_data):
    images = real_data("mnist")
    assert len(images) == 60_000
    assert images.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    inner = images.images[:, :, 2:-2, 2:-2]
    assert inner.double().mean().item() / 255 == pytest.approx(0.1307, abs=5e-5)
