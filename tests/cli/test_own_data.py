"""The verb train on files of one's own."""

import numpy as np
import pytest
import torch

from eae_core.cli.folders import read_results
from eae_core.data import own
from eae_core.training import load_model

SMALL = ["--width", 2, "--latent-dim", 2, "--batch-size", 10, "--epochs", 1, "--no-progress"]


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "cache"))


def test_a_folder_of_pictures(place):
    record = read_results(place / "run" / "record.json")
    assert record["parameters"]["dataset"] == "photos"
    assert record["parameters"]["size"] == [20, 24]
    assert record["parameters"]["images"] == 36
    assert record["run"] == "photos-eae-d2"
    assert "36 for train and 4 for test of 3 x 20 x 24" in record["notes"]
    assert load_model(place / "run" / "model.safetensors").image_shape == (3, 20, 24)


def test_a_broken_picture_is_named_where_one_looks(said, photos, tmp_path):
    (photos / "torn\x1b[31m.png").write_bytes(b"\x89PNG")
    words = ["--data", photos, "--size", 16, "--output", tmp_path / "run"]
    status, out, _ = said("train", *words, *SMALL)
    assert status == 0
    for text in (out, read_results(tmp_path / "run" / "record.json")["notes"]):
        assert "1 of 21 pictures (torn\\x1b[31m.png: it is none of PNG, JPEG" in text


def test_an_array_of_images_larger_than_the_memory(said, tmp_path, monkeypatch):
    monkeypatch.setattr(own, "RESIDENT_MOST", 1000)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((40, 12, 16), np.float32))
    status, out, _ = said("train", "--data", tmp_path / "x.npy", *SMALL, "--output", tmp_path / "r")
    assert status == 0
    assert "36 for train and 4 for test of 1 x 12 x 16" in out
    assert (tmp_path / "r" / "samples.png").exists()
    mapped = read_results(tmp_path / "r" / "record.json")
    monkeypatch.undo()
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "cache"))
    assert said("train", "--data", tmp_path / "x.npy", *SMALL, "--output", tmp_path / "s")[0] == 0
    assert mapped["curves"] == read_results(tmp_path / "s" / "record.json")["curves"]


def test_a_table(said, tmp_path):
    table = np.random.default_rng(0).normal(100, 20, (50, 6))
    np.savez(tmp_path / "x.npz", table)
    folder = tmp_path / "run"
    assert said("train", "--data", tmp_path / "x.npz", *SMALL, "--output", folder)[0] == 0
    model = load_model(folder / "model.safetensors")
    assert model(torch.zeros(3, 6)).shape == (3, 6)
    assert np.load(folder / "samples.npy").shape == (64, 6)
    assert "test_reconstruction" in read_results(folder / "record.json")["metrics"]


def test_a_logger_gets_every_epoch(said, tmp_path):
    words = ["--limit", 20, *SMALL, "--epochs", 2, "--log", "csv", "--output", tmp_path / "run"]
    assert said("train", *words)[0] == 0
    lines = (tmp_path / "run" / "log" / "metrics.csv").read_text().splitlines()
    assert "reconstruction" in lines[0]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "."], "need one size"),
        (["--data", ".", "--size", "8"], "holds no pictures"),
        (["--data", "x.npy"], "no file or folder of this name"),
        (["--dataset", "digits", "--size", "8"], "has a size of its own"),
        (["--data", ".", "--size", "8", "--test-fraction", "1"], "between 0 and 1"),
        (["--devices", "2"], "name it with --output"),
    ],
)
def test_refusals_come_before_the_work(said, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    status, out, err = said("train", *SMALL, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "_runs").exists()


@pytest.mark.parametrize("words", [["--size", "big"], ["--size", "0"], ["--size", "1x2x3"]])
def test_sizes_that_are_none(said, words):
    with pytest.raises(SystemExit):
        said("train", "--data", ".", *words)


def test_what_fails_after_training_says_what_is_kept(said, tmp_path, monkeypatch):
    from eae_core.cli import train

    def full(*words, **more):
        raise OSError(28, "No space left on device")

    words = ["train", "--limit", 20, *SMALL, "--output", tmp_path / "run"]
    with monkeypatch.context() as patch:
        patch.setattr(train, "write_grid", full)
        status, _, err = said(*words)
    assert status == 1
    assert f"the model is trained and kept in {tmp_path / 'run' / 'model.safetensors'}" in err
    assert "No space left" in err
    assert "--resume" in err
    assert said(*words, "--resume")[0] == 0
    assert (tmp_path / "run" / "samples.png").exists()
