"""The script that trains and measures the generators, at toy size on embedded data."""

import json
from dataclasses import replace

import pytest
import torch

from eae_book.gans import load_generator
from eae_book.gans.generators import GENERATORS
from eae_book.records import load_records, read_record
from eae_book.sheets import read_sheet
from eae_core import decoder_entropy
from eae_core.entropy.decoder import log_normal

NAMES = ("gan", "wgan", "wgan_gp", "wgan_gp_corrected", "lee_vae")


@pytest.fixture
def words(tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "data"))
    sizes = "--width 3 --latent-dim 3 --limit 130 --samples 12 --judged 100 --epochs 2"
    folders = ["--records", str(tmp_path / "results"), "--checkpoints", str(tmp_path / "saved")]
    return ["--datasets", "digits", *sizes.split(), "--device", "cpu", "--no-progress", *folders]


def cells(script, *words):
    return script.planned(script.parse([*words]))


def test_table_2_is_every_model_on_two_sets_and_every_seed(script):
    planned = cells(script, "--table", "2", "--seeds", "0", "1")
    runs = [cell.run for cell in planned]
    assert runs[:5] == [f"mnist-{name}-seed0" for name in NAMES]
    assert runs[5:10] == [f"fashion_mnist-{name}-seed0" for name in NAMES]
    assert runs[10:] == [run.replace("seed0", "seed1") for run in runs[:10]]
    assert {cell.experiment for cell in planned} == {"generators-cpu"}


def test_table_3_ends_in_a_cell_of_table_2(script):
    alone = [cell.run for cell in cells(script, "--table", "3")]
    assert alone == [*(f"mnist-lee_vae-upto{k}-seed0" for k in range(9)), "mnist-lee_vae-seed0"]
    both = [cell.run for cell in cells(script, "--table", "2", "3")]
    assert len(both) == len(set(both)) == 10 + 9


def test_a_profile_gives_sizes_and_words_replace_them(script):
    (cpu, *_) = cells(script, "--table", "2")
    (paper, *_) = cells(script, "--table", "2", "--profile", "paper")
    assert (cpu.sizes.width, cpu.sizes.limit, cpu.sizes.seen) == (32, 12_500, 50_000)
    assert (paper.sizes.width, paper.sizes.limit, paper.epochs) == (64, None, 64)
    assert {cpu.sizes.latent_dim, paper.sizes.latent_dim} == {62}
    assert {cpu.sizes.batch_size, paper.sizes.batch_size} == {64}
    (own, *_) = cells(script, "--width", "8", "--epochs", "3", "--latent-dim", "2")
    assert (own.sizes.width, own.epochs, own.sizes.seen, own.sizes.latent_dim) == (8, 3, None, 2)


def test_cells_see_about_the_same_number_of_images_whatever_their_classes(script):
    sizes = replace(script.PROFILES["cpu"], limit=500, seen=3000)
    seen = []
    for cell in cells(script, "--datasets", "digits", "--upto", "0", "1", "4", "9"):
        cell = replace(cell, sizes=sizes)
        classes = 10 if cell.upto is None else cell.upto + 1
        assert set(cell.images.labels.tolist()) == set(range(classes))
        seen.append(cell.epochs * len(cell.images))
    assert cell.upto is None
    assert all(2850 < count < 3150 for count in seen)


def test_every_model_leaves_a_record_a_sheet_and_a_checkpoint(script, words, tmp_path):
    assert script.main([*words, "--models", "wgan_gp", "lee_vae"]) == 0
    vae, gan = load_records("generators-cpu", tmp_path / "results")
    assert [record.run for record in (vae, gan)] == ["digits-lee_vae-seed0", "digits-wgan_gp-seed0"]
    assert vae.curves.keys() == {"loss", "reconstruction", "kl", "mean_log_singular_values"}
    assert "critic_penalty" in gan.curves
    for record in (vae, gan):
        assert record.parameters["images"] == 130
        assert record.notes == "scikit-learn digits in place of MNIST"
        metrics = record.metrics
        rising = [metrics[f"entropy_1e-{k}"] for k in (4, 3, 2)]
        assert rising == sorted(rising)
        assert metrics["entropy"] == rising[0]
        assert metrics["standard_error"] > 0
        assert metrics["smallest_value"] < metrics["entropy"] < metrics["largest_value"]
        assert metrics["total_variation_of_data"] > metrics["total_variation"] > 0
        assert metrics["fd_classifier_samples"] > 0
        for term in record.curves.keys() - {"mean_log_singular_values"}:
            assert metrics[f"final_{term}"] == record.curves[term][-1]
        sheet = tmp_path / "results" / "generators-cpu" / f"{record.run}.png"
        assert read_sheet(sheet, (1, 28, 28)).shape[:2] == (5, 10)
        model = load_generator(tmp_path / "saved" / "generators-cpu" / f"{record.run}.safetensors")
        assert model.name == record.parameters["model"]


