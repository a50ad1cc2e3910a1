"""Which code made a page: every file of both packages."""

from __future__ import annotations

from pathlib import Path

from eae_core import provenance


def code_hash() -> str:
    """Changes with any file of the two packages, data files included."""
    return provenance.code_hash(provenance.PACKAGE, Path(__file__).parent)
