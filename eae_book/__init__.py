"""The machinery of the book, and studies that only its chapters use.

It imports `eae_core`, never the other way, and is not part of the installed package. Importing it
makes the two drawn data sets, `shapes32` and `faces64`, known to :func:`eae_core.data.load_images`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from eae_core.data.catalogue import SPLITS, DatasetInfo, Split, register_dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# nbformat imports jsonschema, which builds 38 grammars for addresses that no notebook has checked,
# if this package is there: most of two seconds in every process that reads a chapter.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def _draw(kind: str, split: Split, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from eae_book import standins

    drawing = getattr(standins, f"draw_{kind}")(count, seed=(0, SPLITS.index(split)))
    label = {"shapes": "shape", "faces": "hair_style"}[kind]
    return drawing.images, drawing.factor(label).astype("int64")


register_dataset(
    DatasetInfo(
        "shapes32",
        "drawn colour objects",
        (32, 32, 3),
        10_000,
        2_000,
        stand_in="drawn objects in place of CIFAR-10",
        draw=lambda split, count: _draw("shapes", split, count),
    )
)
register_dataset(
    DatasetInfo(
        "faces64",
        "drawn faces",
        (64, 64, 3),
        10_000,
        2_000,
        stand_in="drawn faces in place of CelebA",
        draw=lambda split, count: _draw("faces", split, count),
    )
)
