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

_ROOMS = ("constraints", "data", "entropy", "evaluation", "models", "regularizers", "training")


def __getattr__(name: str) -> Any:
    """Import on first use; the public names from the homes that need least first."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    for home in ("constraints", "entropy", "regularizers", "entropy.decoder", "models", "training"):
        if name in __all__ and hasattr(part := import_module(f"{__name__}.{home}"), name):
            return getattr(part, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_ROOMS])
