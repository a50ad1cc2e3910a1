"""The programs of examples/, run as a reader runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "eae.py"


def run(folder, *words):
    """What the example prints, started in a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), *words],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(name, text):
    return float(re.search(rf"{name}:? +(-?[\d.]+)", text)[1])


def test_the_whole_of_an_entropic_autoencoder_fits_on_a_screen():
    assert len(EXAMPLE.read_text().splitlines()) <= 80


@pytest.mark.slow
def test_samples_are_nearer_to_digits_with_the_entropy_than_without(tmp_path):
    with_entropy = run(tmp_path)
    without = run(tmp_path, "--entropy-weight", "0", "--samples", "other.png")
    distance = "samples to kept digits"
    assert number(distance, with_entropy) < 0.9 * number(distance, without)
    # It costs some error, and not much: the mean of all digits is off by 4.7.
    error = "kept digits: squared error"
    assert number(error, without) < number(error, with_entropy) < 2
    with Image.open(tmp_path / "samples.png") as sheet:
        assert sheet.size == (600, 600)
        assert sheet.getextrema()[1] > 200  # white ink on black paper
    assert (tmp_path / "other.png").is_file()
