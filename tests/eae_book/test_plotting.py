"""The figure style: what is drawn is what was given, and bad input says what is possible."""

import io
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from eae_book.plotting import (
    COLORS,
    CYCLE,
    band,
    image_grid,
    image_panels,
    image_rows,
    image_table,
    label_lines,
    truth_line,
    use_book_style,
)
from eae_book.plotting.lines import _spread


@pytest.fixture(autouse=True)
def figures():
    with plt.rc_context():
        plt.switch_backend("agg")
        use_book_style()
        yield
        plt.close("all")


def contrast_with_white(color: str) -> float:
    """The contrast ratio of the WCAG between a colour and white."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 1.05 / (float(np.dot([0.2126, 0.7152, 0.0722], channels)) + 0.05)


@pytest.mark.parametrize("color", sorted({*CYCLE, *COLORS.values()}))
def test_every_colour_is_visible_on_white(color):
    assert contrast_with_white(color) > 2.0


def test_methods_have_distinct_colours():
    methods = ["ae", "ae_bn", "eae", "eae_weak", "vae", "cv_vae", "wae", "rae", "two_stage", "gan"]
    assert len({COLORS[name] for name in methods}) == len(methods)


def test_saved_figure_is_opaque_white_at_150_dpi():
    figure, ax = plt.subplots(figsize=(2, 1))
    ax.set_axis_off()
    file = io.BytesIO()
    figure.savefig(file)
    picture = Image.open(file)
    assert picture.size == (300, 150)
    assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    pixels = np.asarray(picture.convert("RGBA"))
    assert (pixels == 255).all()


def test_style_overrides_a_readers_settings_but_not_the_backend():
    plt.rcParams["axes.facecolor"] = "black"
    plt.rcParams["lines.linestyle"] = ":"
    use_book_style()
    assert plt.rcParams["axes.facecolor"] == "white"
    assert plt.rcParams["lines.linestyle"] == "-"
    assert plt.get_backend().lower() == "agg"


def grid_pixels(ax) -> np.ndarray:
    return np.asarray(ax.get_images()[0].get_array())


def test_grid_puts_every_image_in_its_place():
    images = torch.arange(5).view(5, 1, 1, 1).expand(5, 1, 3, 4) / 5.0
    pixels = grid_pixels(image_grid(images, columns=2))
    assert pixels.shape == (3 * 4 - 1, 2 * 5 - 1, 3)
    for i in range(5):
        y, x = (i // 2) * 4, (i % 2) * 5
        assert np.allclose(pixels[y : y + 3, x : x + 4], i / 5.0)
    assert (pixels[3] == 1.0).all()  # the gap
    assert (pixels[8:, 5:] == 1.0).all()  # the empty sixth place


def test_grid_keeps_colour_channels_and_bytes():
    images = np.zeros((1, 3, 2, 2), dtype=np.uint8)
    images[0, 1] = 255
    pixels = grid_pixels(image_grid(images))
    assert pixels[0, 0].tolist() == [0.0, 1.0, 0.0]


def test_grid_clips_and_takes_tensors_that_need_a_gradient():
    images = torch.full((1, 1, 2, 2), 1.5, requires_grad=True)
    assert (grid_pixels(image_grid(images)) == 1.0).all()


@pytest.mark.parametrize("shape", [(3, 8, 8), (0, 1, 8, 8), (4, 2, 8, 8)])
def test_grid_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="N x C x H x W"):
        image_grid(torch.zeros(shape))


def test_grid_refuses_no_columns():
    with pytest.raises(ValueError, match="columns must be at least 1"):
        image_grid(torch.zeros(1, 1, 2, 2), columns=0)


def test_panels_stand_side_by_side_under_their_titles():
    images = torch.zeros(4, 1, 2, 2)
    figure = image_panels({"left": images, "right": images}, columns=2)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["left", "right"]
    with pytest.raises(ValueError, match="no panels"):
        image_panels({})


def test_rows_are_named_and_of_one_length():
    figure = image_rows({"data": torch.zeros(3, 1, 2, 2), "model": torch.ones(3, 1, 2, 2)})
    assert [ax.texts[0].get_text() for ax in figure.axes] == ["data", "model"]
    with pytest.raises(ValueError, match=r"common length.*'data': 3.*'model': 2"):
        image_rows({"data": torch.zeros(3, 1, 2, 2), "model": torch.zeros(2, 1, 2, 2)})
    with pytest.raises(ValueError, match="no rows"):
        image_rows({})


def test_a_table_shows_what_there_is_and_says_what_is_not():
    x = torch.zeros(5, 1, 4, 4)
    rows = {"full": {"samples": x, "paths": x + 0.5}, "empty": {}}
    left, right = image_table(rows, {"samples": 3, "paths": 5}, missing="none").axes
    assert [t.get_text() for t in left.texts] == ["full", "empty", "none"]
    assert [t.get_text() for t in right.texts] == ["none"]
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["samples", "paths"]
    canvas = left.get_images()[0].get_array()
    assert canvas.shape == (2 * 4 + 1, 3 * 4 + 2, 3)  # a pixel between images
    assert (canvas[:4, :4] == 0).all()
    assert (canvas[5:] == 1).all()  # the row that is not there
    assert (right.get_images()[0].get_array()[:4, :4] == 0.5).all()


def test_a_table_of_nothing_yet_is_drawn():
    figure = image_table({"a": {}, "b": {}}, {"samples": 4})
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert texts == ["a", "not recorded", "b", "not recorded"]


def test_a_table_refuses_what_does_not_fit():
    x = torch.zeros(5, 1, 4, 4)
    with pytest.raises(ValueError, match="'a' has 5 images of 'samples', 6 are to be shown"):
        image_table({"a": {"samples": x}}, {"samples": 6})
    with pytest.raises(ValueError, match="one shape"):
        image_table({"a": {"s": x}, "b": {"s": torch.zeros(5, 1, 6, 6)}}, {"s": 5})
    with pytest.raises(ValueError, match="at least one row"):
        image_table({}, {"samples": 1})


@pytest.mark.parametrize(
    ("spread", "low", "high"), [("sd", [1.0, 2.0], [3.0, 6.0]), ("range", [1.0, 2.0], [3.0, 6.0])]
)
def test_band_spans_the_seeds(spread, low, high):
    _, ax = plt.subplots()
    # Three seeds, equally spaced: one standard deviation reaches exactly to the outer ones.
    curves = torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    line = band(ax, [0, 1], curves, label="three", color="#0072B2", spread=spread)
    assert line.get_ydata().tolist() == [2.0, 4.0]
    outline = ax.collections[0].get_paths()[0].vertices
    for x, bottom, top in zip([0, 1], low, high, strict=True):
        edge = outline[outline[:, 0] == x][:, 1]
        assert (edge.min(), edge.max()) == (bottom, top)


def test_band_of_two_spreads_differ_where_they_should():
    _, (left, right) = plt.subplots(1, 2)
    curves = [[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]
    tops = []
    for ax, spread in ((left, "sd"), (right, "range")):
        band(ax, [0, 1], curves, spread=spread)
        tops.append(ax.collections[0].get_paths()[0].vertices[:, 1].max())
    assert tops == pytest.approx([2.0 + np.std([0, 1, 5], ddof=1), 5.0])


def test_single_curve_has_no_band():
    _, ax = plt.subplots()
    band(ax, [0, 1], [1.0, 2.0])
    assert len(ax.collections) == 0


def test_band_refuses_bad_input():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"\(3,\) and \(1, 2\)"):
        band(ax, [0, 1, 2], [1.0, 2.0])
    with pytest.raises(ValueError, match='"sd" or "range"'):
        band(ax, [0, 1], [1.0, 2.0], spread="quartile")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_truth_line_stands_at_the_value(axis):
    _, ax = plt.subplots()
    line = truth_line(ax, 1.5, "truth", axis=axis, side="end")
    data = line.get_ydata() if axis == "y" else line.get_xdata()
    assert list(data) == [1.5, 1.5]
    assert line.get_linestyle() == "--"
    assert ax.texts[0].get_text() == "truth"


def test_truth_line_refuses_another_axis():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match='"y" or "x"'):
        truth_line(ax, 1.0, axis="z")


def test_labels_stand_at_the_ends_and_do_not_overlap():
    figure, ax = plt.subplots()
    for i in range(4):
        ax.plot([0, 1], [0.0, 1.0 + 1e-3 * i], label=f"line {i}", color=CYCLE[i])
    ax.plot([0, 1], [0.5, 0.5])  # has no label: stays without a name
    truth_line(ax, 0.2, "truth")
    label_lines(ax)
    figure.canvas.draw()
    names = [text for text in ax.texts if text.get_text().startswith("line")]
    assert [text.get_color() for text in names] == list(CYCLE[:4])
    boxes = sorted((text.get_window_extent() for text in names), key=lambda box: box.y0)
    assert len(boxes) == 4
    for lower, upper in pairwise(boxes):
        assert lower.y1 <= upper.y0 + 1.0
    right_end = ax.transData.transform((1.0, 1.0))[0]
    assert all(box.x0 > right_end for box in boxes)


def test_label_lines_says_when_a_legend_is_better():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="found 0"):
        label_lines(ax)
    for i in range(5):
        ax.plot([0, 1], [i, i], label=str(i))
    with pytest.raises(ValueError, match=r"found 5.*legend"):
        label_lines(ax)


def test_label_lines_ignores_points_that_are_not_finite():
    _, ax = plt.subplots()
    ax.plot([0, 1, 2], [1.0, 2.0, np.nan], label="breaks off")
    label_lines(ax)
    assert ax.texts[0].xy == (1.0, 2.0)
    ax.plot([0, 1], [np.nan, np.nan], label="nothing")
    with pytest.raises(ValueError, match="'nothing' has no finite point"):
        label_lines(ax)


def test_spread_moves_no_more_than_needed():
    assert _spread([0.0, 30.0], 10.0) == [0.0, 30.0]
    assert _spread([5.0, 5.0], 10.0) == [0.0, 10.0]
    placed = _spread([1.0, 0.0, 2.0, 40.0], 10.0)
    assert placed == [1.0, -9.0, 11.0, 40.0]


def test_the_name_of_a_line_that_leaves_the_axes_stays_within_them():
    _, ax = plt.subplots()
    ax.plot([0, 1, 2, 3], [0, -1, -50, -90], label="falls")
    ax.set_ylim(-3, 1)
    label_lines(ax)
    assert ax.texts[0].xy == (1.0, -1.0)
