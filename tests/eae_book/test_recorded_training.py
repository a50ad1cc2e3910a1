"""The verb train of the book: scores, held-out images, and records among the others."""

import numpy as np
import pytest

from eae_book.records import load_records, read_record

SMALL = ["--limit", 60, "--batch-size", 20, "--width", 2, "--latent-dim", 3, "--no-progress"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--score", "--networks", "cifar10"], "cifar10 is for colour images, digits is grey"),
        (["--score", "--dataset", "faces64", "--networks", "classifier"], "for faces64 take"),
        (["--score", "--limit", "120", "--latent-dim", "64"], "needs 650 of them, there are 120"),
        (["--score-at", "0.5"], "--score-at goes with --score"),
        (["--score", "--score-at", "0.5", "1"], "above 0 and below 1, got 1"),
        (["--samples", "4"], "--samples must be at least 5"),
        (["--score-on", "held-out", "--limit", "1500"], "all 1500 training images are used"),
        (["--file-as", "a"], "--file-as takes an experiment and a run"),
        (["--file-as", "../x/y"], "--file-as takes an experiment and a run"),
        (["--file-as", "a/b", "--records", "file"], "cannot write file"),
        (["--model", "eea"], "did you mean 'eae'"),
    ],
)
def test_impossible_words_are_refused_before_the_work(said, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    status, out, err = said("train", *SMALL, *words, "--output", "run")
    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "run").exists()


def test_held_out_images_need_a_limit(said, tmp_path):
    status, _, err = said("train", "--score-on", "held-out", "--output", tmp_path / "run")
    assert status == 2
    assert "needs --limit" in err


def test_a_record_says_what_decided_it(said, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(50, 6)))
    words = ["train", "--epochs", 1, *SMALL[2:], "--output"]
    assert said(*words, tmp_path / "table", "--data", tmp_path / "x.npy")[0] == 0
    revisions = read_record(tmp_path / "table" / "record.json").revisions
    assert list(revisions) == ["model eae", "dense networks", "training"]
    assert said(*words, tmp_path / "digits", "--limit", 60, "--radial-weight", 9)[0] == 0
    record = read_record(tmp_path / "digits" / "record.json")
    assert {"networks", "regularizers", "data digits"} <= record.revisions.keys()
    assert not {"samples", "judges", "score", "file_as", "records"} & record.parameters.keys()


def test_a_held_out_trial_is_filed_with_its_sheet(said, tmp_path):
    words = ["train", *SMALL, "--epochs", 1, "--score", "--score-on", "held-out", "--samples", 50]
    words += ["--file-as", "trials/a", "--records", tmp_path / "all", "--output", tmp_path / "run"]
    status, out, _ = said(*words)
    assert status == 0
    assert "held-out images: reconstruction " in out
    assert "FD-classifier of 50 samples: " in out
    (record,) = load_records("trials", tmp_path / "all")
    assert record == read_record(tmp_path / "run" / "record.json")
    assert record.parameters["judge_on"] == "held-out"
    assert record.metrics["held_out_reconstruction"] == record.metrics["reconstruction_error"]
    assert {"densities", "features classifier"} <= record.revisions.keys()
    assert len(list((tmp_path / "all" / "trials").glob("a.*"))) == 2


def test_scores_on_the_way_are_those_of_shorter_runs_and_stay_known(said, tmp_path, monkeypatch):
    # A run of few steps computes its moments anew at the end, and only there.
    monkeypatch.setattr("eae_core.training.loop.FEW_STEPS", 0)
    words = ["train", "--model", "eae", *SMALL, "--score", "--samples", 50]
    way = [*words, "--epochs", 4, "--score-at", 0.5, 0.1, "--output", tmp_path / "way"]
    assert said(*way)[0] == 0
    record = read_record(tmp_path / "way" / "record.json")
    assert record.parameters["score_at"] == [0.5, 0.1]
    curves = {name: curve for name, curve in record.curves.items() if name.startswith("scored_")}
    assert curves["scored_epochs"] == [1, 2, 4]

    assert said(*words, "--epochs", 2, "--output", tmp_path / "short")[0] == 0
    for run, place in ((read_record(tmp_path / "short" / "record.json"), 1), (record, 2)):
        for name in ("reconstruction_error", "fd_classifier_standard", "fd_classifier_mixture"):
            assert curves[f"scored_{name}"][place] == pytest.approx(run.metrics[name])

    # A run whose end was cut off has them still.
    (tmp_path / "way" / "record.json").unlink()
    assert said(*way, "--resume")[0] == 0
    assert read_record(tmp_path / "way" / "record.json").curves == record.curves


def test_missing_weights_of_a_metric_are_noticed_before_training(said, tmp_path, monkeypatch):
    from eae_core.evaluation import inception

    monkeypatch.setattr(inception, "_download", lambda path: (_ for _ in ()).throw(OSError("no")))
    words = ["--epochs", 1, "--score", "--networks", "inception", "--latent-dim", 1, "--limit", 100]
    status, _, err = said("train", *SMALL, *words, "--output", tmp_path / "run")
    assert status == 2
    assert "Inception weights could not be downloaded" in err
    assert not (tmp_path / "run").exists()
