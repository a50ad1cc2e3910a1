"""The script that bounds entropies of generators, at toy size on embedded data."""

import pytest
import torch

from eae_book.gans import AdversarialOptions
from eae_book.gans.adversarial import fit_adversarial
from eae_book.gans.generators import build_generator
from eae_book.gans.unpadded import unpadded_images
from eae_book.records import load_records


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    model = build_generator("gan", latent_dim=3, width=1)
    options = AdversarialOptions(epochs=1, batch_size=20, device="cpu", progress=False)
    path = folder / "generators-cpu" / "digits-gan-seed0.safetensors"
    path.parent.mkdir()
    fit_adversarial(model, unpadded_images("digits", limit=40), options, checkpoint=path)
    return folder


@pytest.fixture
def words(tmp_path, checkpoints):
    sizes = "--dataset digits --models gan --steps 2 --width 1 --samples 4 --device cpu"
    folders = ["--records", str(tmp_path), "--checkpoints", str(checkpoints)]
    return [*sizes.split(), "--no-progress", *folders]


def names(tmp_path):
    return {record.run: record for record in load_records("encoder-bounds", tmp_path)}


def test_every_fit_and_the_best_posteriors_leave_a_record(script, words, tmp_path, capsys):
    assert script.main(words) == 0
    found = names(tmp_path)
    kinds = {(r.parameters["scale"], r.parameters.get("start")) for r in found.values()}
    assert kinds == {
        (0.01, None), (0.01, "prior"), (0.01, "metric"), (0.0001, None), (0.0001, "metric")
    }  # fmt: skip
    assert len(found) == 2 + 3 * 4
    best = found["digits-gan-seed0-best-s0.01"]
    assert best.metrics["entropy"] <= best.metrics["diagonal"]
    assert best.metrics["tightest"] == min(best.curves["bound"])
    fit = found["digits-gan-seed0-free-full-prior-s0.01"]
    assert fit.parameters["generator"] == "digits-gan-seed0"
    assert fit.curves["step"] == [1, 2]
    assert fit.notes == "scikit-learn digits in place of MNIST"
    capsys.readouterr()
    assert script.main(words) == 0
    assert "14 records, 14 of them there already" in capsys.readouterr().out


def test_a_dry_run_measures_nothing(script, words, tmp_path, capsys):
    assert script.main([*words, "--dry-run"]) == 0
    assert "record 14 of 14: " in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        names(tmp_path)


def test_a_generator_that_is_not_there_is_named_and_passed_over(script, words, capsys):
    assert script.main([*words, "--models", "wgan_gp"]) == 0
    out = capsys.readouterr().out
    assert "digits-wgan_gp-seed0-best-s0.01: no checkpoint" in out
    assert "nats" not in out


def test_other_sizes_under_the_same_name_are_refused(script, words, capsys):
    only = ["--scales", "0.01", "--starts", "metric"]
    assert script.main([*words, *only]) == 0
    assert script.main([*words, *only, "--steps", "3"]) == 1
    assert "steps is 2, asked is 3" in capsys.readouterr().err
