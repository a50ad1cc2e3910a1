"""Verbs for a trained model: what they write, and that it is right."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from eae_core.data import load_folder
from eae_core.evaluation import ClassifierFeatures, FeatureNet
from eae_core.models import encode_images
from eae_core.training import load_model

QUIET = "--no-progress"


@pytest.fixture
def model(place):
    return load_model(place / "run" / "model.safetensors")


def pixels(path):
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1) / 255


def test_samples_are_those_of_the_model(said, place, model, tmp_path):
    words = ["sample", place / "run", "-n", 12, "--seed", 3, "--format", "png", "grid", "npz"]
    status, out, _ = said(*words, "-o", tmp_path / "out")
    assert (status, out.count("12 images of seed 3")) == (0, 1)
    expected = model.sample(12, seed=3)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [*(f"{i:02}.png" for i in range(12)), "grid.png", "samples.npz"]
    for number, image in enumerate(expected):
        found = pixels(tmp_path / "out" / f"{number:02}.png")
        assert (found - image).abs().max() <= 0.5 / 255 + 1e-6
    grid = pixels(tmp_path / "out" / "grid.png")
    assert grid.shape == (3, 2 * 20, 10 * 24)
    assert torch.equal(grid[:, 20:, 24:48], pixels(tmp_path / "out" / "11.png"))
    assert grid[:, 20:, 48:].min() == 1  # the rest is white
    arrays = np.load(tmp_path / "out" / "samples.npz")
    assert (arrays["images"].shape, arrays["images"].dtype) == ((12, 20, 24, 3), np.uint8)
    assert arrays["codes"].shape == (12, 2)


@pytest.mark.parametrize("distribution", ["standard", "gaussian", "mixture"])
def test_codes_are_drawn_from_the_distribution_asked_for(said, place, tmp_path, distribution):
    words = ["sample", place / "run", "-n", 3000, "--format", "npz", "-o", tmp_path / "out"]
    if distribution == "mixture":  # which needs more codes than a small folder has
        run = tmp_path / "more"
        run.mkdir()
        (run / "model.safetensors").write_bytes((place / "run/model.safetensors").read_bytes())
        np.save(run / "codes.npy", 5 + np.random.default_rng(0).normal(size=(200, 2)))
        words[1] = run
    assert said(*words, "--distribution", distribution)[0] == 0
    codes = np.load(tmp_path / "out" / "samples.npz")["codes"]
    fitted = np.load(words[1] / "codes.npy")
    mean, covariance = fitted.mean(0), np.cov(fitted.T)
    if distribution == "standard":
        mean, covariance = np.zeros(2), np.eye(2)
    spread = np.sqrt(np.diag(covariance))
    # Of 3,000 draws; six standard errors of each.
    assert np.all(np.abs(codes.mean(0) - mean) < 6 * spread / np.sqrt(3000))
    assert np.all(np.abs(np.cov(codes.T) - covariance) < 6 * np.outer(spread, spread) * 0.03)


def test_codes_of_a_folder_and_of_files(said, place, model, tmp_path):
    words = ["--data", place / "photos", "-o", "all.npz"]
    status, _, err = said("encode", place / "run", *words, QUIET)
    assert status == 0
    assert "36 for train and 4 for test" in err
    expected = encode_images(model, load_folder(place / "photos", (20, 24), "all"))
    found = np.load("all.npz")
    np.testing.assert_allclose(found["codes"], expected, atol=1e-5)
    assert found["files"][:2].tolist() == ["000.png", "001.jpg"]
    pictures = [place / "photos" / name for name in ("001.jpg", "000.png")]
    assert said("encode", place / "run", *pictures, "-o", "two.npy")[0] == 0
    np.testing.assert_allclose(np.load("two.npy"), expected[[1, 0]], atol=1e-5)
    words = ["--data", place / "photos", "--split", "test", "--limit", 3, "-o", "test.npz"]
    assert said("encode", place / "run", *words, QUIET)[0] == 0
    held_out = encode_images(model, load_folder(place / "photos", (20, 24), "test"))
    found = np.load("test.npz")
    np.testing.assert_allclose(found["codes"], held_out[:3], atol=1e-5)
    assert found.files == ["codes"]  # the folder's list of files has another order


def test_reconstructions_stand_below_their_images(said, place, model):
    pictures = [place / "photos" / name for name in ("000.png", "001.jpg", "003.png")]
    status, out, _ = said("reconstruct", place / "run", *pictures, "-o", "rec.png")
    assert status == 0
    sheet = pixels("rec.png")
    assert sheet.shape == (3, 40, 72)
    x = sheet[:, :20].reshape(3, 20, 3, 24).permute(2, 0, 1, 3)
    made = sheet[:, 20:].reshape(3, 20, 3, 24).permute(2, 0, 1, 3)
    assert (made - model.reconstruct(x)).abs().max() <= 0.5 / 255 + 1e-5
    error = float((x - model.reconstruct(x)).square().flatten(1).sum(1).mean())
    assert f"squared error of 3 images: {error:.4g} on average" in out
    words = ["--data", place / "photos", "--limit", 12, "-o", "twelve.png", QUIET]
    assert said("reconstruct", place / "run", *words)[0] == 0
    assert pixels("twelve.png").shape == (3, 80, 240)


def test_a_path_begins_and_ends_at_the_reconstructions(said, place, model):
    a, b = place / "photos" / "000.png", place / "photos" / "001.jpg"
    assert said("interpolate", place / "run", a, b, "--steps", 5)[0] == 0
    assert said("reconstruct", place / "run", a, b)[0] == 0
    path, ends = pixels("path.png"), pixels("reconstructions.png")[:, 20:]
    assert path.shape == (3, 20, 5 * 24)
    assert (path[..., :24] - ends[..., :24]).abs().max() <= 1.01 / 255
    assert (path[..., -24:] - ends[..., -24:]).abs().max() <= 1.01 / 255


class Shrinking(FeatureNet):
    """A network for images of any size."""

    def features(self, x):
        return super().features(torch.nn.functional.interpolate(x, (32, 32)))


@pytest.mark.slow
def test_evaluation_prints_and_leaves_its_numbers(said, place, tmp_path, monkeypatch):
    """On a classifier of random weights: which network is another matter."""
    from eae_core.cli import evaluate

    network = ClassifierFeatures(Shrinking(3, 10), "FD-nothing")
    monkeypatch.setattr(evaluate, "networks", lambda *words: [network])
    words = ["--data", place / "photos", "--test-fraction", "0.4", "--samples", 30]
    status, out, err = said("evaluate", place / "run", *words, "-o", tmp_path / "out", QUIET)
    assert status == 0
    assert "trained on 36 other images" in err
    assert "left out: mixture, which needs 30 training images" in err
    for text in ("30 samples beside 16 test images of photos", "FD-nothing", "KID", "recall"):
        assert text in out
    assert "16 codes, d = 2" in out
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["samples"] == 30
    assert found["fd_nothing_gaussian"] > 0
    assert 0 <= found["recall_nothing_standard"] <= 1
    row = next(line for line in out.splitlines() if line.startswith("gaussian"))
    assert f"{found['fd_nothing_gaussian']:.4g}" in row
    assert (tmp_path / "out" / "sheet.webp").exists()
    assert "from above: own 1, own 2, standard 1, standard 2, gaussian 1" in out


def test_too_few_test_images_are_refused_before_the_work(said, place, tmp_path):
    status, out, err = said("evaluate", place / "run", "--data", place / "photos", QUIET)
    assert (status, out) == (2, "")
    assert "the picture shows 10 test images, there are 4: take a larger --test-fraction" in err


def test_a_grey_folder_for_a_model_of_colours(said, place, tmp_path):
    (tmp_path / "grey").mkdir()
    for number in range(12):
        Image.new("L", (9, 9), 20 * number).save(tmp_path / "grey" / f"{number}.png")
    assert said("encode", place / "run", "--data", tmp_path / "grey", "-o", "z.npy")[0] == 0
    assert np.load("z.npy").shape == (12, 2)


def refusals(place):
    run, photo = place / "run", place / "photos" / "000.png"
    evaluate = ["evaluate", run, "--data", place / "photos", "--test-fraction", "0.4"]
    return [
        (["sample", "nowhere"], "there is no model nowhere"),
        (["sample", place / "photos"], "there is no model"),
        (["sample", photo], "damaged or no checkpoint"),
        (["sample", run, "-n", "0"], "-n must be at least 1"),
        (["sample", run, "--seed", "-1"], "--seed must be a whole number"),
        (["sample", run, "--device", "gpu"], "unknown device 'gpu'"),
        (["sample", run, "-o", place / "photos"], "is not empty"),
        (["encode", run], "name picture files, or data with --data"),
        (["encode", run, photo, "--data", "digits"], "one of the two"),
        (["encode", run, photo, "-o", "z.txt"], "an .npy or .npz file, not z.txt"),
        (["encode", run, "nothing.png"], "nothing.png cannot be read as a picture"),
        (["encode", run, "--data", "digits"], "digits has (1, 32, 32)"),
        (["encode", run, "--data", "nothing"], "no file or folder of this name"),
        (["reconstruct", run, photo, "-o", "z.jpg"], "a .png or .webp file, not z.jpg"),
        (
            ["interpolate", run, photo, photo, "--steps", "1"],
            "must lie in 2..1000, with the two ends",
        ),
        ([*evaluate, "--networks", "classifier"], "labelled"),
        ([*evaluate, "--samples", "4"], "--samples must be at least 5"),
        (["export", run], "say which: --onnx, --torch or --safetensors"),
    ]


def test_what_cannot_be_done_is_refused(said, place, tmp_path):
    for words, message in refusals(place):
        status, out, err = said(*words)
        assert (status, out) == (2, ""), words
        assert message in err, words
    assert not list(tmp_path.iterdir())


def test_a_fitted_distribution_needs_codes(said, place, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((place / "run/model.safetensors").read_bytes())
    words = ["sample", tmp_path, "--distribution", "mixture", "-o", tmp_path / "out"]
    status, _, err = said(*words)
    assert status == 2
    assert f"encode {tmp_path} --data WHERE --split train -o {tmp_path / 'codes.npy'}" in err
    np.save(tmp_path / "codes.npy", np.load(place / "run" / "codes.npy")[:20])
    status, _, err = said(*words)
    assert status == 2
    assert "needs at least 30 codes" in err
    assert not (tmp_path / "out").exists()


def test_tables_have_no_pictures(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(60, 5)))
    words = ["--width", 2, "--latent-dim", 2, "--batch-size", 10, "--epochs", 1, QUIET]
    assert said("train", "--data", "x.npy", *words, "--output", "run")[0] == 0
    assert said("sample", "run", "-n", 7)[0] == 0
    assert np.load("samples/samples.npz")["images"].shape == (7, 5)
    assert said("encode", "run", "--data", "x.npy")[0] == 0
    assert np.load("codes.npy").shape == (60, 2)
    for verb in (["sample", "run", "--format", "png", "-o", "s"], ["reconstruct", "run", "x.png"],
                 ["evaluate", "run", "--data", "x.npy"]):  # fmt: skip
        status, _, err = said(*verb)
        assert status == 2
        assert "which are no pictures" in err
