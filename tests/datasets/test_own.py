"""Own folders and arrays: what is loaded, how it is split, and what is said about it."""

import os
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

from eae_core.data import ImageSet, MappedSet, load_array, load_folder, open_data, own, pictures


def write_pictures(folder, count=20, *, mode="RGB", size=(12, 9)):
    """Pictures of one level each, so that every image says which file it came from."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", size, (10 * i,) * 3).convert(mode).save(folder / f"{i:02}.png")
    return folder


def saved(path, array):
    with path.open("wb") as file:  # a path would be given a suffix
        np.save(file, array)


def levels(images):
    return [int(x) // 10 for x in images.images.flatten(1)[:, 0]]


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_folder_is_split_once_and_for_all(tmp_path, root):
    data = open_data(write_pictures(tmp_path / "My photos"), size=(6, 8))
    train, test, everything = (data.images(split) for split in ("train", "test", "all"))
    assert data.name == train.name == "my-photos"
    assert (len(train), len(test), train.image_shape) == (18, 2, (3, 6, 8))
    assert sorted(levels(train) + levels(test)) == levels(everything) == list(range(20))
    assert levels(train) != sorted(levels(train))  # so that --limit takes no single class
    assert levels(data.images("train", 5)) == levels(train)[:5]
    assert data.notes == [
        "18 for train and 2 for test of 3 x 6 x 8, split drawn by their number, the same each time"
    ]
    again = open_data(tmp_path / "My photos", size=(6, 8)).images()
    assert again.checksum == train.checksum
    assert levels(open_data(tmp_path / "My photos", size=(6, 8), test_fraction=0.5).images("test"))


def test_pictures_are_decoded_once(tmp_path, root, monkeypatch):
    folder = write_pictures(tmp_path / "photos")
    read = []
    original = pictures.read_picture
    monkeypatch.setattr(
        pictures, "read_picture", lambda *words: read.append(words) or original(*words)
    )
    before = load_folder(folder, 8)
    assert len(read) == 20
    assert load_folder(folder, 8).checksum == before.checksum
    assert len(read) == 20
    load_folder(folder, 4)  # another size
    Image.new("RGB", (9, 9), "red").save(folder / "03.png")  # another picture
    assert load_folder(folder, 8).checksum != before.checksum
    assert len(read) == 60


def test_grey_pictures_stay_grey_until_one_has_colours(tmp_path, root):
    folder = write_pictures(tmp_path / "grey", mode="L")
    assert load_folder(folder, 4).image_shape == (1, 4, 4)
    Image.new("RGB", (9, 9), "red").save(folder / "99.png")
    assert load_folder(folder, 4).image_shape == (3, 4, 4)


def test_broken_files_are_counted_and_named(tmp_path, root):
    folder = write_pictures(tmp_path / "photos")
    (folder / "07.png").write_bytes(b"hello")
    (folder / "note.txt").write_text("hello")
    for _ in range(2):  # also when they are not decoded again
        data = open_data(folder, size=(4, 4))
        assert "left out, for they cannot be read: 1 of 20 pictures (07.png: " in data.notes[1]
        assert data.notes[2] == "passed over: 1 of other kinds (1 .txt)"
        assert levels(data.images("all")) == [i for i in range(20) if i != 7]
        assert "07.png" not in data.files
        with pytest.warns(UserWarning, match="left out, for they cannot be read: 1 of 20"):
            load_folder(folder, 4)
    for path in folder.glob("*.png"):
        path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="none of the 20 pictures"):
        open_data(folder, size=(4, 4))


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_that_leads_nowhere_is_a_broken_picture(tmp_path, root):
    folder = write_pictures(tmp_path / "photos")
    (folder / "99.png").symlink_to(tmp_path / "nothing.png")
    assert "1 of 21 pictures (99.png: No such file" in open_data(folder, size=(4, 4)).notes[1]
    (tmp_path / "nothing.png").write_bytes((folder / "00.png").read_bytes())
    assert len(open_data(folder, size=(4, 4)).notes) == 1  # it was looked for again


def test_a_folder_with_its_own_split_keeps_it(tmp_path, root):
    write_pictures(tmp_path / "set" / "train" / "cats", 5)
    write_pictures(tmp_path / "set" / "val", 3)
    write_pictures(tmp_path / "set" / "rest", 2)
    data = open_data(tmp_path / "set", size=(4, 4))
    assert sorted(levels(data.images("train"))) == [0, 1, 2, 3, 4]
    assert sorted(levels(data.images("test"))) == [0, 1, 2]
    assert "split by its folders" in data.notes[0]
    assert data.notes[1] == "left out, for they lie beside the folders train and test: 2 pictures"


def test_a_changed_cache_is_noticed(tmp_path, root):
    folder = write_pictures(tmp_path / "photos")
    load_folder(folder, 4)
    (path,) = root.glob("own/*/images.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"images\.npy has changed .* remove the folder"):
        load_folder(folder, 4)


def test_what_does_not_fit_is_mapped_and_the_same(tmp_path, root, monkeypatch):
    folder = write_pictures(tmp_path / "photos")
    values = np.random.default_rng(0).random((30, 5, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    whole = load_folder(folder, 8), load_array(tmp_path / "x.npy")
    monkeypatch.setattr(own, "RESIDENT_MOST", 100)
    mapped = load_folder(folder, 8), load_array(tmp_path / "x.npy")
    for a, b in zip(whole, mapped, strict=True):
        assert isinstance(a, ImageSet)
        assert isinstance(b, MappedSet)
        assert (len(a), a.image_shape) == (len(b), b.image_shape)
        index = torch.tensor([4, 0, 4])
        assert torch.equal(a.batch(index), b.batch(index))
        assert torch.equal(a.subset(3).batch(slice(None)), b.subset(3).batch(slice(None)))
        assert b.array.base is not None  # a map of the file, not its content
    again = load_array(tmp_path / "x.npy")
    assert again.checksum == mapped[1].checksum
    values[7, 0, 0] = 0.5
    np.save(tmp_path / "x.npy", values)
    assert load_array(tmp_path / "x.npy").checksum != again.checksum
    assert load_array(tmp_path / "x.npy", "test").content != load_array(tmp_path / "x.npy").content


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_images_and_tables(tmp_path, root, suffix):
    save = np.save if suffix == ".npy" else np.savez
    path = tmp_path / f"x{suffix}"
    for shape, image_shape in (((20, 4, 6), (1, 4, 6)), ((20, 4, 6, 3), (3, 4, 6))):
        save(path, np.arange(20).repeat(np.prod(shape[1:])).reshape(shape).astype(np.uint8))
        train, test = load_array(path), load_array(path, "test", test_fraction=0.25)
        assert (len(train), len(test), train.image_shape) == (18, 5, image_shape)
        assert sorted(load_array(path, "all").images.flatten(1)[:, 0].tolist()) == list(range(20))
    save(path, np.arange(40.0).reshape(20, 2))
    assert load_array(path).image_shape == (2,)
    assert load_array(path, "all").images[3].tolist() == [6.0, 7.0]


def test_one_array_of_several(tmp_path, root):
    np.savez(tmp_path / "x.npz", images=np.zeros((9, 4, 4)), labels=np.zeros(9))
    assert load_array(tmp_path / "x.npz").image_shape == (1, 4, 4)
    np.savez(tmp_path / "x.npz", a=np.zeros((9, 4, 4)), b=np.zeros(9))
    with pytest.raises(ValueError, match="holds a, b: keep one"):
        load_array(tmp_path / "x.npz")


def test_a_packed_folder_is_to_be_unpacked(tmp_path, root):
    with ZipFile(tmp_path / "photos.zip", "w") as packed:
        for number in range(50):
            packed.writestr(f"photos/{number}.png", b"")
    for options in ({}, {"size": (8, 8)}):
        with pytest.raises(ValueError, match=r"photos\.zip is neither .*: unpack what is packed"):
            open_data(tmp_path / "photos.zip", **options)


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (lambda p: None, {}, "no file or folder of this name"),
        (lambda p: p.mkdir(), {}, "need one size"),
        (lambda p: p.mkdir(), {"size": (8, 8)}, "holds no pictures"),
        (lambda p: write_pictures(p), {"size": (0, 8)}, "whole numbers from 1 to 8,192, got 0 x 8"),
        (lambda p: p.write_text("hello"), {}, "no array of numbers"),
        (lambda p: p.write_bytes(b""), {}, "no array of numbers"),
        (lambda p: saved(p, np.zeros((9, 2))), {"size": (8, 8)}, "have a size"),
        (lambda p: saved(p, np.zeros(9)), {}, r"has the shape \(9,\)"),
        (lambda p: saved(p, np.array([{}] * 9)), {}, "no array of numbers"),
        (lambda p: saved(p, np.zeros((9, 2))), {"test_fraction": 1.0}, "between 0"),
    ],
)
def test_impossible_data_are_refused(tmp_path, root, write, options, message):
    path = tmp_path / "data"
    write(path)
    with pytest.raises(ValueError, match=message):
        open_data(path, **options)


def test_images_that_are_none_are_refused_when_they_are_read(tmp_path, root, monkeypatch):
    values = np.zeros((20, 4, 4), np.float32)
    values[:, 0, 0] = 2
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        load_array(tmp_path / "x.npy")
    monkeypatch.setattr(own, "RESIDENT_MOST", 0)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        load_array(tmp_path / "x.npy").batch(slice(0, 4))


def test_names_of_the_catalogue(tmp_path, root):
    data = open_data("digits")
    assert (data.name, len(data.images("test")), data.notes) == ("digits", 297, [])
    assert len(data.images("train", 7)) == 7
    with pytest.raises(ValueError, match="has a size of its own"):
        open_data("digits", size=(32, 32))
    with pytest.raises(ValueError, match=r"did you mean 'digits'.*no file or folder"):
        open_data("digts")
