"""Evaluation: what a model produces, how far from the data, and whether its code is Gaussian."""

from eae_core.evaluation.codes import (
    decode_codes,
    encode_images,
    interpolate,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.evaluation.features import FeatureNet, train_classifier
from eae_core.evaluation.fid import frechet_distance
from eae_core.evaluation.gaussianity import GaussianityReport, gaussianity_report

__all__ = [
    "FeatureNet",
    "GaussianityReport",
    "decode_codes",
    "encode_images",
    "frechet_distance",
    "gaussianity_report",
    "interpolate",
    "reconstruct",
    "reconstruction_error",
    "sample_images",
    "train_classifier",
]
