"""The script that measures entropies of trained models, at toy size on embedded data."""

import pytest
import torch

from eae_book.records import load_records, new_record, record_text
from eae_core.data import load_images
from eae_core.models import EAEOptions, build_model
from eae_core.training import TrainOptions, fit


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """A run as the matrix leaves it: weights, and the record beside them."""
    folder = tmp_path_factory.mktemp("matrix") / "cpu" / "digits-eae-w0.5-seed0-0123456789ab"
    folder.mkdir(parents=True)
    images = load_images("digits", limit=60)
    torch.manual_seed(0)
    model = build_model("eae", (1, 32, 32), 3, width=1, options=EAEOptions(entropy_weight=0.5))
    options = TrainOptions(epochs=1, batch_size=20, device="cpu", progress=False)
    fit(model, images, options, checkpoint=folder / "model.safetensors")
    said = {"dataset": "digits", "model": "eae", "width": 1, "latent_dim": 3, "epochs": 1}
    record = new_record(
        "models-cpu",
        "digits-eae-w0.5-seed0",
        parameters={**said, "images": 60, "options": {"entropy_weight": 0.5}},
        metrics={},
        seeds=[0],
        device="cpu",
    )
    (folder / "record.json").write_text(record_text(record))
    return folder.parent.parent


@pytest.fixture
def words(tmp_path, matrix):
    sizes = "--datasets digits --samples 5 --device cpu"
    folders = ["--records", str(tmp_path), "--matrix", str(matrix)]
    return [*sizes.split(), *folders, "--checkpoints", str(tmp_path / "none")]


def test_a_model_leaves_a_record_with_three_laws_of_codes(script, words, tmp_path, capsys):
    assert script.main(words) == 0
    (record,) = load_records("decoder-lens", tmp_path)
    assert record.run == "digits-eae-w0.5-seed0"
    assert record.parameters["entropy_weight"] == 0.5
    assert record.parameters["trained"].startswith("models-cpu digits-eae-w0.5-seed0 20")
    for law in ("standard", "gaussian", "codes"):
        total = record.metrics[f"code_entropy_{law}"] + record.metrics[f"stretch_{law}"]
        assert record.metrics[f"entropy_{law}"] == pytest.approx(total)
        assert record.curves[f"entropy_{law}"][-1] == record.metrics[f"entropy_{law}"]
    assert record.curves["scale"] == [0.1, 0.01, 0.001, 0.0001]
    capsys.readouterr()
    assert script.main(words) == 0
    assert "1 models, 1 of them recorded already" in capsys.readouterr().out


def test_a_dry_run_measures_nothing(script, words, tmp_path, capsys):
    assert script.main([*words, "--dry-run"]) == 0
    assert "record 1 of 1: digits-eae-w0.5-seed0" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        load_records("decoder-lens", tmp_path)


def test_models_that_were_not_asked_for_are_left_alone(script, words, capsys):
    assert script.main([*words, "--models", "ae"]) == 0
    assert "0 models" in capsys.readouterr().out


def test_other_samples_under_the_same_name_are_refused(script, words, capsys):
    assert script.main(words) == 0
    assert script.main([*words, "--samples", "6"]) == 1
    assert "samples is 5, asked is 6" in capsys.readouterr().err
