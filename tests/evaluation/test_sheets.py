"""Sheets of images that lie beside records."""

import pytest
import torch

from eae_book.records import new_record
from eae_book.sheets import read_recorded_rows, read_sheet
from eae_core.data import load_images
from eae_core.evaluation.densities import fit_density
from eae_core.evaluation.sheets import picture_rows, write_sheet
from eae_core.models import build_model


@pytest.mark.parametrize(("shape", "suffix"), [((1, 32, 32), ".png"), ((3, 64, 64), ".webp")])
def test_a_sheet_comes_back_as_it_was_written(tmp_path, shape, suffix):
    rows = {name: torch.rand(10, *shape) for name in ("a", "b", "c")}
    path = write_sheet(rows, tmp_path / "run")
    assert path.suffix == suffix
    back = read_sheet(path, shape)
    assert back.shape == (3, 10, *shape)
    for row, expected in zip(back, rows.values(), strict=True):
        assert (row - expected).abs().max() <= 0.5 / 255 + 1e-6  # rounding to bytes, nothing else


def test_rows_are_what_they_say():
    digits = load_images("digits", "test", limit=12)
    model = build_model("ae", digits.image_shape, 2, width=2).eval()
    density = fit_density("standard", torch.zeros(2, 2))
    rows = picture_rows(model, digits, {"standard": density}, seed=3)
    names = ["own 1", "own 2", "standard 1", "standard 2", "reconstructions", "path 1", "path 2"]
    assert list(rows) == names
    with torch.no_grad():
        rebuilt = model(digits.batch(slice(0, 10)))
    torch.testing.assert_close(rows["reconstructions"], rebuilt)
    torch.testing.assert_close(rows["path 1"][0], rebuilt[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(rows["path 2"][-1], rebuilt[3], atol=1e-5, rtol=0)
    again = picture_rows(model, digits, {"standard": density}, seed=3)
    assert torch.equal(again["own 2"], rows["own 2"])


def test_too_few_images_and_wrong_files_are_refused(tmp_path):
    digits = load_images("digits", "test", limit=9)
    model = build_model("ae", digits.image_shape, 2, width=1)
    with pytest.raises(ValueError, match="10 test images, there are 9"):
        picture_rows(model, digits, {})
    path = write_sheet({"a": torch.rand(10, 1, 32, 32)}, tmp_path / "run")
    with pytest.raises(ValueError, match="not rows of 10 images of 64 x 64"):
        read_sheet(path, (1, 64, 64))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a sheet"):
        read_sheet(tmp_path / "text.png", (1, 32, 32))


def recorded(metrics):
    return new_record("models", "a-seed0", parameters={"dataset": "digits"}, metrics=metrics)


@pytest.mark.parametrize("laws", [[], ["standard"], ["standard", "gaussian", "mixture"]])
def test_rows_beside_a_record_have_the_names_they_were_made_with(tmp_path, laws):
    digits = load_images("digits", "test", limit=10)
    model = build_model("ae", digits.image_shape, 2, width=1)
    densities = dict.fromkeys(laws, fit_density("standard", torch.zeros(2, 2)))
    rows = picture_rows(model, digits, densities)
    record = recorded({f"log_density_{law}": 0.0 for law in laws})
    assert read_recorded_rows(record, tmp_path) == {}
    write_sheet(rows, tmp_path / "models" / "a-seed0")
    back = read_recorded_rows(record, tmp_path)
    assert list(back) == list(rows)
    for name, row in rows.items():
        assert (back[name] - row).abs().max() <= 0.5 / 255 + 1e-6


def test_a_sheet_that_does_not_fit_its_record_is_refused(tmp_path):
    write_sheet({"a": torch.rand(10, 1, 32, 32)}, tmp_path / "models" / "a-seed0")
    with pytest.raises(ValueError, match="has 1 rows, its record speaks of 7"):
        read_recorded_rows(recorded({"log_density_standard": 0.0}), tmp_path)
