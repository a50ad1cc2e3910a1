"""What lies between the parts decides numbers too: a run of the verb train, and all scores."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from golden import Numbers, golden
from golden_models import SHAPE, D, bytes_of, draw, images, read
from golden_scores import with_weights
from torch import Tensor

from eae_book.cli import main
from eae_book.records import read_record
from eae_book.revisions import SCORING
from eae_core.evaluation import score_model
from eae_core.models import AE

SIZES = {"width": 2, "latent-dim": 3, "epochs": 2, "limit": 160, "batch-size": 40, "seed": 1}
WORDS = [
    *("train", "--dataset", "digits", "--model", "wae", "--device", "cpu", "--no-progress"),
    *("--learning-rate", "0.002"),
    *(word for name, size in SIZES.items() for word in (f"--{name}", str(size))),
]


@golden("run of the verb train", "model wae", "networks", "training", "data digits")
def run() -> Numbers:
    """Losses of both epochs, and the parts that the record names."""
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.redirect_stdout(io.StringIO()):
            assert main([*WORDS, "--output", folder]) == 0
        record = read_record(Path(folder) / "record.json")
    return {**record.curves, "parts": ", ".join(record.revisions)}


class Mixed:
    """Eight numbers of an image: no part of the package."""

    name, checksum = "FD-mixed", "golden"

    def features(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ images(64, 8, seed=9)


@golden("scores of a model", *SCORING)
def scores() -> Numbers:
    """Every metric of a model with fixed weights."""
    model = with_weights(AE(read(D), draw(D), D))
    train, test = (bytes_of(images(80, *SHAPE, seed=seed)) for seed in (4, 5))
    with tempfile.TemporaryDirectory() as root:
        found = score_model(
            model, train, test, extractors=[Mixed()], samples=60, kid_subsets=3, root=root
        )
    return {name: [value] for name, value in found.metrics().items()}
