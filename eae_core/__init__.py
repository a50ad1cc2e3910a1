"""Entropic autoencoders: the estimator, the constraint, the models, the suite of the book."""

from eae_core.entropy import knn_entropy
from eae_core.models import CodeBatchNorm, build_model

__version__ = "0.1.0"
__all__ = ["CodeBatchNorm", "build_model", "knn_entropy"]
