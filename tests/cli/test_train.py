"""The verb train: what it leaves, what it refuses, and what it does not overwrite."""

from dataclasses import asdict, fields

import numpy as np
import pytest
from torch import nn

from eae_core.cli import main
from eae_core.cli.folders import read_results
from eae_core.cli.model_options import description, flag
from eae_core.data import load_images
from eae_core.evaluation import reconstruction_error
from eae_core.models import MODELS, EAEOptions
from eae_core.training import load_model

SMALL = ["--limit", 60, "--batch-size", 20, "--width", 2, "--latent-dim", 3, "--no-progress"]


def test_training_leaves_a_record_a_model_and_samples(said, tmp_path):
    folder = tmp_path / "run"
    status, out, _ = said("train", "--epochs", 1, *SMALL, "--k", 2, "--output", folder)
    assert status == 0
    assert "epoch 1: loss " in out
    assert {path.name for path in folder.iterdir()} == {
        "codes.npy",
        "model.safetensors",
        "record.json",
        "samples.png",
    }
    assert np.load(folder / "codes.npy").shape == (60, 3)
    record = read_results(folder / "record.json")
    assert record["parameters"]["options"] == asdict(EAEOptions(k=2))
    assert record["parameters"]["images"] == 60
    assert record["seeds"] == [0]
    assert len(record["curves"]["entropy"]) == 1
    assert record["notes"].startswith("stand-in data: scikit-learn digits in place of MNIST")
    assert load_model(folder / "model.safetensors").latent_dim == 3
    assert (folder / "samples.png").read_bytes().startswith(b"\x89PNG")

    status, _, err = said("train", "--epochs", 2, *SMALL, "--k", 2, "--output", folder)
    assert status == 2
    assert "holds a finished run" in err
    assert read_results(folder / "record.json") == record
    words = ["train", "--epochs", 2, *SMALL, "--k", 2, "--output", folder, "--resume"]
    assert said(*words)[0] == 0
    assert len(read_results(folder / "record.json")["curves"]["loss"]) == 2
    status, _, err = said(*words, "--learning-rate", "0.5")
    assert status == 1
    assert "learning_rate" in err


def test_the_same_words_train_the_same_model(said, tmp_path):
    for name in "ab":
        words = ["--model", "ae", "--normalize-code", "--seed", 3, "--output", tmp_path / name]
        assert said("train", "--epochs", 1, *SMALL, *words)[0] == 0
    a, b = (read_results(tmp_path / name / "record.json") for name in "ab")
    assert a["curves"] == b["curves"]
    assert a["parameters"]["options"] == {"normalize_code": True}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "eea"], "no model 'eea'; did you mean 'eae'"),
        (["--dataset", "digts"], "did you mean 'digits'"),
        (["--model", "ae", "--k", "1"], "the model ae has no --k; it has --normalize-code"),
        (["--entropy-weight", "-1"], "entropy_weight must be"),
        (["--epochs", "0"], "epochs must be an integer of at least 1"),
        (["--width", "0"], "width"),
        (["--limit", "0"], "limit must be a whole number of at least 1"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--model", "two_stage_vae", "--epochs", "1"], "needs 2 epochs or more"),
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


def test_a_network_with_fewer_convolutions_is_trained_and_read_again(said, tmp_path):
    words = ["--epochs", 1, "--convolutions", 2, "--output", tmp_path]
    assert said("train", *SMALL, *words)[0] == 0
    assert read_results(tmp_path / "record.json")["parameters"]["convolutions"] == 2
    trained = load_model(tmp_path / "model.safetensors")
    assert sum(isinstance(layer, nn.Conv2d) for layer in trained.encoder) == 2


@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains(said, tmp_path, model):
    words = ["--model", model, "--learning-rate-decay", "0.9", "--output", tmp_path]
    words += ["--hidden", 8] if model == "two_stage_vae" else []
    status, out, err = said("train", "--epochs", 2, *SMALL, *words)
    assert (status, err) == (0, "")
    record = read_results(tmp_path / "record.json")
    assert record["parameters"]["model"] == model
    assert record["parameters"]["learning_rate_decay"] == 0.9
    assert record["metrics"]["test_reconstruction"] > 0
    assert f"test images: reconstruction {record['metrics']['test_reconstruction']:.4g}" in out
    assert all(len(curve) == 2 for curve in record["curves"].values())
    trained = load_model(tmp_path / "model.safetensors")
    assert trained.name == model
    test = load_images("digits", "test", limit=60)
    error = reconstruction_error(trained, test)
    assert record["metrics"]["test_reconstruction"] == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--model", "vae"], {"beta": 0.072}),  # published for CIFAR-10, for which shapes32 stands
        (["--model", "vae", "--beta", "0.5"], {"beta": 0.5}),
        (["--model", "rae_gp", "--gradient", "jacobian", "--gradient-penalty", "2"],
         {"latent_weight": 0.0432, "gradient_penalty": 2.0, "gradient": "jacobian"}),
        (["--model", "ae_l2", "--decoder-l2-stem"],
         {"decoder_l2": 3.072e-3, "decoder_l2_stem": True}),
        (["--model", "eae", "--decoder-l2", "0"], asdict(EAEOptions())),
    ],
)  # fmt: skip
def test_options_are_those_given_then_those_published(said, tmp_path, words, options):
    small = ["--dataset", "shapes32", *SMALL]
    assert said("train", "--epochs", 1, *small, *words, "--output", tmp_path)[0] == 0
    assert read_results(tmp_path / "record.json")["parameters"]["options"] == options


