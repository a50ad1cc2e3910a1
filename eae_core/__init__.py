"""Entropic autoencoders: the estimator, the constraint, the models, training and scoring.

Names are imported on first use: the estimator and the constraint need torch, numpy and SciPy's
special functions, and nothing else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eae_core.constraints import CodeBatchNorm
    from eae_core.entropy import KnnEntropy, knn_entropy, knn_kl_divergence
    from eae_core.entropy.decoder import decoder_entropy
    from eae_core.models import EAE, EAEOptions, build_model
    from eae_core.regularizers import EntropyLoss
    from eae_core.training import TrainOptions, fit, load_model

__version__ = "0.1.0"
__all__ = [
    "EAE",
    "CodeBatchNorm",
    "EAEOptions",
    "EntropyLoss",
    "KnnEntropy",
    "TrainOptions",
    "build_model",
    "decoder_entropy",
    "fit",
    "knn_entropy",
    "knn_kl_divergence",
    "load_model",
]

_HOMES = {
    "CodeBatchNorm": "constraints",
    "EAE": "models",
    "EAEOptions": "models",
    "EntropyLoss": "regularizers",
    "KnnEntropy": "entropy",
    "TrainOptions": "training",
    "build_model": "models",
    "decoder_entropy": "entropy.decoder",
    "fit": "training",
    "knn_entropy": "entropy",
    "knn_kl_divergence": "entropy",
    "load_model": "training",
}
_ROOMS = ("constraints", "data", "entropy", "evaluation", "models", "regularizers", "training")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_ROOMS])
