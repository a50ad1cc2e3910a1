"""The script that has Inception judge trained models, at toy size, without Inception itself."""

import pytest
import torch

from eae_book.records import load_records, new_record, record_text
from eae_core.data import load_images
from eae_core.models import build_model
from eae_core.training import TrainOptions, fit


class Means:
    """An extractor of five means of an image, quick where Inception is slow."""

    name, checksum = "FID-768", "0" * 64

    def features(self, x):
        return torch.stack([part.mean((1, 2, 3)) for part in x.tensor_split(5, dim=2)], dim=1)


def leave(root, model_name, seed):
    """A run as the matrix leaves it: weights, and the record beside them."""
    folder = root / "cpu" / f"digits-{model_name}-seed{seed}-0123456789ab"
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    model = build_model(model_name, (1, 32, 32), 3, width=1)
    options = TrainOptions(epochs=2, batch_size=20, device="cpu", progress=False)
    fit(model, load_images("digits", limit=60), options, checkpoint=folder / "model.safetensors")
    record = new_record(
        "models-cpu",
        f"digits-{model_name}-seed{seed}",
        parameters={"dataset": "digits", "model": model_name, "images": 60},
        metrics={},
        seeds=[seed],
        device="cpu",
    )
    (folder / "record.json").write_text(record_text(record))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    root = tmp_path_factory.mktemp("matrix")
    for model_name, seed in (("ae", 0), ("ae", 1), ("two_stage_vae", 0)):
        leave(root, model_name, seed)
    return root


@pytest.fixture
def words(tmp_path, matrix, script, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(script, "inception_features", lambda device: Means())
    sizes = "--datasets digits --samples 12 --references 20 --device cpu --seeds 0 --models ae"
    return [*sizes.split(), "--records", str(tmp_path), "--matrix", str(matrix)]


def test_both_networks_judge_the_same_images_once(script, words, tmp_path, capsys):
    assert script.main(words) == 0
    (record,) = load_records("models-inception", tmp_path)
    assert record.run == "digits-ae-seed0"
    assert record.parameters["samples"] == 12
    assert record.parameters["trained"].startswith("models-cpu digits-ae-seed0 20")
    assert list(record.parameters["extractors"]) == ["FD-classifier", "FID-768"]
    for made in ("standard", "mixture", "reconstruction", "real"):
        for name in ("fd_classifier", "kid_classifier", "fid_768", "kid_768"):
            assert isinstance(record.metrics[f"{name}_{made}"], float)
    # An untrained decoder's images are much further away than other digits.
    assert record.metrics["fid_768_real"] < record.metrics["fid_768_standard"] / 10
    capsys.readouterr()
    assert script.main(words) == 0
    assert "1 models, 1 of them recorded already" in capsys.readouterr().out


def test_a_model_with_a_law_of_its_own_is_judged_by_that_too(script, words, tmp_path):
    assert script.main([*words, "--models", "two_stage_vae"]) == 0
    (record,) = load_records("models-inception", tmp_path)
    assert {"kid_768_prior", "kid_classifier_prior"} <= record.metrics.keys()


def test_a_dry_run_judges_nothing(script, words, tmp_path, capsys):
    assert script.main([*words, "--seeds", "0", "1", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "record 2 of 2: digits-ae-seed1" in printed
    with pytest.raises(FileNotFoundError):
        load_records("models-inception", tmp_path)


def test_runs_are_picked_by_patterns_of_their_names(script, words, capsys):
    command = [*words, "--seeds", "0", "1", "--dry-run", "--runs"]
    assert script.main([*command, "*-seed1"]) == 0
    assert "record 1 of 1: digits-ae-seed1" in capsys.readouterr().out
    assert script.main([*command, "digits-ae-*", "nothing"]) == 0
    assert "2 models" in capsys.readouterr().out


def test_other_numbers_of_images_under_the_same_name_are_refused(script, words, capsys):
    assert script.main(words) == 0
    assert script.main([*words, "--samples", "13"]) == 1
    assert "samples is 12, asked is 13" in capsys.readouterr().err
