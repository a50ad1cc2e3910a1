"""The verb train among signals, other trainings, and several processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eae_core.cli.folders import read_results
from eae_core.cli.train import Training
from eae_core.files import locked
from eae_core.training.checkpoints import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--limit", 60, "--batch-size", 20, "--width", 1, "--latent-dim", 2, "--no-progress"]


def start(*words):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "eae_core", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        *(pytest.param(n, marks=pytest.mark.regress) for n in (signal.SIGTERM, signal.SIGHUP)),
    ],
)
def test_a_signal_leaves_a_checkpoint_one_line_and_status_130(tmp_path, said, number):
    folder = tmp_path / "run"
    words = ["train", *SMALL, "--output", folder, "--epochs"]
    process = start(*words, 100_000)
    try:
        deadline = time.monotonic() + 100
        while not (folder / "model.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == (
        f"stopped; go on with the same words and  --resume --output {folder}"
    )
    assert "Traceback" not in out + err
    assert sorted(os.listdir(folder)) == ["model.safetensors"]
    done = read_checkpoint(folder / "model.safetensors").epoch + 1
    assert said(*words, done, "--resume")[0] == 0


def test_a_folder_that_another_training_writes_to_is_left_alone(tmp_path, said):
    folder = tmp_path / "run"
    with locked(folder / "record.json"):
        status, _, err = said("train", *SMALL, "--epochs", 1, "--output", folder)
    assert status == 1
    assert f"is being written by process {os.getpid()} on " in err
    assert os.listdir(folder) == []


def test_ctrl_c_after_the_training_says_that_it_is_kept(tmp_path, said, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    words = ["train", *SMALL, "--epochs", 1, "--output", folder]
    with monkeypatch.context() as patch:
        patch.setattr(Training, "finish", interrupted)
        status, _, err = said(*words)
    assert status == 130
    again = f"the same words and  --resume --output {folder}"
    assert err == f"stopped after the training; {again}  do the rest\n"
    assert said(*words, "--resume")[0] == 0
    assert (folder / "record.json").exists()


def test_a_missing_compiler_is_one_line(tmp_path, said, monkeypatch):
    from eae_core.training import TrainingError

    def broken(*_, **__):
        raise TrainingError("torch.compile failed: it needs a C++ compiler")

    monkeypatch.setattr("eae_core.cli.train.fit", broken)
    status, _, err = said("train", *SMALL, "--epochs", 1, "--output", tmp_path / "run", "--compile")
    assert (status, err) == (1, "error: torch.compile failed: it needs a C++ compiler\n")


@pytest.mark.slow
def test_two_processes_leave_one_record_and_one_model(tmp_path, said):
    folder = tmp_path / "run"
    process = start(
        "train", *SMALL, "--epochs", 2, "--output", folder, "--devices", 2, "--device", "cpu"
    )
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert out.count("left in") == 1
    assert {"codes.npy", "model.safetensors", "record.json", "samples.png"} == set(
        os.listdir(folder)
    )
    record = read_results(folder / "record.json")
    assert "devices" not in record["parameters"]
    alone = ["train", *SMALL, "--epochs", 2, "--output", tmp_path / "alone", "--device", "cpu"]
    assert said(*alone)[0] == 0
    whole = read_results(tmp_path / "alone" / "record.json")
    assert record["parameters"] == whole["parameters"]
    assert record["curves"]["reconstruction"] == pytest.approx(
        whole["curves"]["reconstruction"], rel=1e-3
    )
