import hashlib
from pathlib import Path

import numpy as np
import pytest

from eae_core.data import (
    DataCorruptedError,
    DataUnavailableError,
    load_images,
    prepared,
    seal,
    verify,
)

SIZES = {"train": 7, "test": 4}


def write_arrays(folder: Path, shape=(28, 28, 1), *, labels=True, sizes=SIZES) -> dict:
    """Random arrays under the names of a prepared set, not yet sealed."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    arrays = {}
    for split, size in sizes.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (size, *shape), np.uint8)
        if labels:
            arrays[f"{split}_labels"] = rng.integers(0, 10, size, np.uint8)
    for key, array in arrays.items():
        np.save(folder / f"{key}.npy", array)
    return arrays


@pytest.fixture
def tiny_mnist(tmp_path):
    """A data folder with a sealed set of eleven images under the name of MNIST."""
    arrays = write_arrays(tmp_path / "mnist")
    seal("mnist", root=tmp_path)
    return tmp_path, arrays


def test_a_prepared_set_is_loaded_padded_and_named_by_its_checksum(tiny_mnist):
    root, arrays = tiny_mnist
    for split, size in SIZES.items():
        images = load_images("mnist", split, root=root)
        assert images.images.shape == (size, 1, 32, 32)
        expected = np.pad(arrays[f"{split}_images"][..., 0], ((0, 0), (2, 2), (2, 2)))
        np.testing.assert_array_equal(images.images[:, 0], expected)
        assert images.labels.tolist() == arrays[f"{split}_labels"].tolist()
        file = root / "mnist" / f"{split}_images.npy"
        assert images.checksum == hashlib.sha256(file.read_bytes()).hexdigest()
        assert images.stand_in == ""
        assert images.subset(2).checksum == load_images("mnist", split, limit=2, root=root).checksum
    with pytest.raises(ValueError, match="mnist test has 4 images"):
        load_images("mnist", "test", limit=5, root=root)


def test_loaded_images_are_a_copy(tiny_mnist):
    root, arrays = tiny_mnist
    load_images("mnist", root=root).images.zero_()
    assert load_images("mnist", root=root).images.sum() == arrays["train_images"].sum()


def test_a_set_without_labels(tmp_path):
    write_arrays(tmp_path / "celeba64", (64, 64, 3), labels=False)
    seal("celeba64", root=tmp_path)
    images = load_images("celeba64", "test", root=tmp_path)
    assert images.labels is None
    assert images.image_shape == (3, 64, 64)


def test_arrays_are_compared_once_and_again_on_request(tiny_mnist, monkeypatch):
    root, _ = tiny_mnist
    hashed = []
    original = prepared.file_sha256
    monkeypatch.setattr(
        prepared, "file_sha256", lambda path: hashed.append(path.stem) or original(path)
    )
    load_images("mnist", root=root)
    assert hashed == ["train_images", "train_labels"]
    load_images("mnist", limit=1, root=root)
    assert len(hashed) == 2
    checksums = verify("mnist", root=root)
    assert len(hashed) == 6
    assert checksums.keys() == {"train_images", "train_labels", "test_images", "test_labels"}


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_changed_array_is_named(tiny_mnist, seen_before):
    root, arrays = tiny_mnist
    if seen_before:
        load_images("mnist", root=root)
    np.save(root / "mnist" / "train_images.npy", 255 - arrays["train_images"])
    with pytest.raises(DataCorruptedError, match=r"train_images\.npy has changed.*remove the fold"):
        load_images("mnist", root=root)
    assert len(load_images("mnist", "test", root=root)) == 4  # the other split is untouched
    with pytest.raises(DataCorruptedError, match=r"train_images\.npy has changed"):
        verify("mnist", root=root)


def test_a_missing_array_is_named(tiny_mnist):
    root, _ = tiny_mnist
    (root / "mnist" / "test_labels.npy").unlink()
    with pytest.raises(DataCorruptedError, match=r"test_labels\.npy is missing"):
        load_images("mnist", "test", root=root)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"arrays": {"train_images": 3}}'])
def test_a_broken_description_is_named(tiny_mnist, text):
    root, _ = tiny_mnist
    (root / "mnist" / "meta.json").write_text(text)
    with pytest.raises(DataCorruptedError, match=r"meta\.json is no description"):
        load_images("mnist", root=root)


def test_a_description_without_the_split(tiny_mnist):
    root, _ = tiny_mnist
    (root / "mnist" / "meta.json").write_text('{"arrays": {}}')
    with pytest.raises(DataCorruptedError, match="lists no train_images"):
        load_images("mnist", root=root)


@pytest.mark.parametrize("shape", [(28, 28, 3), (32, 32, 1), (28, 28)])
def test_images_of_the_wrong_shape_are_refused(tmp_path, shape):
    write_arrays(tmp_path / "mnist", shape)
    seal("mnist", root=tmp_path)
    with pytest.raises(DataCorruptedError, match=r"mnist needs uint8 of the shape N x 28 x 28 x 1"):
        load_images("mnist", root=tmp_path)


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros(7, np.float32)])
def test_labels_of_the_wrong_form_are_refused(tmp_path, labels):
    write_arrays(tmp_path / "mnist")
    np.save(tmp_path / "mnist" / "train_labels.npy", labels)
    seal("mnist", root=tmp_path)
    with pytest.raises(DataCorruptedError, match="one integer for each of the 7 images"):
        load_images("mnist", root=tmp_path)


def test_a_set_under_the_name_of_another_is_noticed(tmp_path):
    write_arrays(tmp_path / "fashion_mnist")
    seal("fashion_mnist", root=tmp_path)
    (tmp_path / "fashion_mnist").rename(tmp_path / "mnist")
    for use in (load_images, verify):
        with pytest.raises(DataCorruptedError, match="holds the set 'fashion_mnist', not 'mnist'"):
            use("mnist", root=tmp_path)


def test_whole_sets_are_known_by_their_content(tmp_path):
    """Sealed by hand under MNIST's name, with as many images as MNIST has, and not MNIST."""
    (tmp_path / "mnist").mkdir()
    for split, count in (("train", 60_000), ("test", 10_000)):
        np.save(tmp_path / "mnist" / f"{split}_images.npy", np.zeros((count, 28, 28, 1), np.uint8))
    seal("mnist", root=tmp_path)
    for use in (load_images, verify):
        with pytest.raises(DataCorruptedError, match="holds other images than those of MNIST"):
            use("mnist", root=tmp_path)


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "mnist").write_text("hello")
    with pytest.raises(DataCorruptedError, match="mnist is a file where a folder should be"):
        load_images("mnist", root=tmp_path)