def test_the_entropies_are_those_of_the_checkpoint(script, words, tmp_path):
    assert script.main([*words, "--models", "gan"]) == 0
    (record,) = load_records("generators-cpu", tmp_path / "results")
    model = load_generator(tmp_path / "saved" / "generators-cpu" / f"{record.run}.safetensors")
    for scale, name in ((1e-2, "entropy_1e-2"), (1e-3, "entropy_1e-3"), (1e-4, "entropy")):
        found = decoder_entropy(model.decode, 3, samples=12, scale=scale)
        assert record.metrics[name] == pytest.approx(found.entropy, rel=1e-9)
    assert record.metrics["standard_error"] == pytest.approx(found.standard_error, rel=1e-9)
    assert record.metrics["rank_deficient"] == found.rank_deficient
    # Without noise the logarithms of the stretches add up to that of the volume.
    spectrum = record.curves["mean_log_singular_values"]
    assert len(spectrum) == 3
    assert spectrum == sorted(spectrum, reverse=True)
    z = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = decoder_entropy(model.decode, 3, samples=12, scale=1e-14)
    assert sum(spectrum) - log_normal(z).mean().item() == pytest.approx(found.entropy, abs=1e-4)


def test_a_subset_of_classes_is_recorded_under_its_name_and_not_judged(script, words, tmp_path):
    assert script.main([*words, "--models", "lee_vae", "--upto", "1"]) == 0
    (record,) = load_records("generators-cpu", tmp_path / "results")
    assert record.run == "digits-lee_vae-upto1-seed0"
    assert record.parameters["upto"] == 1
    assert "fd_classifier_samples" not in record.metrics


def test_a_recorded_cell_is_skipped_and_an_outdated_one_trained_anew(
    script, words, tmp_path, capsys
):
    words = [*words, "--models", "gan"]
    assert script.main(words) == 0
    assert script.main(words) == 0
    assert "1 cells, 1 of them recorded already" in capsys.readouterr().out
    path = tmp_path / "results" / "generators-cpu" / "digits-gan-seed0.json"
    before = read_record(path)
    content = json.loads(path.read_text())
    content["revisions"]["generator networks"] = 0
    content["metrics"]["entropy"] = 0.0
    path.write_text(json.dumps(content))
    assert script.main([*words, "--dry-run"]) == 0
    assert "digits-gan-seed0 (outdated)" in capsys.readouterr().out
    assert read_record(path).metrics["entropy"] == 0.0
    assert script.main(words) == 0
    assert read_record(path).metrics["entropy"] == before.metrics["entropy"]


def test_a_stopped_cell_is_not_recorded_and_goes_on(script, words, tmp_path, monkeypatch, capsys):
    words = [*words, "--models", "wgan"]
    fit = script.fit_adversarial

    def stopped_early(model, images, options, **named):
        history = fit(model, images, replace(options, epochs=1), **named)
        return replace(history, interrupted=True)

    monkeypatch.setattr(script, "fit_adversarial", stopped_early)
    assert script.main(words) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    monkeypatch.setattr(script, "fit_adversarial", fit)
    assert script.main(words) == 0
    (resumed,) = load_records("generators-cpu", tmp_path / "results")
    others = ["--records", str(tmp_path / "whole"), "--checkpoints", str(tmp_path / "fresh")]
    assert script.main([*words, *others]) == 0
    (whole,) = load_records("generators-cpu", tmp_path / "whole")
    assert resumed.curves == whole.curves
    assert resumed.metrics["entropy"] == whole.metrics["entropy"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--width", "0"], "width must be at least 1"),
        (["--epochs", "0"], "epochs must be an integer of at least 1"),
        (["--upto", "10"], "digits has no class 10"),
        (["--datasets", "minst"], "no data set 'minst'; did you mean 'mnist'?"),
        (["--limit", "40"], "batch_size 64 is larger than the set"),
    ],
)
def test_bad_words_are_one_line_and_no_record(script, words, tmp_path, capsys, option, message):
    assert script.main([*words, "--models", "gan", *option]) == 1
    error = capsys.readouterr().err
    assert error.startswith("record_generators: ")
    assert message in error
    assert not (tmp_path / "results").exists()


def test_help_shows_examples_and_the_models(script, capsys):
    with pytest.raises(SystemExit) as end:
        script.main(["--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "python workflow/record_generators.py --table 2 --seeds 0 1 2" in said
    assert all(name in said for name in GENERATORS)


def test_total_variation_by_hand(script):
    images = torch.tensor([[[[0.0, 1.0], [0.5, 0.25]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    # down 0.5 + 0.75, right 1 + 0.25; nothing in the second image
    assert script.total_variation(images) == pytest.approx(2.5 / 2)
