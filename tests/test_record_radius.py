"""The script that decodes the same points at a Gaussian's norms and at one norm."""

import pytest
import torch

from eae_book.records import load_records, new_record, record_text
from eae_core.data import load_images
from eae_core.models import build_model
from eae_core.training import TrainOptions, fit


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders as the contest leaves them: one of a seed, one of a trial."""
    root = tmp_path_factory.mktemp("runs")
    images = load_images("digits", limit=60)
    torch.manual_seed(0)
    model = build_model("eae", (1, 32, 32), 3, width=1)
    options = TrainOptions(epochs=1, batch_size=20, device="cpu", progress=False)
    for experiment, run in (("models-contest", "seed0"), ("models-contest-trials", "c0-seed0")):
        folder = root / "contest" / run
        folder.mkdir(parents=True)
        fit(model, images, options, checkpoint=folder / "model.safetensors")
        record = new_record(
            experiment,
            f"digits-eae-d3-n20-knn-{run}",
            parameters={"dataset": "digits", "model": "eae", "images": 60, "options": {}},
            metrics={},
            seeds=[0],
            device="cpu",
        )
        (folder / "record.json").write_text(record_text(record))
    return root


def test_both_distances_of_each_trained_model_are_recorded_once(script, runs, tmp_path, capsys):
    words = f"--datasets digits --samples 30 --device cpu --records {tmp_path} --matrix {runs}"
    assert script.main(words.split()) == 0
    (record,) = load_records("contest-radius", tmp_path)
    assert record.run == "digits-eae-d3-n20-knn-seed0"
    gaussian, sphere = (record.metrics[f"fd_classifier_{of}"] for of in ("gaussian", "sphere"))
    assert gaussian > 0
    assert sphere > 0
    assert gaussian != sphere
    capsys.readouterr()
    assert script.main(words.split()) == 0
    assert "1 models, 1 of them recorded already" in capsys.readouterr().out
