"""Entropy: estimators, and laws of known entropy to hold them against."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eae_core.entropy.divergence import knn_cross_entropy, knn_kl_divergence
from eae_core.entropy.knn import (
    DuplicatePointsError,
    gaussian_entropy_bound,
    knn_entropy,
    unit_ball_log_volume,
)
from eae_core.entropy.streaming import KnnEntropy

if TYPE_CHECKING:
    from eae_core.entropy.gap import GaussianGap, gaussian_gap

__all__ = [
    "DuplicatePointsError",
    "GaussianGap",
    "KnnEntropy",
    "gaussian_entropy_bound",
    "gaussian_gap",
    "knn_cross_entropy",
    "knn_entropy",
    "knn_kl_divergence",
    "unit_ball_log_volume",
]


def __getattr__(name: str) -> Any:
    if name not in ("GaussianGap", "gaussian_gap"):  # whose home needs SciPy
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.gap"), name)
