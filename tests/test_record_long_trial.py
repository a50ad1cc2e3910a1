"""The trials behind the profile long: their names, their clock, their records."""

import pytest
import record_long_trial as script

from eae_book.records import load_records
from eae_core.data import load_images


def test_a_trial_is_found_by_its_name():
    for name in script.TRIALS:
        assert script.Trial.named(name).name == name
    with pytest.raises(ValueError, match="no trial 'cifar10-ae'; named as, for instance, "):
        script.Trial.named("cifar10-ae")


def test_a_trial_takes_its_time_and_is_recorded_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(script.LATENT_DIM, "digits", 4)
    monkeypatch.setattr(script, "HELD_OUT", 100)
    words = ["--trials", "digits-ae-w2-b50-lr0.01-to0.1-2s", "--records", str(tmp_path)]
    assert script.main(words) == 0
    (record,) = load_records("long-trial", tmp_path)
    errors = record.curves["held_out_reconstruction"]
    assert len(errors) == 4
    assert errors[-1] == record.metrics["held_out_reconstruction"] < errors[0]
    assert record.parameters["images"] == len(load_images("digits")) - 100
    assert record.metrics["held_out_linear"] > 0
    capsys.readouterr()
    assert script.main(words) == 0
    assert capsys.readouterr().out == ""
