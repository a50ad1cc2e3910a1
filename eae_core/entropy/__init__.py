"""Entropy: estimators, and laws of known entropy to hold them against."""

from eae_core.entropy.knn import (
    DuplicatePointsError,
    gaussian_entropy_bound,
    knn_entropy,
    unit_ball_log_volume,
)

__all__ = [
    "DuplicatePointsError",
    "gaussian_entropy_bound",
    "knn_entropy",
    "unit_ball_log_volume",
]
