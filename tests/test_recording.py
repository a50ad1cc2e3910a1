"""What the recording scripts share."""

import argparse

import pytest

from eae_book.records import new_record, write_record
from eae_core.data import data_root, load_images
from eae_core.entropy import knn

EXPERIMENT = "ground-truth"


def test_a_run_is_recorded_only_with_the_same_parameters_and_revisions(
    script, tmp_path, monkeypatch
):
    def asked(**parameters):
        return script.is_recorded(EXPERIMENT, "a", parameters, tmp_path, remedy="do that")

    def write(run, **rest):
        made = {"parameters": {"k": 1, "more": 2}, "metrics": {}, **rest}
        write_record(script.new_record(EXPERIMENT, run, **made), tmp_path)

    assert not asked(k=1)
    write("b")
    assert not asked(k=1)
    write("a")
    assert asked(k=1)
    with pytest.raises(ValueError, match=r"a has a record that does not hold: k is 1, .*; do that"):
        asked(k=2)
    with pytest.raises(ValueError, match="new is not known, asked is 3"):
        asked(k=1, new=3)
    monkeypatch.setattr(knn, "REVISION", 2)
    with pytest.raises(ValueError, match="knn entropy has revision 2, the record was made with 1"):
        asked(k=1)
    record = new_record(EXPERIMENT, "a", parameters={"k": 1}, metrics={})
    write_record(record, tmp_path)
    with pytest.raises(ValueError, match="does not say its revision of knn entropy"):
        asked(k=1)


def test_a_record_is_of_the_code_as_the_script_started(script, tmp_path):
    record = script.new_record(EXPERIMENT, "a", parameters={}, metrics={})
    assert record.code_hash == script.STARTED.code_hash
    assert record.revisions.keys() >= {"knn entropy", "weighted entropy"}


@pytest.mark.parametrize("error", [ValueError, OSError, RuntimeError])
def test_what_is_impossible_is_one_line(script, capsys, error):
    def fail():
        raise error("it cannot be")

    assert script.run_script("demo", fail) == 1
    assert capsys.readouterr().err == "demo: it cannot be\n"
    assert script.run_script("demo", lambda: 130) == 130
    with pytest.raises(ZeroDivisionError):
        script.run_script("demo", lambda: 1 // 0)


def test_help_is_the_docstring_with_its_example(script, capsys):
    parser = script.script_parser("demo", "What it does.\n\nExample:\n    python demo.py --k 2\n")
    script.add_places(parser, checkpoints=True)
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    said = capsys.readouterr().out
    assert said.startswith("usage: demo.py")
    for part in ("What it does.\n", "example:\n    python demo.py --k 2", "--checkpoints"):
        assert part in said


def test_checkpoints_lie_in_the_data_folder_unless_another_is_named(script, tmp_path):
    words = argparse.Namespace(checkpoints=None)
    found = script.checkpoint_path(words, "demo", "a")
    assert found == data_root() / "checkpoints" / "demo" / "a.safetensors"
    words.checkpoints = tmp_path
    assert script.checkpoint_path(words, "demo", "a") == tmp_path / "demo" / "a.safetensors"


def test_a_judge_is_the_same_for_all_and_finds_real_images_near(script):
    train, test = load_images("digits", limit=300), load_images("digits", "test")
    first, again = (
        script.Judge.trained_on(train, train=train, test=test, epochs=1) for _ in range(2)
    )
    x = train.batch(slice(0, 200))
    assert first.distance(x) == again.distance(x)
    assert first.distance(test.batch(slice(None))) == pytest.approx(0, abs=1e-3)
    assert first.distance(x) < 0.2 * first.distance(1 - x)
