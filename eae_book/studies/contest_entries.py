"""What takes part in the contest of chapter 20 and is in no package: known by name where asked."""

from __future__ import annotations

from eae_book.studies.pinned_variants import (
    pinned_coverage_loss,
    pinned_decorrelated_loss,
    pinned_slices_loss,
    pinned_whitened_loss,
)
from eae_book.studies.sphere_encoder import SphereEncoder, SphereOptions
from eae_core.models import MODELS
from eae_core.regularizers.common import as_module
from eae_core.regularizers.registry import REGULARIZERS


def enter() -> None:
    """Make them known to ``build_model`` and ``EAEOptions(regularizer=...)`` of this process."""
    MODELS[SphereEncoder.name] = (SphereEncoder, SphereOptions)
    REGULARIZERS["pinned_decorrelated"] = as_module("PinnedDecorrelated", pinned_decorrelated_loss)
    REGULARIZERS["pinned_slices"] = as_module("PinnedSlices", pinned_slices_loss)
    REGULARIZERS["pinned_coverage"] = as_module("PinnedCoverage", pinned_coverage_loss)
    REGULARIZERS["pinned_whitened"] = as_module("PinnedWhitened", pinned_whitened_loss)
