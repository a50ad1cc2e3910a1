"""The verb train: what it leaves, what it refuses, and what it does not overwrite."""

import pytest

from eae_core.cli import main
from eae_core.records import read_record
from eae_core.training import load_model

SMALL = ["--limit", 60, "--batch-size", 20, "--width", 2, "--latent-dim", 3, "--no-progress"]


@pytest.fixture
def said(capsys):
    """Call a verb in this process; returns the status and what it wrote."""

    def said(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return said


def test_training_leaves_a_record_a_model_and_samples(said, tmp_path):
    folder = tmp_path / "run"
    status, out, _ = said("train", "--epochs", 1, *SMALL, "--k", 2, "--output", folder)
    assert status == 0
    assert "epoch 1: loss " in out
    assert {path.name for path in folder.iterdir()} == {
        "model.safetensors",
        "record.json",
        "samples.png",
    }
    record = read_record(folder / "record.json")
    assert record.parameters["options"] == {"entropy_weight": 1.0, "k": 2}
    assert record.parameters["images"] == 60
    assert record.seeds == [0]
    assert len(record.curves["entropy"]) == 1
    assert record.notes == "stand-in data: scikit-learn digits in place of MNIST"
    assert load_model(folder / "model.safetensors").latent_dim == 3
    assert (folder / "samples.png").read_bytes().startswith(b"\x89PNG")

    status, _, err = said("train", "--epochs", 2, *SMALL, "--k", 2, "--output", folder)
    assert status == 2
    assert "holds a finished run" in err
    assert read_record(folder / "record.json") == record
    words = ["train", "--epochs", 2, *SMALL, "--k", 2, "--output", folder, "--resume"]
    assert said(*words)[0] == 0
    assert len(read_record(folder / "record.json").curves["loss"]) == 2
    status, _, err = said(*words, "--learning-rate", "0.5")
    assert status == 1
    assert "learning_rate" in err


def test_the_same_words_train_the_same_model(said, tmp_path):
    for name in "ab":
        words = ["--model", "ae", "--normalize-code", "--seed", 3, "--output", tmp_path / name]
        assert said("train", "--epochs", 1, *SMALL, *words)[0] == 0
    a, b = (read_record(tmp_path / name / "record.json") for name in "ab")
    assert a.curves == b.curves
    assert a.parameters["options"] == {"normalize_code": True}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "eea"], "no model 'eea'; did you mean 'eae'"),
        (["--dataset", "digts"], "did you mean 'digits'"),
        (["--model", "ae", "--k", "1"], "the model ae has no --k; it has --normalize-code"),
        (["--model", "ae", "--entropy-weight", "1"], "ae has no --entropy-weight"),
        (["--normalize-code"], "the model eae has no --normalize-code"),
        (["--entropy-weight", "-1"], "entropy_weight must be"),
        (["--epochs", "0"], "epochs must be an integer of at least 1"),
        (["--width", "0"], "width"),
        (["--latent-dim", "0"], "latent_dim"),
        (["--limit", "0"], "limit must be at least 1"),
        (["--batch-size", "2"], "batch_size 2 is too small"),
        (["--precision", "16"], "precision must be"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--resume"], "name it with --output"),
    ],
)
def test_impossible_training_is_refused(said, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    if "--resume" not in words:
        words = [*words, "--output", tmp_path / "run"]
    status, out, err = said("train", *SMALL, *words)
    assert (status, out) == (2, "")
    assert message in err
    assert not list(tmp_path.glob("run/*"))


def test_there_must_be_something_to_resume(said, tmp_path):
    status, _, err = said("train", *SMALL, "--output", tmp_path, "--resume")
    assert status == 2
    assert f"there is no run in {tmp_path} to resume" in err


def test_an_unwritable_output_folder_is_named(said, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = said("train", *SMALL, "--output", tmp_path / "file" / "run")
    assert status == 1
    assert f"cannot write {tmp_path / 'file' / 'run'}" in err
