import contextlib
import dataclasses
import gzip
import hashlib
import io
import pickle
import sys
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eae_core.data import (
    DataCorruptedError,
    DataUnavailableError,
    dataset_info,
    load_images,
    sources,
)
from eae_core.data.sources import prepare_folder
from eae_core.torchvision_compat import import_torchvision

TINY = {"train": 5, "test": 3}


def tiny(name):
    """The data set of this name, as if it had five and three images."""
    return dataclasses.replace(dataset_info(name), **TINY, content={})


def idx(array: np.ndarray) -> bytes:
    """The file format of MNIST: two zeros, type, dimensions, sizes, bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def mnist_files(folder: Path, *, packed: bool) -> dict[str, np.ndarray]:
    """Random images in MNIST's four files."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    arrays = {}
    for split, part in (("train", "train"), ("test", "t10k")):
        arrays[f"{split}_images"] = rng.integers(0, 256, (TINY[split], 28, 28), np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 10, TINY[split], np.uint8)
        for key, kind in (("images", "images-idx3-ubyte"), ("labels", "labels-idx1-ubyte")):
            content = idx(arrays[f"{split}_{key}"])
            if packed:
                (folder / f"{part}-{kind}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / f"{part}-{kind}").write_bytes(content)
    return arrays


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def expect(monkeypatch, folder: Path) -> None:
    """Let torchvision expect the checksums of the packed files in `folder`."""
    resources = [(path.name, md5(path)) for path in sorted(folder.glob("*.gz"))]
    monkeypatch.setattr(import_torchvision("datasets").MNIST, "resources", resources)


def assert_mnist(root: Path, arrays: dict[str, np.ndarray]) -> None:
    """The prepared set holds these arrays, and nothing half-made lies around."""
    for split, size in TINY.items():
        images = load_images("mnist", split, root=root, download=False)
        assert len(images) == size
        inner = images.images[:, 0, 2:-2, 2:-2].numpy()
        np.testing.assert_array_equal(inner, arrays[f"{split}_images"])
        assert images.labels.tolist() == arrays[f"{split}_labels"].tolist()
    assert not list(root.rglob("*.part"))


@contextlib.contextmanager
def served(folder: Path):
    """The folder on a web server of its own; gives its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(sources, "_probe", lambda address: f"{address}: no route to host")


def test_mnist_from_torchvision_s_unpacked_files(tmp_path, no_network):
    arrays = mnist_files(tmp_path / "torchvision" / "MNIST" / "raw", packed=False)
    prepare_folder(tiny("mnist"), tmp_path, download=False)
    assert_mnist(tmp_path, arrays)


def test_mnist_from_packed_files_needs_no_network(tmp_path, monkeypatch, no_network):
    raw = tmp_path / "torchvision" / "MNIST" / "raw"
    arrays = mnist_files(raw, packed=True)
    expect(monkeypatch, raw)
    prepare_folder(tiny("mnist"), tmp_path, download=False)
    assert_mnist(tmp_path, arrays)


def test_mnist_is_downloaded_and_what_is_there_is_kept(tmp_path, monkeypatch):
    site = tmp_path / "site"
    arrays = mnist_files(site, packed=True)
    expect(monkeypatch, site)
    raw = tmp_path / "cache" / "torchvision" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    kept = "train-images-idx3-ubyte.gz"  # no longer to be had: must come from the folder
    (site / kept).rename(raw / kept)
    with served(site) as address:
        monkeypatch.setattr(import_torchvision("datasets").MNIST, "mirrors", [address])
        prepare_folder(tiny("mnist"), tmp_path / "cache", download=True)
    assert_mnist(tmp_path / "cache", arrays)


def test_a_download_that_fails_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch):
    site = tmp_path / "site"
    mnist_files(site, packed=True)
    expect(monkeypatch, site)
    (site / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not what was expected")
    root = tmp_path / "cache"
    with served(site) as address:
        monkeypatch.setattr(import_torchvision("datasets").MNIST, "mirrors", [address])
        with pytest.raises(
            DataUnavailableError, match=r"MNIST is not in .* could not be down"
        ) as error:
            prepare_folder(tiny("mnist"), root, download=True)
    assert "EAE_DATA" in str(error.value)
    assert not list(root.iterdir())


@pytest.mark.parametrize("packed", [True, False])
def test_another_set_in_the_place_of_the_raw_files_is_noticed(tmp_path, monkeypatch, packed):
    """Whole, of the right form and number, and yet not MNIST."""
    raw = tmp_path / "torchvision" / "MNIST" / "raw"
    mnist_files(raw, packed=packed)
    expect(monkeypatch, raw)
    known = dict.fromkeys(TINY, "0" * 64)
    with pytest.raises(DataCorruptedError, match=r"are not those of MNIST.*remove them"):
        prepare_folder(dataclasses.replace(tiny("mnist"), content=known), tmp_path, download=False)
    assert not (tmp_path / "mnist").exists()


@pytest.mark.parametrize("download", [True, False])
def test_a_page_in_the_place_of_an_archive_is_named(tmp_path, download, no_network):
    archive = tmp_path / "torchvision" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    archive.write_text("<!doctype html><title>Quota exceeded</title>")
    with pytest.raises(DataCorruptedError) as error:
        load_images("cifar10", root=tmp_path, download=download)
    for part in (str(archive), md5(archive), "c58f30108f718f92721af3b95e74349a", "<!doctype html>"):
        assert part in str(error.value)
    assert archive.exists()


def test_a_download_without_end_is_cut(tmp_path, monkeypatch):
    site = tmp_path / "site"
    mnist_files(site, packed=True)
    expect(monkeypatch, site)
    monkeypatch.setattr(sources, "LARGEST_DOWNLOAD", 100)
    with served(site) as address:
        monkeypatch.setattr(import_torchvision("datasets").MNIST, "mirrors", [address])
        with pytest.raises(DataUnavailableError, match="sends more than 100 bytes"):
            prepare_folder(tiny("mnist"), tmp_path / "cache", download=True)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("absolute", [False, True])
def test_members_that_lead_out_of_an_archive_are_refused(
    tmp_path, monkeypatch, no_network, absolute
):
    source = import_torchvision("datasets").CIFAR10
    archive = tmp_path / "cache" / "torchvision" / source.filename
    archive.parent.mkdir(parents=True)
    (tmp_path / "x").write_text("evil")
    with tarfile.open(archive, "w:gz") as tar:
        member = tar.gettarinfo(tmp_path / "x")
        member.name = str(tmp_path / "outside.txt") if absolute else "../outside.txt"
        tar.addfile(member, io.BytesIO(b"evil"))
    monkeypatch.setattr(source, "tgz_md5", md5(archive))
    with pytest.raises((DataUnavailableError, DataCorruptedError), match="CIFAR-10"):
        prepare_folder(tiny("cifar10"), tmp_path / "cache", download=False)
    assert not (tmp_path / "outside.txt").exists()  # where an absolute name leads
    assert not (tmp_path / "cache" / "outside.txt").exists()  # where two dots lead


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_absent_without_a_network_says_what_to_put_where(name, tmp_path, no_network):
    with pytest.raises(DataUnavailableError) as error:
        load_images(name, root=tmp_path)
    message = str(error.value)
    info = dataset_info(name)
    first = {"cifar10": "cifar-10-python.tar.gz"}.get(
        name, f"{info.source}/raw/train-images-idx3-ubyte.gz"
    )
    for part in (
        f"{info.title} is not in {tmp_path / name}",
        "no route to host",
        f"{tmp_path / name}/{{train,test}}_images.npy",
        " x ".join(map(str, info.stored_shape)),
        str(tmp_path / "torchvision" / first),
        "data/README.md",
        "EAE_DATA",
        "always work: digits",
    ):
        assert part in message
    assert not list(tmp_path.iterdir())


def test_a_download_can_be_switched_off(tmp_path):
    with pytest.raises(DataUnavailableError, match="downloading was switched off"):
        load_images("cifar10", root=tmp_path / "absent", download=False)
    assert not (tmp_path / "absent").exists()


def test_celeba_needs_gdown_to_be_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_probe", lambda address: "")
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(DataUnavailableError, match="pip install gdown"):
        load_images("celeba64", root=tmp_path)


def test_a_network_that_is_not_there_is_noticed_at_once():
    started = time.perf_counter()
    # A port of this machine that nobody listens to, and a name that cannot exist (RFC 6761).
    assert "127.0.0.1" in sources._probe("http://127.0.0.1:9/")
    assert sources._probe("http://no-such-host.invalid/")
    assert time.perf_counter() - started < 2 * sources.PROBE_SECONDS + 1


def test_a_host_that_refuses_is_a_host_that_answers(tmp_path):
    with served(tmp_path) as address:
        assert sources._probe(address) == ""
        assert sources._probe(address + "nothing/here") == ""  # 404


def test_arrays_without_a_description_are_not_touched(tmp_path, no_network):
    folder = tmp_path / "mnist"
    folder.mkdir()
    np.save(folder / "train_images.npy", np.zeros((2, 28, 28, 1), np.uint8))
    with pytest.raises(DataUnavailableError, match=r"no meta\.json.*eae_core\.data\.seal\('mnist'"):
        load_images("mnist", root=tmp_path)
    assert [path.name for path in folder.iterdir()] == ["train_images.npy"]


def test_raw_files_with_too_few_images(tmp_path):
    mnist_files(tmp_path / "torchvision" / "MNIST" / "raw", packed=False)
    with pytest.raises(DataCorruptedError, match="hold 5 train images instead of 60000"):
        prepare_folder(dataset_info("mnist"), tmp_path, download=False)
    assert not (tmp_path / "mnist").exists()


def test_raw_files_cut_short(tmp_path):
    raw = tmp_path / "torchvision" / "MNIST" / "raw"
    mnist_files(raw, packed=False)
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataCorruptedError, match=r"raw files of MNIST in .* cannot be read"):
        prepare_folder(tiny("mnist"), tmp_path, download=False)


def test_cifar10_from_its_archive(tmp_path, monkeypatch, no_network):
    source = import_torchvision("datasets").CIFAR10
    build = tmp_path / "build" / source.base_folder
    build.mkdir(parents=True)
    rng = np.random.default_rng(2)
    images, contents = {}, {"batches.meta": {"label_names": list("abcdefghij")}}
    for split, file in (("train", "data_batch_1"), ("test", "test_batch")):
        planes = rng.integers(0, 256, (TINY[split], 3, 32, 32), np.uint8)
        images[split] = planes
        contents[file] = {"data": planes.reshape(len(planes), -1), "labels": [7] * len(planes)}
    for file, content in contents.items():
        (build / file).write_bytes(pickle.dumps(content))
    archive = tmp_path / "torchvision" / source.filename
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(build, arcname=source.base_folder)
    monkeypatch.setattr(source, "tgz_md5", md5(archive))
    train_list = [["data_batch_1", md5(build / "data_batch_1")]]
    monkeypatch.setattr(source, "train_list", train_list)
    monkeypatch.setattr(source, "test_list", [["test_batch", md5(build / "test_batch")]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": md5(build / "batches.meta")}
    monkeypatch.setattr(source, "meta", meta)

    prepare_folder(tiny("cifar10"), tmp_path, download=False)
    for split in TINY:
        loaded = load_images("cifar10", split, root=tmp_path, download=False)
        np.testing.assert_array_equal(loaded.images, images[split])
        assert set(loaded.labels.tolist()) == {7}


def celeba_files(folder: Path) -> list[tuple[str, str, str]]:
    """Nine pictures, white in the middle 140 x 140 and black around; torchvision's file list."""
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True)
    names = [f"{i:06}.jpg" for i in range(1, 10)]
    picture = np.zeros((218, 178, 3), np.uint8)
    picture[39:179, 19:159] = 255
    for name in names:
        Image.fromarray(picture).save(pictures / name, quality=95)
    splits = [0] * TINY["train"] + [1] + [2] * TINY["test"]  # train, validation, test
    tables = {
        "list_eval_partition.txt": [f"{n} {s}" for n, s in zip(names, splits, strict=True)],
        "identity_CelebA.txt": [f"{name} 1" for name in names],
    }
    for kind, columns in (("attr", 40), ("bbox", 4), ("landmarks_align", 10)):
        header = [str(len(names)), " ".join(["column"] * columns)]
        tables[f"list_{kind}_celeba.txt"] = header + [n + " 1" * columns for n in names]
    for file, lines in tables.items():
        (folder / file).write_text("\n".join(lines) + "\n")
    return [("", md5(folder / file), file) for file in tables]


def test_celeba_is_cropped_to_140_and_shrunk_to_64(tmp_path, monkeypatch, no_network):
    source = import_torchvision("datasets").CelebA
    files = celeba_files(tmp_path / "torchvision" / source.base_folder)
    monkeypatch.setattr(source, "file_list", files)
    prepare_folder(tiny("celeba64"), tmp_path, download=False)
    for split, size in TINY.items():
        images = load_images("celeba64", split, root=tmp_path, download=False)
        assert images.images.shape == (size, 3, 64, 64)
        assert images.images[:, :, 2:-2, 2:-2].min() > 245  # white but for JPEG's ringing
        assert images.images.double().mean() > 250  # a crop moved by a pixel would show black
    ids = np.load(tmp_path / "celeba64" / "test_image_ids.npy")
    assert ids.tolist() == [7, 8, 9]
