"""Entropic autoencoders: the estimator, the constraint, the models, the suite of the book."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eae_core.entropy import knn_entropy
    from eae_core.entropy.decoder import decoder_entropy
    from eae_core.models import CodeBatchNorm, build_model

__version__ = "0.1.0"
__all__ = ["CodeBatchNorm", "build_model", "decoder_entropy", "knn_entropy"]

_HOMES = {
    "CodeBatchNorm": "models",
    "build_model": "models",
    "decoder_entropy": "entropy.decoder",
    "knn_entropy": "entropy",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use: `python -m eae_core --help` need not wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
