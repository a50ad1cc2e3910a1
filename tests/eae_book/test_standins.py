import colorsys
import dataclasses

import numpy as np
import pytest

from eae_book.standins import (
    FACE_FACTORS,
    HAIR_STYLES,
    SHAPE_FACTORS,
    SHAPE_NAMES,
    Factor,
    draw_faces,
    draw_shapes,
    faces,
    objects,
    raster,
    render_faces,
    render_shapes,
)
from eae_book.standins.factors import sample

SETS = {
    "shapes": (draw_shapes, render_shapes, SHAPE_FACTORS, 32),
    "faces": (draw_faces, render_faces, FACE_FACTORS, 64),
}


@pytest.fixture(params=SETS)
def drawn(request):
    return SETS[request.param]


def middle(table):
    """One row of factors in the middle of their ranges, nothing rare, the first of each choice."""
    row = [0.0 if f.law in ("rare", "choice") else (f.low + f.high) / 2 for f in table]
    return np.array([row], np.float32)


def test_images_and_factors_have_the_promised_form(drawn):
    draw, _, table, side = drawn
    drawing = draw(70)
    assert drawing.images.shape == (70, side, side, 3)
    assert drawing.images.dtype == np.uint8
    assert drawing.factors.shape == (70, len(table))
    assert drawing.names == tuple(factor.name for factor in table)
    assert len(set(drawing.names)) == len(table)


def test_a_shorter_drawing_is_the_beginning_of_a_longer_one(drawn):
    draw, *_ = drawn
    long = draw(75, seed=3)
    np.testing.assert_array_equal(draw(40, seed=3).images, long.images[:40])
    np.testing.assert_array_equal(draw(30, seed=3, start=45).images, long.images[45:])


def test_an_image_follows_from_its_own_factors(drawn):
    draw, render, *_ = drawn
    drawing = draw(40, seed=1)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_array_equal(render(drawing.factors[order]), drawing.images[order])


def test_seeds_give_different_images(drawn):
    draw, *_ = drawn
    first = draw(4, seed=0)
    assert (first.images != draw(4, seed=1).images).any(axis=(1, 2, 3)).all()
    assert (first.images != draw(4, seed=(0, 1)).images).any(axis=(1, 2, 3)).all()


def test_every_factor_shows_in_the_image(drawn):
    """Moving one factor from its lowest to its highest value changes pixels by several levels."""
    _, render, table, _ = drawn
    for j, factor in enumerate(table):
        rows = np.repeat(middle(table), 2, axis=0)
        if factor.name == "rotation":  # the ends of the range are the same angle
            rows[:, j] = 0, 1
        else:
            rows[:, j] = factor.low, factor.high
        if factor.name in ("hair_colour", "clothes_hue", "hue", "background_hue", "lip_colour"):
            rows[1, j] = 0.5  # hues are circles; the palettes may end in similar colours
        low, high = render(rows).astype(int)
        assert np.abs(high - low).max() >= 20, factor.name


def test_factors_stay_in_their_ranges_and_fill_them(drawn):
    _, _, table, _ = drawn
    values = sample(table, 4_000)
    for factor, column in zip(table, values.T, strict=True):
        width = factor.high - factor.low
        assert column.min() >= np.float32(factor.low), factor.name
        assert column.max() <= np.float32(factor.high), factor.name
        # Of 4,000 values (1,000 where the factor is rare) some come within 5 % of each end.
        assert column.min() <= factor.low + 0.05 * width, factor.name
        assert column.max() >= factor.high - 0.05 * width, factor.name


def test_laws_of_factors():
    n = 20_000
    table = (Factor("a", 0, 3, "choice"), Factor("b", 1, 2, "rare"), Factor("c", -2, 2, "bell"))
    choice, rare, bell = sample(table, n).T
    # Shares have a standard deviation below 0.5 / sqrt(n); five of them are allowed.
    allowed = 2.5 / np.sqrt(n)
    for value in range(4):
        assert (choice == value).mean() == pytest.approx(0.25, abs=allowed)
    assert (rare == 0).mean() == pytest.approx(0.75, abs=allowed)
    assert rare[rare > 0].min() >= 1
    assert bell.mean() == pytest.approx(0, abs=5 * 2 / np.sqrt(n))
    assert (np.abs(bell) < 1).mean() > 0.6  # a uniform law would have 0.5


def test_unknown_factors_and_impossible_values_are_refused(drawn):
    draw, render, table, _ = drawn
    rows = middle(table)
    with pytest.raises(KeyError, match=r"no factor 'colour'; there are"):
        draw(1).factor("colour")
    with pytest.raises(ValueError, match=rf"n x {len(table)}, one column for each of"):
        render(rows[:, 1:])
    with pytest.raises(ValueError, match="finite"):
        render(rows * np.nan)
    column = [factor.law for factor in table].index("choice")
    rows[0, column] = 1.5
    with pytest.raises(ValueError, match=rf"{table[column].name} must be one of \[0, 1, 2"):
        render(rows)
    with pytest.raises(ValueError, match="must not be negative"):
        draw(-1)


