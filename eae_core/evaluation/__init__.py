"""Evaluation: what a model produces, how far from the data, and whether its code is Gaussian."""

from eae_core.evaluation.codes import (
    decode_codes,
    encode_images,
    interpolate,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.evaluation.densities import (
    DENSITIES,
    DegenerateCodesError,
    Density,
    codes_needed,
    fit_density,
)
from eae_core.evaluation.encoder_bounds import EncoderBound, fit_encoder_bound
from eae_core.evaluation.energy import energy_band, energy_distance
from eae_core.evaluation.extractors import (
    BorrowedFeatures,
    ClassifierFeatures,
    FeatureExtractor,
    borrowed_features,
    classifier_features,
    extract_features,
)
from eae_core.evaluation.features import FeatureNet, train_classifier
from eae_core.evaluation.fid import (
    FeatureStatistics,
    frechet_distance,
    frechet_distance_of_statistics,
)
from eae_core.evaluation.fidelity import (
    KernelDistance,
    PrecisionRecall,
    kernel_distance,
    precision_recall,
)
from eae_core.evaluation.gaussianity import GaussianityReport, gaussianity_report
from eae_core.evaluation.inception import InceptionFeatures, eight_bit, inception_features
from eae_core.evaluation.lens import (
    ImageEntropy,
    entropy_of_reconstructions,
    entropy_of_samples,
)
from eae_core.evaluation.linear import LinearCode, fit_linear_code, used_dimensions
from eae_core.evaluation.marginals import (
    Quantiles,
    axis_distances,
    axis_threshold,
    norm_band,
    norm_distance,
    normal_quantiles,
)
from eae_core.evaluation.nulls import Band
from eae_core.evaluation.posterior_bounds import (
    PosteriorBounds,
    SampledBound,
    posterior_bounds,
)
from eae_core.evaluation.posterior_encoder import EncoderOptions
from eae_core.evaluation.published import PublishedScore, published_scores
from eae_core.evaluation.published_entropies import PublishedEntropy, published_entropies
from eae_core.evaluation.ranking import Rank, rank_models
from eae_core.evaluation.reference import Reference, reference_features
from eae_core.evaluation.scores import Scores, score_model
from eae_core.evaluation.sliced import sliced_wasserstein, sliced_wasserstein_band

__all__ = [
    "DENSITIES",
    "Band",
    "BorrowedFeatures",
    "ClassifierFeatures",
    "DegenerateCodesError",
    "Density",
    "EncoderBound",
    "EncoderOptions",
    "FeatureExtractor",
    "FeatureNet",
    "FeatureStatistics",
    "GaussianityReport",
    "ImageEntropy",
    "InceptionFeatures",
    "KernelDistance",
    "LinearCode",
    "PosteriorBounds",
    "PrecisionRecall",
    "PublishedEntropy",
    "PublishedScore",
    "Quantiles",
    "Rank",
    "Reference",
    "SampledBound",
    "Scores",
    "axis_distances",
    "axis_threshold",
    "borrowed_features",
    "classifier_features",
    "codes_needed",
    "decode_codes",
    "eight_bit",
    "encode_images",
    "energy_band",
    "energy_distance",
    "entropy_of_reconstructions",
    "entropy_of_samples",
    "extract_features",
    "fit_density",
    "fit_encoder_bound",
    "fit_linear_code",
    "frechet_distance",
    "frechet_distance_of_statistics",
    "gaussianity_report",
    "inception_features",
    "interpolate",
    "kernel_distance",
    "norm_band",
    "norm_distance",
    "normal_quantiles",
    "posterior_bounds",
    "precision_recall",
    "published_entropies",
    "published_scores",
    "rank_models",
    "reconstruct",
    "reconstruction_error",
    "reference_features",
    "sample_images",
    "score_model",
    "sliced_wasserstein",
    "sliced_wasserstein_band",
    "train_classifier",
    "used_dimensions",
]
