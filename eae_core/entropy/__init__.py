"""Entropy: estimators, and laws of known entropy to hold them against."""

from eae_core.entropy.divergence import knn_cross_entropy, knn_kl_divergence
from eae_core.entropy.gap import GaussianGap, gaussian_gap
from eae_core.entropy.knn import (
    DuplicatePointsError,
    gaussian_entropy_bound,
    knn_entropy,
    unit_ball_log_volume,
)
from eae_core.entropy.streaming import KnnEntropy

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