def test_no_images_is_an_empty_array(drawn):
    draw, _, _, side = drawn
    assert draw(0).images.shape == (0, side, side, 3)


def test_choices_have_names():
    shape = next(factor for factor in SHAPE_FACTORS if factor.name == "shape")
    assert shape.choices == list(range(len(SHAPE_NAMES)))
    style = next(factor for factor in FACE_FACTORS if factor.name == "hair_style")
    assert style.choices == list(range(len(HAIR_STYLES))) == list(range(len(faces.HAIRLINE)))


def test_a_full_turn_changes_nothing():
    rows = np.repeat(draw_shapes(40).factors, 2, axis=0)
    column = [factor.name for factor in SHAPE_FACTORS].index("rotation")
    rows[::2, column], rows[1::2, column] = -np.pi, np.pi
    images = render_shapes(rows).astype(int)
    assert np.abs(images[::2] - images[1::2]).max() <= 1  # the rounding of one level


def test_shapes_differ_from_each_other():
    rows = np.repeat(middle(SHAPE_FACTORS), len(SHAPE_NAMES), axis=0)
    rows[:, 0] = np.arange(len(SHAPE_NAMES))
    images = render_shapes(rows).astype(int)
    for i in range(len(images)):
        for j in range(i):
            assert (np.abs(images[i] - images[j]).max(axis=-1) > 30).sum() > 20


@pytest.fixture(scope="module")
def many_poses():
    """Factors of faces and the faces themselves.

    Uniform laws reach the ends of the ranges far more often than the bells of the data set.
    """
    laws = {"bell": "uniform"}
    table = [dataclasses.replace(f, law=laws.get(f.law, f.law)) for f in FACE_FACTORS]
    values = sample(table, 96, seed=11)
    return values, render_faces(values).astype(int)


@pytest.mark.parametrize("region", ["BODY", "FACE", "NOSE", "MOUTH", "BEARD", "EYES", "FRONT_HAIR"])
def test_the_regions_of_a_face_hold_the_whole_part(region, many_poses, monkeypatch):
    """Drawing a part on the whole picture instead of its region gives the same picture."""
    values, images = many_poses
    monkeypatch.setattr(faces, region, (slice(0, faces.SIZE), slice(0, faces.SIZE)))
    assert np.abs(render_faces(values) - images).max() <= 2


def test_an_ellipse_covers_its_area_wherever_it_lies():
    """The covered area is pi a b: within 1 %, at any place between the pixels."""
    x, y = raster.pixel_grid(32)
    a, b = 0.5, 0.3
    for shift in np.linspace(0, 2 / 32, 7):
        cover = raster.coverage(raster.ellipse(x - shift, y, a, b), 2 / 32)
        assert cover.sum() * (2 / 32) ** 2 == pytest.approx(np.pi * a * b, rel=0.01)
        centre = (cover * x).sum() / cover.sum()
        assert centre == pytest.approx(shift, abs=0.002)  # a thirtieth of a pixel


def test_every_shape_has_a_signed_distance_at_its_edge():
    """Where the outline is smooth the gradient of the distance is one: a one-pixel ramp."""
    side = 400
    grid = np.linspace(-1.2, 1.2, side, dtype=np.float32)
    step = grid[1] - grid[0]
    for name, outline in objects.SHAPES.items():
        distance = outline(np.tile(grid, (1, side, 1)), np.tile(grid[:, None], (1, 1, side)))[0]
        assert distance.min() < -0.1, name
        assert min(distance[0].min(), distance[-1].min()) > 0, name
        gradient = np.hypot(*np.gradient(distance, step))
        assert np.median(gradient[np.abs(distance) < 0.02]) == pytest.approx(1, abs=0.02), name


def test_colours():
    hues = np.linspace(0, 1, 13, dtype=np.float32).reshape(-1, 1, 1)
    ours = raster.from_hsv(hues, 0.6, 0.9)[:, :, 0, 0].T
    expected = [colorsys.hsv_to_rgb(float(h), 0.6, 0.9) for h in hues.ravel()]
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    palette = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 1]])
    places = np.float32([0, 0.25, 0.5, 1]).reshape(-1, 1, 1)
    blended = raster.from_palette(palette, places)[:, :, 0, 0].T
    np.testing.assert_allclose(blended, [[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 1, 1]])


def test_paint_blends_and_finish_rounds():
    canvas = np.zeros((3, 1, 1, 2), np.float32)
    raster.paint(canvas, np.float32([[[0.5, 1.0]]]), np.float32([1, 0.5, 0]).reshape(3, 1, 1, 1))
    assert raster.finish(canvas).tolist() == [[[[128, 64, 0], [255, 128, 0]]]]
