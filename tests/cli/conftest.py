"""Verbs called in this process, a folder of pictures, and a model trained on it."""

import numpy as np
import pytest
from called_verbs import caller
from PIL import Image

from eae_core.cli import main


@pytest.fixture
def said(capsys):
    """Call a verb in this process; returns the status and what it wrote."""
    return caller(main, capsys)


def write_photos(folder, count=40):
    """Pictures of smooth colours that differ from each other, of two sizes and kinds."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        picture = coarse.resize((30, 20 + number % 2), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:03}.{('png', 'jpg', 'webp')[number % 3]}")


@pytest.fixture
def photos(tmp_path):
    """A folder of twenty pictures."""
    write_photos(tmp_path / "photos", 20)
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with photos/, and run/ of a small model trained on them by the verb train."""
    root = tmp_path_factory.mktemp("trained")
    write_photos(root / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EAE_DATA", str(root / "cache"))
        words = ["--data", root / "photos", "--size", "20x24", "--epochs", 1, "--width", 2]
        words += ["--latent-dim", 2, "--batch-size", 12, "--no-progress", "--output", root / "run"]
        assert main(["train", *map(str, words)]) == 0
    return root


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """The same, with the working directory elsewhere and the data folder beside it."""
    monkeypatch.setenv("EAE_DATA", str(trained / "cache"))
    monkeypatch.chdir(tmp_path)
    return trained
