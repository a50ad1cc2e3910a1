"""Entropy: estimators, and laws of known entropy to hold them against."""

from eae_core.entropy.knn import (
    DuplicatePointsError,
    knn_entropy,
    gaussian_entropy_bound,
    unit_ball_log_volume,
)

__all__ = [
    "DuplicatePointsError",
    "knn_entropy",
    "gaussian_entropy_bound",
    "unit_ball_log_volume",
]
