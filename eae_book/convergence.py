"""The few numbers of a model's score that show how far its training has come."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import isfinite

from eae_core.data import Images
from eae_core.evaluation import (
    DegenerateCodesError,
    FeatureExtractor,
    encode_images,
    fit_density,
    reconstruction_error,
)
from eae_core.evaluation.image_metrics import ImageMetrics, decoded
from eae_core.evaluation.scores import own_codes
from eae_core.models import Autoencoder


def convergence_scores(
    model: Autoencoder,
    train: Images,
    test: Images,
    extractor: FeatureExtractor,
    *,
    densities: Sequence[str] = ("standard", "mixture"),
    samples: int = 10_000,
    seed: int = 0,
) -> dict[str, float]:
    """Some of :func:`eae_core.evaluation.score_model`'s numbers, at the last epoch the same.

    The squared error on the test images and, for each density that can be fitted to the codes (and
    the model's own, where it is another), the Frechet distance of its samples.
    """
    codes, drawn = encode_images(model, train), {}
    for name in densities:
        with suppress(DegenerateCodesError):
            drawn[name] = fit_density(name, codes, seed=seed).sample(samples, seed=seed)
    made = {n: decoded(model, z) for n, z in (drawn | own_codes(model, samples, seed)).items()}
    metrics = ImageMetrics([extractor], test, 500, 1, seed, None, progress=False)
    found = {"reconstruction_error": reconstruction_error(model, test), **metrics.distances(made)}
    return {name: value for name, value in found.items() if isfinite(value)}
