"""Options with the published weights, in this package's convention, by data set.

Computed from the published configurations by :mod:`eae_book.published.weights`, which a test holds
against this table. The defaults of all models are those for MNIST.
"""

from __future__ import annotations

from typing import Any

from eae_core.errors import nearest
from eae_core.models.autoencoders import ModelOptions
from eae_core.models.building import find_model

_MNIST: dict[str, dict[str, Any]] = {}  # the defaults
_CIFAR10: dict[str, dict[str, Any]] = {
    "ae_l2": {"decoder_l2": 0.003072},
    "eae": {"decoder_l2": 0.003072},
    "rae": {"latent_weight": 0.48},
    "rae_l2": {"latent_weight": 0.048, "decoder_l2": 0.003072},
    "rae_gp": {"latent_weight": 0.0432, "gradient_penalty": 0.0},
    "rae_sn": {"latent_weight": 1.44},
    "vae": {"beta": 0.072},
    "cv_vae": {"beta": 0.0027},
    "wae": {"mmd_weight": 18.432},
}
_CELEBA: dict[str, dict[str, Any]] = {
    "ae_l2": {"decoder_l2": 0.012288, "decoder_l2_stem": True},
    "eae": {"spectral_norm": True},
    "rae": {"latent_weight": 0.0384},
    "rae_l2": {"latent_weight": 0.0384, "decoder_l2": 0.0012288, "decoder_l2_stem": True},
    "rae_gp": {"latent_weight": 0.0384, "gradient_penalty": 1.92e-05},
    "rae_sn": {"latent_weight": 0.9216},
    "vae": {"beta": 0.27072},
    "cv_vae": {"beta": 0.03},
    "wae": {"mmd_weight": 2000.0, "input_noise": 0.01},
}
_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("mnist", "fashion_mnist", "digits"), _MNIST),
    **dict.fromkeys(("cifar10", "shapes32"), _CIFAR10),
    **dict.fromkeys(("celeba64", "celeba", "faces64"), _CELEBA),
}


def published_options(name: str, dataset: str) -> ModelOptions:
    """Options of a model with the published weights for a data set, in our convention.

    They are those of RAE's code at its latent dimensions (16, 128 and 64); Fashion-MNIST takes
    MNIST's, and each stand-in those of the set it stands in for. For EAE the paper names L2 on
    CIFAR-10 and spectral normalisation on CelebA without strengths: L2 is that of RAE-L2, the
    entropy weight 1.

    Args:
        name: of the model.
        dataset: one of ``eae_core.data.DATASETS``.

    Raises:
        ValueError: another model or data set; the nearest is named.

    Example:
        >>> published_options("vae", "cifar10")
        VAEOptions(beta=0.072)
    """
    options_class = find_model(name)[1]
    if dataset not in _OPTIONS:
        hint = nearest(dataset, _OPTIONS)
        raise ValueError(f"no weights are published for the data set {dataset!r}; {hint}")
    return options_class(**_OPTIONS[dataset].get(name, {}))
