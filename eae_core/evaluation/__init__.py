"""Evaluation: what a model produces, how far from the data, and whether its code is Gaussian."""

from eae_core.evaluation.densities import (
    DENSITIES,
    DegenerateCodesError,
    Density,
    codes_needed,
    fit_density,
)
from eae_core.evaluation.distances import (
    Band,
    axis_distances,
    axis_threshold,
    energy_band,
    energy_distance,
    norm_band,
    norm_distance,
    sliced_wasserstein,
    sliced_wasserstein_band,
)
from eae_core.evaluation.features import (
    ClassifierFeatures,
    FeatureExtractor,
    FeatureNet,
    classifier_features,
    extract_features,
    train_classifier,
)
from eae_core.evaluation.fid import FeatureStatistics, frechet_distance
from eae_core.evaluation.fidelity import (
    KernelDistance,
    PrecisionRecall,
    kernel_distance,
    precision_recall,
)
from eae_core.evaluation.gaussianity import GaussianityReport, gaussianity_report
from eae_core.evaluation.image_metrics import Reference, reference_features
from eae_core.evaluation.inception import InceptionFeatures, eight_bit, inception_features
from eae_core.evaluation.scores import Scores, score_model
from eae_core.models.using import (
    decode_codes,
    encode_images,
    interpolate,
    reconstruct,
    reconstruction_error,
    sample_images,
)

__all__ = [
    "DENSITIES", "Band", "ClassifierFeatures", "DegenerateCodesError", "Density",
    "FeatureExtractor", "FeatureNet", "FeatureStatistics", "GaussianityReport", "InceptionFeatures",
    "KernelDistance", "PrecisionRecall", "Reference", "Scores", "axis_distances", "axis_threshold",
    "classifier_features", "codes_needed", "decode_codes", "eight_bit", "encode_images",
    "energy_band", "energy_distance", "extract_features", "fit_density", "frechet_distance",
    "gaussianity_report", "inception_features", "interpolate", "kernel_distance", "norm_band",
    "norm_distance", "precision_recall", "reconstruct", "reconstruction_error",
    "reference_features", "sample_images", "score_model", "sliced_wasserstein",
    "sliced_wasserstein_band", "train_classifier",
]  # fmt: skip
