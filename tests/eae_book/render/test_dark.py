"""Figures on dark pages: white becomes the page, hues and images stay as they are."""

import base64
import colorsys
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from eae_book.photos import photos_in, with_photos
from eae_book.plotting import COLORS, CYCLE, png_of, use_book_style
from eae_book.render.cleaning import smaller_png
from eae_book.render.dark import GROUND, INK, dark_drawing, dark_picture, darken


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def luminance(rgb):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def test_white_becomes_the_page_and_black_its_ink():
    dark = pixels(dark_picture(png([[[255] * 3, [0] * 3]]), []))
    assert dark.tolist() == [[list(GROUND), list(INK)]]


@pytest.mark.parametrize("color", sorted({*CYCLE, *COLORS.values()}))
def test_every_colour_keeps_its_hue_and_can_be_seen_in_the_dark(color):
    light = np.rint(255 * np.array(to_rgb(color)))
    dark = pixels(dark_picture(png([[light]]), []))[0, 0] / 255
    ground = luminance(np.array(GROUND) / 255)
    assert (luminance(dark) + 0.05) / (ground + 0.05) > 3.0  # of graphics: WCAG 2.1, 1.4.11
    if np.ptp(light) > 20:
        hues = [colorsys.rgb_to_hsv(*c)[0] for c in (light / 255, dark)]
        assert abs((hues[0] - hues[1] + 0.5) % 1 - 0.5) < 0.06


def test_images_keep_their_pixels():
    light = np.random.default_rng(0).integers(0, 255, (6, 8, 3))
    dark = pixels(dark_picture(png(light), [[2, 1, 5, 4]]))
    assert (dark[1:4, 2:5] == light[1:4, 2:5]).all()
    assert (dark[0] != light[0]).any()
    assert (dark[:, 5:] != light[:, 5:]).any()


def test_a_drawing_turns_dark_but_for_its_images():
    photo = '<g class="photo">\n<rect fill="#1b1b1b"/>\n</g>'
    dark = dark_drawing(f'<rect fill="#ffffff"/>{photo}<path stroke="#000000"/>')
    assert dark == f'<rect fill="#121212"/>{photo}<path stroke="#e9ecf0"/>'


def test_a_figure_says_where_its_images_are():
    with plt.rc_context():
        use_book_style()
        figure, (left, right) = plt.subplots(1, 2)
        red = np.broadcast_to([1.0, 0.0, 0.0], (4, 4, 3))
        left.imshow(red)
        left.set_axis_off()
        right.plot([0, 1], color="#222222")
        made = png_of(figure)
        plt.close(figure)
    ((x0, y0, x1, y1),) = photos_in(made)
    is_red = (pixels(made) == [255, 0, 0]).all(-1)
    rows, columns = np.nonzero(is_red)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(np.array(found) - [x0, y0, x1, y1]).max() <= 1


def test_making_a_picture_smaller_keeps_what_it_says():
    coded = base64.b64encode(with_photos(png(np.zeros((9, 9, 3))), [[1, 2, 3, 4]])).decode()
    assert photos_in(base64.b64decode(smaller_png(coded))) == [[1, 2, 3, 4]]


@pytest.mark.slow
def test_a_notebook_shows_figures_with_the_places_of_their_images(monkeypatch):
    source = """
import matplotlib.pyplot as plt
from eae_book.plotting import use_book_style
use_book_style()
_, (left, right) = plt.subplots(1, 2)
left.imshow([[0, 1]]); right.plot([0, 1]);"""
    notebook = new_notebook(cells=[new_code_cell(source), new_code_cell("right.figure")])
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as in a page
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    for cell in notebook.cells:
        (output,) = [o for o in cell.outputs if "image/png" in o.get("data", {})]
        assert len(photos_in(base64.b64decode(output.data["image/png"]))) == 1


def test_pages_get_a_twin_for_figures_that_speak_and_for_no_others(tmp_path):
    (tmp_path / "_images").mkdir()
    (tmp_path / "a").mkdir()
    (tmp_path / "_images/one.png").write_bytes(with_photos(png([[[255] * 3]]), []))
    (tmp_path / "_images/two.png").write_bytes(png([[[255] * 3]]))
    (tmp_path / "_images/three.svg").write_text('<rect fill="#FFFFFF"/>', encoding="utf-8")
    page = tmp_path / "a/page.html"
    two = '<img alt="b" src="../_images/two.png">'
    three = '<img alt="c" src="../_images/three.svg">'
    one = '<img alt="a" class="x" src="../_images/one.png" />'
    page.write_text(f"{one}{two}{three}", encoding="utf-8")
    assert darken(tmp_path) == 2
    assert page.read_text(encoding="utf-8") == (
        '<img alt="a" class="light-twin x" src="../_images/one.png" />'
        '<img alt="a" class="dark-twin dark-light x" src="../_images/one-dark.png" '
        f'loading="lazy" />{two}<img class="light-twin" alt="c" src="../_images/three.svg">'
        '<img class="dark-twin dark-light" alt="c" src="../_images/three-dark.svg" loading="lazy">'
    )
    drawn = (tmp_path / "_images/three-dark.svg").read_text(encoding="utf-8")
    assert drawn == '<rect fill="#121212"/>'
    assert pixels((tmp_path / "_images/one-dark.png").read_bytes()).tolist() == [[list(GROUND)]]
