"""Files and data that are not what they should be are taken rightly or refused; no code runs."""

import dataclasses
import io
import json
import os
import pickle
import struct
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from eae_book.records import RecordError, new_record, read_record, record_text
from eae_core.cli import main
from eae_core.data import as_source, load_folder, load_images, open_data
from eae_core.models import build_model
from eae_core.training import CheckpointError, TrainOptions, fit, load_model
from eae_core.training.checkpoints import read_checkpoint, write_checkpoint

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)


class Evil:
    """Leaves a file behind where a pickle is opened."""

    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.fixture(autouse=True)
def evil(tmp_path, monkeypatch):
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "cache"))
    yield
    assert not (tmp_path / "evil").exists()


# Checkpoints


def options(**changes):
    values = {"epochs": 1, "batch_size": 5, "device": "cpu", "progress": False}
    return TrainOptions(**(values | changes))


def network():
    torch.manual_seed(0)
    return build_model("ae", (1, 32, 32), latent_dim=2, width=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "ae.safetensors"
    fit(network(), load_images("digits", limit=20), options(), checkpoint=path)
    return path


def torch_saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


BYTES = {
    "empty": lambda good: b"",
    "zeros": lambda good: bytes(5000),
    "a header of 2^60 bytes": lambda good: struct.pack("<Q", 2**60) + good[8:],
    "no header": lambda good: struct.pack("<Q", 0) + good[8:],
    "text": lambda good: b"hello world\n" * 10,
    "a pickle": lambda good: pickle.dumps(Evil()),
    "torch.save": lambda good: torch_saved({"weights": torch.ones(2)}),
    "torch.save of code": lambda good: torch_saved(Evil()),
    "half": lambda good: good[: len(good) // 2],
    "a byte short": lambda good: good[:-1],
    "a byte long": lambda good: good + b"x",
    "twice": lambda good: good + good,
    "nested brackets": lambda good: struct.pack("<Q", 200_000) + b"[" * 200_000,
    "no UTF-8": lambda good: struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
}


@pytest.mark.parametrize("kind", BYTES)
def test_files_that_are_no_checkpoints(trained, tmp_path, kind):
    path = tmp_path / "model.safetensors"
    path.write_bytes(BYTES[kind](trained.read_bytes()))
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged or no checkpoint"):
        load_model(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nowhere", "device"])
def test_places_that_are_no_files(tmp_path, kind):
    path = tmp_path / "model.safetensors"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to nowhere":
        path.symlink_to("nowhere")
    else:
        path = "/dev/zero"
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_model(path)


def test_a_link_to_a_checkpoint_is_one(trained, tmp_path):
    (tmp_path / "link").symlink_to(trained)
    assert load_model(tmp_path / "link").latent_dim == 2


CONTENT = {  # under a checksum that fits, as only a program could write it
    "epoch": {"epoch": "1"},
    "epoch below 0": {"epoch": -5},
    "step": {"step": 10**6},
    "epochs": {"epochs": ["a"]},
    "names of terms": {"term_names": ["loss", "colour"], "terms": {"rows": torch.zeros(3)}},
    "no optimizer": {"optimizer": {}},
    "no random numbers": {"random": {}},
    "moments": {"moments": {"x": torch.zeros(3)}},
    "images": {"images": []},
    "model": {"config": {"name": "eaee"}},
    "size": {"config": {"width": 10**7}},
    "kind of size": {"config": {"width": "a"}},
    "options": {"config": {"options": None}},
    "unknown option": {"config": {"options": {"zzz": 1}}},
    "seconds": {"epoch_seconds": None},
}


@pytest.mark.parametrize("kind", CONTENT)
def test_checkpoints_that_say_impossible_things(trained, tmp_path, kind):
    path, saved = tmp_path / "model.safetensors", read_checkpoint(trained)
    changes = dict(CONTENT[kind])
    if "config" in changes:
        changes["config"] = saved.config | changes["config"]
    write_checkpoint(path, dataclasses.replace(saved, **changes))
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_model(path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        fit(network(), load_images("digits", limit=20), options(epochs=2), checkpoint=path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("compile", "no"),
        ("channels_last", None),
        ("progress", 3),
        ("learning_rate", "0.1"),
        ("learning_rate", True),
        ("learning_rate_decay", None),
        ("beta1", "x"),
    ],
)
def test_options_of_another_kind(name, value):
    with pytest.raises(TypeError, match=f"{name} must be"):
        options(**{name: value})


# Records


def record():
    made = new_record("demo", "a", parameters={"d": 2}, metrics={"e": [1.0]}, seeds=[0])
    return json.loads(record_text(made))


FIELDS = {
    "schema as text": {"schema": "2"},
    "schema as truth": {"schema": True},
    "schema as float": {"schema": 2.0},
    "newer schema": {"schema": 3},
    "a seed as truth": {"seeds": [True]},
    "a seed as text": {"seeds": ["a"]},
    "a seed below 0": {"seeds": [-1]},
    "a metric as text": {"metrics": {"e": "good"}},
    "no metric": {"metrics": {"e": None}},
    "a metric as truth": {"metrics": {"e": True}},
    "seconds below 0": {"seconds": -1.0},
    "memory below 0": {"peak_memory_bytes": -1},
    "revision as truth": {"revisions": {"a": True}},
    "version as number": {"versions": {"a": 1}},
    "run above": {"run": ".."},
    "run below": {"run": "a/b"},
    "date": {"created": "yesterday"},
    "turned text": {"notes": "a\u202eb"},
    "path": {"notes": "C:\\Users\\me"},
    "long number": {"parameters": {"a": 10**40}},
    "unknown field": {"colour": 1},
    "list for text": {"notes": ["a"]},
}
TEXTS = {
    "NaN": ("1.0", "NaN"),
    "infinity": ("1.0", "1e999"),
    "a field twice": ('"seeds"', '"run": "b", "seeds"'),
    "a metric twice": ('"e":', '"e": 5, "e":'),
    "single quotes": ('"', "'"),
    "digits": ("1.0", "1" * 5000),
    "half a character": ("demo", "\\ud800"),
    "a comment": ("{", "// x\n{"),
}


@pytest.mark.parametrize("kind", [*FIELDS, *TEXTS, "empty", "a mark of byte order", "brackets"])
def test_records_that_are_none(tmp_path, kind):
    path, text = tmp_path / "record.json", json.dumps(record() | FIELDS.get(kind, {}))
    text = text.replace(*TEXTS[kind], 1) if kind in TEXTS else text
    whole = {"empty": "", "a mark of byte order": "\ufeff" + text, "brackets": "[" * 100_000}
    path.write_text(whole.get(kind, text), encoding="utf-8")
    with pytest.raises(RecordError, match=r"record\.json"):
        read_record(path)


# Arrays


def npy(array, **more):
    file = io.BytesIO()
    np.save(file, array, **more)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zip_bomb():
    header, file = io.BytesIO(), io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000, 3)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(10**6))
    return file.getvalue()


def evil_objects():
    found = np.empty(3, object)
    found[:] = [Evil()] * 3
    return found


def call_in_header():
    code = b"{'descr': __import__('os').mkdir(__import__('os').environ['EVIL'])}".ljust(117)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + code + b"\n"


ARRAYS = {
    "empty.npy": lambda: b"",
    "pickle.npy": lambda: pickle.dumps(Evil()),
    "objects.npy": lambda: npy(evil_objects(), allow_pickle=True),
    "objects.npz": lambda: npz(images=evil_objects()),
    "code.npy": call_in_header,
    "cut.npy": lambda: npy(PIXELS)[:-5],
    "header.npy": lambda: npy(PIXELS)[:50],
    "negative.npy": lambda: npy(PIXELS).replace(b"(20, 8, 8, 3)", b"(-2, 8, 8, 3)"),
    "bracket.npy": lambda: npy(PIXELS).replace(b"(20, 8, 8, 3), }", b"(20, 8, 8, 3   }"),
    "version.npy": lambda: b"\x93NUMPY\x09\x00" + bytes(50),
    "text.npy": lambda: b"1,2,3\n4,5,6\n",
    "cut.npz": lambda: npz(images=PIXELS)[:-10],
    "flipped.npz": lambda: npz(images=PIXELS).replace(PIXELS[3].tobytes(), bytes(192)),
    "start.npz": lambda: b"PK\x03\x04" + bytes(100),
    "declared.npz": zip_bomb,
    "none.npz": lambda: npz(),
    "two.npz": lambda: npz(a=PIXELS, b=PIXELS),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # NumPy's open file
@pytest.mark.parametrize("name", ARRAYS)
def test_files_that_are_no_arrays(tmp_path, capsys, name):
    path = tmp_path / name
    path.write_bytes(ARRAYS[name]())
    with pytest.raises(ValueError, match=name):
        open_data(path)
    if name != "none.npz" and "two" not in name:
        assert main(["entropy", str(path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_member_that_leads_outside_stays_inside(tmp_path):
    path = tmp_path / "in" / "x.npz"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../images.npy", npy(PIXELS))
    assert len(open_data(path).images("all")) == 20
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


NUMBERS = {
    "float16": (PIXELS / 255).astype("f2"),
    "long double": (PIXELS / 255).astype("g"),
    "big endian": (PIXELS / 255).astype(">f4"),
    "columns first": np.asfortranarray(PIXELS),
    "truth values": PIXELS > 100,
    "one pixel": PIXELS[:, :1, :1],
    "whole numbers": PIXELS.astype("i8"),
    "complex": PIXELS.astype(complex),
    "beyond float32": np.full((5, 3), 1e39),
    "nan": np.where(PIXELS > 250, np.nan, PIXELS / 255),
    "to 255": PIXELS.astype("f4"),
    "five channels": np.zeros((5, 8, 8, 5)),
    "channels first": np.moveaxis(PIXELS, -1, 1),
    "no height": PIXELS[:, :0],
    "no features": np.zeros((5, 0)),
    "no rows": PIXELS[:0],
    "one row": PIXELS[:1],
    "five axes": PIXELS[None],
    "a number": np.array(3.0),
    "names": np.array(["a", "b"]),
    "records": np.zeros(5, [("a", "f4")]),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_arrays_of_any_numbers_are_images_or_refused(tmp_path, kind):
    path = tmp_path / "x.npy"
    np.save(path, NUMBERS[kind])
    if kind not in list(NUMBERS)[:6]:
        with pytest.raises((TypeError, ValueError), match=r"."):
            open_data(path).images("all")
        return
    x = open_data(path).images("all").batch(slice(None))
    assert x.dtype == torch.float32
    assert 0 <= x.min() <= x.max() <= 1


# Folders


def fill(folder, count=6):
    folder.mkdir(exist_ok=True)
    for level in range(count):
        Image.new("RGB", (20, 20), (20 * level, 0, 0)).save(folder / f"{level}.png")
    return folder


def bomb(side):
    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


BROKEN = {
    "cut": lambda path: path.write_bytes((path.parent / "0.png").read_bytes()[:40]),
    "empty": lambda path: path.touch(),
    "a page": lambda path: path.write_text("<html>"),
    "another format": lambda path: Image.new("P", (9, 9)).save(path, "GIF"),
    "a program for printers": lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    "144 million pixels declared": lambda path: path.write_bytes(bomb(12_000)),
    "3.6 billion pixels declared": lambda path: path.write_bytes(bomb(60_000)),
    "2^62 pixels declared": lambda path: path.write_bytes(bomb(2**31 - 1)),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_pictures_that_are_none_are_left_out_and_said(tmp_path, kind):
    folder = fill(tmp_path / "f")
    BROKEN[kind](folder / "x.png")
    with pytest.warns(UserWarning, match=r"cannot be read: 1 of 7 pictures \(x\.png: "):
        assert len(load_folder(folder, 8, "all")) == 6


ODD = {
    "grey": lambda f: Image.new("L", (9, 9), 9).save(f / "x.png"),
    "transparent": lambda f: Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(f / "x.png"),
    "palette": lambda f: Image.new("P", (9, 9), 3).save(f / "x.png"),
    "bits": lambda f: Image.new("1", (9, 9)).save(f / "x.png"),
    "ink": lambda f: Image.new("CMYK", (9, 9)).save(f / "x.jpg"),
    "16 bits": lambda f: Image.fromarray(np.full((9, 9), 60_000, np.uint16)).save(f / "x.png"),
    "one pixel": lambda f: Image.new("RGB", (1, 1)).save(f / "x.png"),
    "a line": lambda f: Image.new("RGB", (20_000, 1)).save(f / "x.png"),
    "letters and a line end": lambda f: Image.new("RGB", (9, 9)).save(f / "Ελ 🎉\n.png"),
    "no UTF-8 in its name": lambda f: os.rename(f / "0.png", os.fsencode(f) + b"/\xff.png"),
    "large letters": lambda f: Image.new("RGB", (9, 9)).save(f / "X.PNG"),
}


@pytest.mark.parametrize("kind", ODD)
def test_pictures_of_any_kind_are_taken(tmp_path, kind):
    folder = fill(tmp_path / "f")
    ODD[kind](folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = load_folder(folder, 8, "all")
    assert (len(images), images.image_shape) == (6 if "name" in kind else 7, (3, 8, 8))


@pytest.mark.parametrize("size", [0, -1, 10**5, (8, 0), (8,), (8.0, 8), ("a", 8)])
def test_sizes_that_no_picture_can_have(tmp_path, size):
    with pytest.raises(ValueError, match=r"size must be two whole numbers from 1 to 8,192"):
        load_folder(fill(tmp_path / "f"), size)


def test_one_picture_is_no_set(tmp_path):
    with pytest.raises(ValueError, match="one picture that can be read: a split needs two"):
        load_folder(fill(tmp_path / "f", 1), 8)


@pytest.mark.parametrize("where", ["", "mnistt", "a\0b", "~no_such_user/x", "/dev/zero"])
def test_places_where_no_data_are(where):
    with pytest.raises(ValueError, match=r"size|no data set|home of a user|no ordinary file"):
        open_data(where)


# Datasets


class Items(torch.utils.data.Dataset):
    def __init__(self, item, count=20):
        self.item, self.count = item, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= 20:
            raise IndexError
        return self.item(index)


def odd(value, shape=(1, 32, 32)):
    """Zeros, but for one item."""
    zeros = torch.zeros(1, 32, 32)
    return Items(lambda index: torch.full(shape, value) if index == 11 else zeros)


SETS = {
    "nan": (lambda: odd(torch.nan), "item 11 holds NaN"),
    "another shape": (lambda: odd(0.0, (1, 31, 32)), r"has the shape \(1, 31, 32\), item 0"),
    "fewer than it says": (lambda: Items(odd(0.0).item, 30), "says that it has 30 items, but"),
    "nothing": (lambda: Items(lambda index: None), "numbers"),
    "text": (lambda: Items(lambda index: "a"), "numbers"),
    "empty items": (lambda: Items(lambda index: ()), "got"),
    "whole numbers": (
        lambda: Items(lambda index: torch.zeros(1, 8, 8, dtype=torch.int64)),
        "uint8",
    ),
    "no items": (lambda: Items(odd(0.0).item, 0), "there are no data"),
    "sparse": (lambda: torch.zeros(20, 1, 32, 32).to_sparse(), "dense"),
    "without numbers": (
        lambda: torch.zeros(20, 1, 32, 32, device="meta"),
        "dense tensor of numbers",
    ),
    "nan tensor": (lambda: torch.full((20, 1, 32, 32), torch.nan), "20 of 20 rows hold NaN"),
    "a generator": (lambda: (torch.zeros(1, 32, 32) for _ in range(5)), "got generator"),
    "a path": (lambda: os.curdir, "got str"),
    "batches of nan": (
        lambda: torch.utils.data.DataLoader(torch.full((20, 1, 32, 32), torch.nan), 5),
        "batch of the DataLoader holds NaN",
    ),
}


@pytest.mark.parametrize("kind", SETS)
def test_sets_that_cannot_be_trained_on_say_why(kind):
    data, message = SETS[kind]
    with pytest.raises((TypeError, ValueError), match=message):
        fit(network(), data(), options())


def test_tensors_with_a_gradient_and_in_double_are_data():
    made = [torch.rand(20, 1, 8, 8, dtype=torch.float64), torch.rand(20, 1, 8, 8).requires_grad_()]
    for data in made:
        assert as_source(data).batch(torch.arange(2)).dtype == torch.float32