def test_sealing_needs_both_splits(tmp_path):
    write_arrays(tmp_path / "mnist", sizes={"train": 3})
    with pytest.raises(DataUnavailableError, match="lacks test_images"):
        seal("mnist", root=tmp_path)


def test_a_folder_is_filled_at_once_or_not_at_all(tmp_path):
    folder = tmp_path / "mnist"

    def interrupted():
        with prepared.filled_at_once(folder) as scratch:
            (scratch / "train_images.npy").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_filling_leaves_other_files_and_a_faster_process_alone(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with prepared.filled_at_once(folder) as scratch:
        (scratch / "meta.json").write_text("first")
    assert sorted(path.name for path in folder.iterdir()) == ["meta.json", "notes.txt"]
    with prepared.filled_at_once(folder) as scratch:
        (scratch / "meta.json").write_text("second")
    assert (folder / "meta.json").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["mnist"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OSError, match=r"cannot write .*file.*cache"),
        prepared.scratch_folder(tmp_path / "file" / "cache", "mnist"),
    ):
        pytest.fail("there is no such folder")


def test_what_was_compared_need_not_be_remembered(tiny_mnist):
    """Where the note cannot be written the set is still loaded."""
    root, _ = tiny_mnist
    (root / ".verified").write_text("a file where the folder should be")
    assert len(load_images("mnist", root=root)) == 7
    assert len(load_images("mnist", root=root)) == 7
