"""Entropy: estimators of a sample, of two, and of a decoder."""

from eae_core.entropy.divergence import knn_cross_entropy, knn_kl_divergence
from eae_core.entropy.knn import gaussian_entropy_bound, knn_entropy, unit_ball_log_volume
from eae_core.entropy.samples import DuplicatePointsError
from eae_core.entropy.streaming import KnnEntropy

__all__ = [
    "DuplicatePointsError",
    "KnnEntropy",
    "gaussian_entropy_bound",
    "knn_cross_entropy",
    "knn_entropy",
    "knn_kl_divergence",
    "unit_ball_log_volume",
]
