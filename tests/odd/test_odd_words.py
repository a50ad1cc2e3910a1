"""Words that nobody should type, to every verb: one line, the right status, nothing left behind."""

import os

import pytest
import torch
from PIL import Image

from eae_core.cli import main

TRAIN = ("train", "--no-progress", "--width=1", "--latent-dim=2", "--epochs=1", "--limit=20")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model m, two pictures, a text and an empty folder."""
    folder = tmp_path_factory.mktemp("words")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EAE_DATA", str(folder / "cache"))
        patch.chdir(folder)
        assert main([*TRAIN, "--batch-size=10", "--output=m"]) == 0
    for name in ("a.png", "b.png"):
        Image.new("L", (32, 32)).save(folder / name)
    (folder / "text.txt").write_text("hello")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.setenv("EAE_DATA", str(place / "cache"))
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    yield place
    assert sorted(place.rglob("*")) == before, "a refused request left something behind"


def status(*words):
    try:
        return main(list(words))
    except SystemExit as stopped:  # argparse
        return stopped.code


REFUSED = [  # status 2: nothing was started
    "--model=eea",
    "--model=Ελ",
    "--epochs=0",
    "--epochs=-1",
    "--epochs=1.5",
    "--limit=0",
    "--limit=1",
    "--limit=-5",
    "--batch-size=0",
    "--batch-size=21",
    "--batch-size=1",
    "--width=0",
    "--latent-dim=0",
    "--seed=-1",
    "--seed=4294967296",
    "--learning-rate=0",
    "--learning-rate=nan",
    "--learning-rate=inf",
    "--device=gpu",
    "--device=cuda:7",
    "--precision=16",
    "--strategy=x",
    "--devices=0",
    "--num-nodes=-1",
    "--data=nope",
    "--data=\x00",
    "--data=" + "x" * 300,
    "--data=~no_such_user/x",
    "--size=8",
    "--size=axb",
    "--test-fraction=2",
    "--output=m",
    "--output=a\0b",
    "--resume",
    "--entropy-weight=nan",
    "--entropy-weight=-1",
    "--beta=1",
    "--k=0",
    "--k=50",
    "--regularizer=sigrek",
    "--constraint=sphear",
    "--convolutions=9",
    "extra",
    "--unknown=1",
    "",
]


@pytest.mark.parametrize("word", REFUSED, ids=lambda word: repr(word)[:40])
def test_train_refuses(here, capsys, word):
    size = [] if "batch-size" in word or "limit" in word else ["--batch-size=10"]
    where = [] if "output" in word or "resume" in word else ["--output=new"]
    assert status(*TRAIN, *size, *where, word) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in last
    assert "Traceback" not in last
    assert "invalid _" not in last


FAILS = [  # status 1: the place does not take it
    ("--output=m/record.json",),
    ("--output=/dev/full",),
    ("--output=" + "y" * 300,),
    ("--resume", "--output=m", "--seed=1"),
    ("--resume", "--output=m", "--latent-dim=3"),
    ("--resume", "--output=m", "--model=vae"),
    ("--resume", "--output=m", "--data=digits", "--limit=10"),
]


@pytest.mark.parametrize("words", FAILS, ids=lambda words: " ".join(words)[:40])
def test_train_fails_in_one_line(here, capsys, words):
    assert status(*TRAIN, "--batch-size=10", *words) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_more_than_the_memory_is_one_line(here, capsys, monkeypatch):
    def full(*_, **__):
        return torch.empty(2**55)  # what torch says where there is too little

    monkeypatch.setattr(torch, "zeros", full)
    monkeypatch.setattr("eae_core.cli.tools.read_points", full)
    assert status("entropy", "x.npy") == 1
    assert capsys.readouterr().err == "error: there is not enough memory: ask for less\n"


VERBS = [
    "entropy empty",
    "entropy text.txt",
    "entropy /dev/zero",
    "entropy é☃.npy",
    "entropy m/codes.npy --k 0",
    "entropy m/codes.npy --k 100000",
    "sample m -n 0 -o new",
    "sample m -n 3 -o m",
    "sample nope -n 3 -o new",
    "sample empty -n 3 -o new",
    "sample text.txt -n 3 -o new",
    "sample m -n 3 -o new --seed -1",
    "sample m -n 3 -o new --seed 4294967296",
    "sample m -n 3 -o new --distribution gausian",
    "sample m -n 3 -o new --format gif",
    "encode m -o new.txt --data digits",
    "encode m -o new.npy",
    "encode m -o new.npy --data digits --split x",
    "encode m -o new.npy --data digits --limit 0",
    "encode m -o new.npy --data ~no_such_user/x",
    "reconstruct m -o new.gif --data digits",
    "interpolate m nope.png b.png -o new.png",
    "interpolate m a.png text.txt -o new.png",
    "interpolate m a.png b.png -o new.png --steps 1",
    "interpolate m a.png b.png -o new.png --steps 10000000",
    "export m -o new.onx",
    "evaluate m --data digits --seed -1",
    "evaluate m --data digits --samples 0",
    "evaluate m --data nope",
    "data prepare mnistt",
    "data check x",
    "runs --folder text.txt",
    "runs --folder nope",
    "trian",
]


@pytest.mark.parametrize("words", VERBS)
def test_verbs_refuse(here, capsys, words):
    assert status(*words.split(" ")) == 2
    said = capsys.readouterr().err
    assert "error: " in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(
    "words", ["encode m -o /dev/full/x.npy --data digits", "sample m -o a.png"]
)
def test_places_that_are_files(here, capsys, words):
    assert status(*words.split(" ")) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
