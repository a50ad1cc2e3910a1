"""How many files of the package a reader has to open to follow one training step."""

import sys
from collections import Counter
from pathlib import Path

import eae_core
from eae_core.data import load_images
from eae_core.models import build_model
from eae_core.training import TrainOptions, fit

PACKAGE = Path(eae_core.__file__).parent
FROM_IMAGE_TO_LOSS = 8
LOOP = 4  # more files: the images, the loop and its guards
STEPS = 8


def calls_by_file(run):
    """How often functions of each file of the package are called while something runs."""
    found = Counter()

    def note(frame, event, argument):
        if event == "call":
            found[frame.f_code.co_filename] += 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    paths = {Path(name): count for name, count in found.items()}
    return Counter(
        {
            path.relative_to(PACKAGE).as_posix(): count
            for path, count in paths.items()
            if path.is_relative_to(PACKAGE)
        }
    )


def test_from_an_image_to_the_loss_a_step_crosses_few_files():
    model = build_model("eae", (1, 32, 32), 8, width=2)
    x = load_images("digits", limit=32).batch(slice(0, 32))
    found = calls_by_file(lambda: model.loss(x))
    assert {"models/entropic.py", "models/networks.py", "entropy/knn.py"} <= set(found)
    assert len(found) <= FROM_IMAGE_TO_LOSS, sorted(found)


def test_the_loop_adds_few_files_to_a_step():
    options = TrainOptions(epochs=1, batch_size=8, progress=False)

    def trained(steps):
        model = build_model("eae", (1, 32, 32), 8, width=2)
        images = load_images("digits", limit=8 * steps)
        return calls_by_file(lambda: fit(model, images, options))

    more = trained(2 * STEPS) - trained(STEPS)
    every_step = {name for name, count in more.items() if count >= STEPS}
    assert "training/loop.py" in every_step
    assert len(every_step) <= FROM_IMAGE_TO_LOSS + LOOP, sorted(every_step)
