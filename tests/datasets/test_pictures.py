"""Pictures as cameras and programs write them, made by Pillow itself and read back."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from eae_core.data.pictures import PictureError, find_pictures, is_grey, read_picture

# A photograph-like picture: smooth, and different in each corner and channel.
Y, X = np.mgrid[0:40, 0:40] / 39
COLOURS = (np.stack([X, Y, (X + Y) / 2], -1) * 255).round().astype(np.uint8)
GREY = (COLOURS @ np.array([299, 587, 114]) / 1000).round().astype(np.uint8)


def saved(path, picture, **options):
    picture.save(path, **options)
    return path


def palette():
    return Image.fromarray(COLOURS).quantize(256)


KINDS = {
    "rgb.png": lambda: (Image.fromarray(COLOURS), {}),
    "photo.jpg": lambda: (Image.fromarray(COLOURS), {"quality": 95}),
    "photo.JPEG": lambda: (Image.fromarray(COLOURS), {"quality": 95, "progressive": True}),
    "web.webp": lambda: (Image.fromarray(COLOURS), {"lossless": True}),
    "old.bmp": lambda: (Image.fromarray(COLOURS), {}),
    "scan.tif": lambda: (Image.fromarray(COLOURS), {}),
    "print.jpg": lambda: (Image.fromarray(COLOURS).convert("CMYK"), {"quality": 95}),
    "palette.png": lambda: (palette(), {}),
    "opaque.png": lambda: (Image.fromarray(COLOURS).convert("RGBA"), {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_the_same_colours(tmp_path, name):
    picture, options = KINDS[name]()
    path = saved(tmp_path / name, picture, **options)
    assert not is_grey(path)
    found = read_picture(path, (40, 40), 3)
    assert (found.dtype, found.shape) == (np.uint8, (40, 40, 3))
    # Lossy formats, and a palette of 256 colours, are off by some levels, never by a channel.
    error = np.abs(found.astype(int) - COLOURS)
    assert error.max() == 0 if name in ("rgb.png", "web.webp", "old.bmp", "scan.tif") else True
    assert error.mean() < 6


@pytest.mark.parametrize("kind", ["L", "LA", "16 bit png", "16 bit tif"])
def test_grey_kinds(tmp_path, kind):
    path = tmp_path / ("g.tif" if kind.endswith("tif") else "g.png")
    if kind.startswith("16"):
        Image.fromarray(GREY.astype(np.uint16) * 257).save(path)
    else:
        Image.fromarray(GREY).convert(kind).save(path)
    assert is_grey(path)
    assert np.array_equal(read_picture(path, (40, 40), 1)[..., 0], GREY)
    assert np.array_equal(read_picture(path, (40, 40), 3), np.stack([GREY] * 3, -1))


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    levels = np.array([[0, 256, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    assert read_picture(tmp_path / "x.png", (1, 3), 1).ravel().tolist() == [0, 1, 255]


def test_black_and_white(tmp_path):
    saved(tmp_path / "x.png", Image.fromarray(GREY > 100))
    assert is_grey(tmp_path / "x.png")
    assert set(np.unique(read_picture(tmp_path / "x.png", (40, 40), 1))) == {0, 255}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(tmp_path, mode):
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    picture.paste((200, 10, 10, 0), (0, 0, 8, 4))
    saved(tmp_path / "x.png", picture.convert(mode))
    found = read_picture(tmp_path / "x.png", (8, 8), 3)
    assert found[:4].min() == 255
    assert found[4:].max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    turned = {
        1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
        5: lambda x: x.transpose(1, 0, 2), 6: lambda x: np.rot90(x),
        7: lambda x: x[::-1, ::-1].transpose(1, 0, 2), 8: lambda x: np.rot90(x, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turned[orientation](COLOURS))
    saved(tmp_path / "x.png", Image.fromarray(stored), exif=exif)
    assert np.array_equal(read_picture(tmp_path / "x.png", (40, 40), 3), COLOURS)


def test_the_middle_is_kept_and_shrunk(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255  # a white square in the middle
    saved(tmp_path / "x.png", Image.fromarray(wide))
    # Bicubic weights reach across the cut, so the first and last columns are a little darker.
    assert read_picture(tmp_path / "x.png", (10, 10), 3)[:, 1:-1].min() == 255
    whole = read_picture(tmp_path / "x.png", (10, 30), 3)  # of the same proportions
    assert (whole[:, 12:18].min(), whole[:, :8].max(), whole[:, 22:].max()) == (255, 0, 0)


def test_a_large_photograph_is_as_if_decoded_whole(tmp_path):
    large = Image.fromarray(COLOURS).resize((800, 600), Image.Resampling.BICUBIC)
    saved(tmp_path / "x.jpg", large, quality=95)
    saved(tmp_path / "x.png", large)
    a, b = (read_picture(tmp_path / f"x.{s}", (32, 32), 3).astype(int) for s in ("jpg", "png"))
    assert np.abs(a - b).max() <= 4


def photo(quality=90):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        buffer, "JPEG", quality=quality
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<!doctype html><title>404</title>",
        photo()[:1000],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"GIF89a" + b"\0" * 20,
    ],
    ids=["empty", "text", "page", "cut", "no png", "postscript", "gif"],
)
def test_what_is_no_picture_is_said(tmp_path, content):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError) as error:
        read_picture(path, (8, 8), 3)
    assert str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_numbers_of_no_known_range_are_refused(tmp_path):
    saved(tmp_path / "x.tif", Image.fromarray(np.full((4, 4), 0.5, np.float32)))
    with pytest.raises(PictureError, match="mode F, whose range is not known"):
        read_picture(tmp_path / "x.tif", (4, 4), 1)


def test_pictures_are_found_below_the_folder(tmp_path):
    for name in ("b.png", "A.JPG", "sub/c.webp", "._b.png", ".hidden/d.png", "notes.txt", "e.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names, others = find_pictures(tmp_path)
    assert names == ["A.JPG", "b.png", "sub/c.webp"]
    assert others == {".txt": 1, ".gif": 1}


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_are_followed_once(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").touch()
    (tmp_path / "set" / "class").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "back").symlink_to(tmp_path / "set")
    (tmp_path / "set" / "gone.png").symlink_to(tmp_path / "nothing.png")
    names, others = find_pictures(tmp_path / "set")
    assert (names, others) == (["class/a.png", "gone.png"], {})
    with pytest.raises(PictureError, match="No such file"):
        read_picture(tmp_path / "set" / "gone.png", (4, 4), 1)


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "theirs").mkdir()
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("theirs"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # for root may read everything
    with pytest.raises(PermissionError, match="theirs"):
        find_pictures(tmp_path)
