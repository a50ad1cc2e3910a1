"""Revisions of the parts that only the book has, made known to :mod:`eae_core.revisions`."""

from __future__ import annotations

from eae_core.revisions import KINDS, MODULES


def _generator(name: str) -> int:
    from eae_book.gans.generators import find_generator

    return find_generator(name).revision


KINDS["generator"] = _generator
MODULES.update(
    {
        "generator networks": "eae_book.gans.lee",
        "adversarial training": "eae_book.gans.adversarial",
        "unpadded images": "eae_book.gans.unpadded",
        "image entropy": "eae_book.studies.image_entropy",
        "settled points": "eae_book.studies.settled_points",
        "preference": "eae_book.studies.preference",
        "corrected entropy": "eae_book.studies.gaussian_corrected",
        "weighted entropy": "eae_book.studies.weighted",
        "posterior bounds": "eae_book.studies.posterior_bounds",
        "encoder bounds": "eae_book.studies.encoder_bounds",
    }
)
