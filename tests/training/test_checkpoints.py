"""The checkpoint file: what it holds, and what is said of files that are something else."""

import json
import os
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from eae_core.data import load_images
from eae_core.models import EAEOptions, build_model
from eae_core.training import CheckpointError, TrainOptions, checkpoints, fit, load_model
from eae_core.training.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from eae_core.training.identity import differences


@pytest.fixture(scope="module")
def digits():
    return load_images("digits", limit=48)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits):
    """A small EAE and its checkpoint after two epochs."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = build_model("eae", (1, 32, 32), latent_dim=3, width=2, options=EAEOptions(k=2))
    path = tmp_path_factory.mktemp("runs") / "eae.safetensors"
    options = TrainOptions(epochs=2, batch_size=16, device="cpu", progress=False)
    return model, path, fit(model, digits, options, checkpoint=path)


@pytest.fixture
def copy(trained, tmp_path):
    return Path(shutil.copy(trained[1], tmp_path / "eae.safetensors"))


def rewritten_header(path, change):
    """The same file with another JSON header."""
    checkpoint = read_checkpoint(path)
    with checkpoints.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["eae_core"])
    change(header)
    save_file(dict(checkpoint.weights), path, {"eae_core": json.dumps(header)})


def test_a_loaded_model_computes_what_the_trained_one_did(trained, digits):
    model, path, _ = trained
    loaded = load_model(path)
    x = digits.batch(slice(0, 10))
    assert loaded.config == model.config
    assert not loaded.training
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))
        assert torch.equal(loaded.encode(x), model.encode(x))


def test_a_checkpoint_holds_all_of_a_run(trained, digits):
    model, path, history = trained
    saved = read_checkpoint(path)
    assert saved.config == model.config
    assert saved.options["batch_size"] == 16
    assert saved.options["device"] == "cpu"
    assert saved.images == {
        "name": "digits", "split": "train", "checksum": digits.checksum, "number": 48,
    }  # fmt: skip
    assert (saved.epoch, saved.step) == (2, 0)
    assert saved.epochs == history.epochs
    assert saved.peak_memory_bytes == history.peak_memory_bytes
    assert saved.weights.keys() == model.state_dict().keys()
    assert "code_norm.running_mean" in saved.weights
    count = len(list(model.parameters()))
    expected = {f"{i}/{key}" for i in range(count) for key in ("step", "exp_avg", "exp_avg_sq")}
    assert saved.optimizer.keys() == expected
    assert saved.random.keys() == {"cpu"}


def test_a_real_model_resumes_to_the_same_bits(digits, tmp_path, assert_same_weights):
    models = []
    for _ in range(3):
        with torch.random.fork_rng([]):
            torch.manual_seed(1)
            models.append(build_model("eae", (1, 32, 32), latent_dim=3, width=2))
    straight, first, then = models
    options = {"batch_size": 16, "device": "cpu", "progress": False}
    fit(straight, digits, TrainOptions(epochs=3, **options))
    path = tmp_path / "eae.safetensors"
    fit(first, digits, TrainOptions(epochs=1, **options), checkpoint=path)
    fit(then, digits, TrainOptions(epochs=3, **options), checkpoint=path)
    assert_same_weights(then, straight)
    assert_same_weights(load_model(path), straight)


def test_a_checkpoint_is_read_back_as_it_was_written(trained, tmp_path):
    saved = read_checkpoint(trained[1])
    write_checkpoint(tmp_path / "again.safetensors", saved)
    again = read_checkpoint(tmp_path / "again.safetensors")
    for field in fields(Checkpoint):
        old, new = getattr(saved, field.name), getattr(again, field.name)
        if old and isinstance(old, dict) and isinstance(next(iter(old.values())), torch.Tensor):
            assert old.keys() == new.keys()
            assert all(torch.equal(old[key], new[key]) for key in old)
        else:
            assert old == new


def test_what_was_read_outlives_the_file(copy):
    saved = read_checkpoint(copy)
    before = {name: tensor.clone() for name, tensor in saved.weights.items()}
    copy.write_bytes(b"\xff" * copy.stat().st_size)
    assert all(torch.equal(saved.weights[name], before[name]) for name in before)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*nothing\.safetensors"):
        load_model(tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_model(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_a_file_cut_short_is_named(copy, kept):
    content = copy.read_bytes()
    copy.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    with pytest.raises(CheckpointError, match=r"eae\.safetensors is damaged or no checkpoint"):
        load_model(copy)


def test_other_files_are_named(tmp_path):
    text, foreign = tmp_path / "notes.txt", tmp_path / "foreign.safetensors"
    text.write_text("no tensors here, but enough characters to look like a header")
    with pytest.raises(CheckpointError, match=r"notes\.txt is damaged or no checkpoint"):
        load_model(text)
    save_file({"x": torch.zeros(2)}, foreign)
    with pytest.raises(CheckpointError, match=r"foreign\.safetensors .* no checkpoint of eae_core"):
        load_model(foreign)
    save_file({"x": torch.zeros(2)}, foreign, {"eae_core": "{}"})
    with pytest.raises(CheckpointError, match=r"foreign\.safetensors .* no checkpoint of eae_core"):
        load_model(foreign)


def test_another_format_is_named(copy):
    rewritten_header(copy, lambda header: header.update(format=99))
    with pytest.raises(CheckpointError, match="format 99, this eae_core reads 2"):
        load_model(copy)


def test_a_missing_or_unknown_entry_is_named(trained, copy):
    rewritten_header(copy, lambda header: header.pop("epoch"))
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(copy)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "vqvae"}, "unknown model 'vqvae'"),
        ({"options": {"colour": 1}}, "colour"),
    ],
)
def test_a_model_that_cannot_be_rebuilt_says_why(trained, tmp_path, change, reason):
    saved = read_checkpoint(trained[1])
    saved.config.update(change)
    write_checkpoint(tmp_path / "a.safetensors", saved)
    with pytest.raises(CheckpointError, match=rf"(?s)a\.safetensors holds a model .*{reason}"):
        load_model(tmp_path / "a.safetensors")


def test_a_full_disk_leaves_the_old_checkpoint(trained, copy, monkeypatch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half of it")
        raise SafetensorError("I/O error: No space left on device")

    saved, content = read_checkpoint(copy), copy.read_bytes()
    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OSError, match=r"cannot write .*eae\.safetensors .*No space left"):
        write_checkpoint(copy, saved)
    assert copy.read_bytes() == content
    assert os.listdir(copy.parent) == [copy.name]


def test_differences_go_into_nested_fields():
    saved = {"a": 1, "b": {"c": [1, 2], "d": None}, "gone": True}
    asked = {"a": 1, "b": {"c": [1, 3], "d": None, "new": 0}}
    assert [name for name, _ in differences(saved, asked)] == ["b.c", "b.new", "gone"]
    assert dict(differences(saved, asked))["b.new"] == "b.new (saved 'nothing', asked 0)"
    assert list(differences(saved, saved)) == []