def test_help_names_every_model_and_option(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, (_, options) in MODELS.items():
        assert name in shown
        for field in fields(options):
            assert flag(field.name) in shown
            assert description(options, field.name), f"{options.__name__}.{field.name}"


def test_a_run_of_another_model_or_with_other_weights_is_not_resumed(said, tmp_path):
    words = ["train", "--epochs", 1, *SMALL, "--output", tmp_path]
    assert said(*words, "--model", "vae")[0] == 0
    for change, message in (
        (["--model", "wae"], "config.name (saved 'vae', asked 'wae')"),
        (["--model", "vae", "--beta", 2], "config.options.beta (saved 0.312, asked 2.0)"),
    ):
        status, _, err = said(*words, *change, "--resume")
        assert status == 1
        assert "holds another run" in err
        assert message in err


def test_there_must_be_something_to_resume(said, tmp_path):
    status, _, err = said("train", *SMALL, "--output", tmp_path, "--resume")
    assert status == 2
    assert f"there is no run in {tmp_path} to resume" in err


def test_an_unwritable_output_folder_is_named(said, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = said("train", *SMALL, "--output", tmp_path / "file" / "run")
    assert status == 1
    assert f"cannot write {tmp_path / 'file' / 'run'}" in err


def test_a_regularizer_by_its_name(said, tmp_path):
    words = ["--regularizer", "sigreg", "--entropy-weight", "0.5", "--output", tmp_path / "run"]
    status, out, _ = said("train", "--epochs", 1, *SMALL, *words)
    assert status == 0
    assert "regularizer" in out
    record = read_results(tmp_path / "run" / "record.json")
    assert record["parameters"]["options"]["regularizer"] == "sigreg"
    assert len(record["curves"]["regularizer"]) == 1
    assert load_model(tmp_path / "run" / "model.safetensors").options.regularizer == "sigreg"


def test_the_pin_on_the_norms(said, tmp_path):
    words = ["--radial-weight", "20", "--output", tmp_path / "run"]
    assert said("train", "--epochs", 1, *SMALL, *words)[0] == 0
    record = read_results(tmp_path / "run" / "record.json")
    assert {"entropy", "radial"} <= record["curves"].keys()
