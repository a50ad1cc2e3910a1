"""Evaluation: what a model produces, how far from the data, and whether its code is Gaussian."""

from eae_core.evaluation.codes import (
    decode_codes,
    encode_images,
    interpolate,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.evaluation.energy import energy_band, energy_distance
from eae_core.evaluation.features import FeatureNet, train_classifier
from eae_core.evaluation.fid import frechet_distance
from eae_core.evaluation.gaussianity import GaussianityReport, gaussianity_report
from eae_core.evaluation.marginals import (
    Quantiles,
    axis_distances,
    axis_threshold,
    norm_band,
    norm_distance,
    normal_quantiles,
)
from eae_core.evaluation.nulls import Band
from eae_core.evaluation.sliced import sliced_wasserstein, sliced_wasserstein_band

__all__ = [
    "Band",
    "FeatureNet",
    "GaussianityReport",
    "Quantiles",
    "axis_distances",
    "axis_threshold",
    "decode_codes",
    "encode_images",
    "energy_band",
    "energy_distance",
    "frechet_distance",
    "gaussianity_report",
    "interpolate",
    "norm_band",
    "norm_distance",
    "normal_quantiles",
    "reconstruct",
    "reconstruction_error",
    "sample_images",
    "sliced_wasserstein",
    "sliced_wasserstein_band",
    "train_classifier",
]
