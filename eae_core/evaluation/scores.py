"""Everything a table says about a trained model, in one call: :func:`score_model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from eae_core.data import Images
from eae_core.entropy.distributions import standard_gaussian
from eae_core.entropy.samples import DuplicatePointsError
from eae_core.errors import check_integer
from eae_core.evaluation.densities import DENSITIES, DegenerateCodesError, Density, fit_density
from eae_core.evaluation.distances import Band
from eae_core.evaluation.features import FeatureExtractor
from eae_core.evaluation.gaussianity import gaussianity_report
from eae_core.evaluation.image_metrics import ImageMetrics, decoded, rebuilt
from eae_core.models.autoencoders import Autoencoder, check_shape
from eae_core.models.using import (
    draw_codes,
    encode_images,
    linear_path,
    reconstruction_error,
    spherical_path,
)

PRIOR = "prior"  # what samples of codes that a model draws otherwise are called
_FEWEST = 5  # samples and images: precision and recall look for a third neighbour


@dataclass(frozen=True)
class Scores:
    """Numbers of one model, with what they depend on; made by :func:`score_model`."""

    dataset: str
    samples: int  #: images drawn from each density, and midpoints on each path
    reference_images: int  #: test images that all distances are to
    reconstructions: int  #: of test images, for the distance of reconstructions
    fitted_codes: int  #: of training images, which the densities are fitted to
    seed: int
    extractors: dict[str, str]  #: name and checksum
    values: dict[str, float] = field(repr=False)
    missing: dict[str, str] = field(default_factory=dict)  #: what has no number, and why

    def metrics(self) -> dict[str, float]:
        """All numbers by flat names, the numbers of images among them; all are finite.

        Of samples from a density S, an extractor E gives its Frechet distance, such as
        ``fd_classifier_mixture``, ``kid_E_S`` and ``kid_sd_E_S``, ``precision_E_S`` and
        ``recall_E_S``. Frechet distances alone: ``..._reconstruction``, ``..._interpolation``
        (spherical midpoints), ``..._interpolation_linear``, and ``..._real`` of training images,
        which is what a perfect model would reach. ``log_density_S`` is the mean log density of test
        codes, in nats; ``gaussianity_...`` are the fields of :class:`GaussianityReport` on test
        codes, of a band both ends, ``..._low`` and ``..._high``.
        """
        counts = ("samples", "reference_images", "reconstructions", "fitted_codes")
        return {**{name: float(getattr(self, name)) for name in counts}, **self.values}


def score_model(
    model: Autoencoder,
    train: Images,
    test: Images,
    *,
    extractors: Sequence[FeatureExtractor],
    densities: Sequence[str] = tuple(DENSITIES),
    samples: int = 10_000,
    seed: int = 0,
    batch_size: int = 500,
    kid_subsets: int = 20,
    root: str | Path | None = None,
    progress: bool = False,
) -> Scores:
    """Score a trained model by its reconstructions, samples, midpoints and codes.

    Images are made and compared batch by batch; only features are kept. A model whose codes no
    density can be fitted to, or coincide, is still scored: :attr:`Scores.missing` says what has no
    number.

    Args:
        model: trained.
        train: what it was trained on; densities are fitted to its codes.
        test: images the model has not seen; all distances are to all of them.
        extractors: the evaluation networks, see :func:`classifier_features` and
            :func:`inception_features`.
        densities: names known to :func:`fit_density`. A model that draws its codes otherwise than
            from N(0, I) also gets scores of samples of its own, named "prior".
        samples: from each density, and midpoints on each path, at least 5.
        seed: of densities, samples and pairs.
        batch_size: images at a time.
        kid_subsets: see :func:`kernel_distance`; papers take 100, each 0.4 seconds on a core.
        root: the data folder with the cache of reference features.
        progress: a bar on stderr.

    Raises:
        ValueError: sets that do not fit the model, an unknown density, fewer codes than one needs,
            or codes or images with NaN: the model has diverged.

    Example:
        >>> import tempfile
        >>> from eae_core.data import load_images
        >>> from eae_core.evaluation import classifier_features
        >>> from eae_core.models import build_model
        >>> digits, test = load_images("digits", limit=300), load_images("digits", "test", limit=50)
        >>> root = tempfile.mkdtemp()
        >>> networks = [classifier_features(digits, epochs=1, root=root)]
        >>> model = build_model("eae", (1, 32, 32), 4, width=2)
        >>> scores = score_model(model, digits, test, extractors=networks, samples=50, root=root)
        >>> {"fd_classifier_mixture", "reconstruction_error", "samples"} <= scores.metrics().keys()
        True
    """
    if min(check_integer("samples", samples), len(train), len(test)) < _FEWEST:
        raise ValueError(
            f"scores need at least {_FEWEST} samples, training images and test images, got "
            f"{samples}, {len(train)} and {len(test)}"
        )
    for images in (train, test):
        check_shape(model, images)
    missing: dict[str, str] = {}
    codes = _codes(model, train, batch_size)
    test_codes = _codes(model, test, batch_size)
    fitted = _fit(densities, codes, seed, missing)  # first, so that what is refused is so at once
    values = {"reconstruction_error": reconstruction_error(model, test, batch_size=batch_size)}
    values |= {
        f"log_density_{name}": density.log_density(test_codes).mean().item()
        for name, density in fitted.items()
    }
    if extractors:
        metrics = ImageMetrics(extractors, test, batch_size, kid_subsets, seed, root, progress)
        made = {name: decoded(model, z) for name, z in _midpoints(test_codes, samples, seed)}
        made["reconstruction"] = rebuilt(model, test, min(samples, len(test)))
        drawn = {name: density.sample(samples, seed=seed) for name, density in fitted.items()}
        drawn |= own_codes(model, samples, seed)
        values |= metrics.real(train.subset(min(samples, len(train))))
        values |= metrics.distances(made)
        values |= metrics.scores({name: decoded(model, z) for name, z in drawn.items()})
    values |= _code_scores(test_codes[:samples], missing)
    missing |= {
        name: f"it came out as {value}" for name, value in values.items() if not isfinite(value)
    }
    return Scores(
        dataset=test.name,
        samples=samples,
        reference_images=len(test),
        reconstructions=min(samples, len(test)),
        fitted_codes=len(codes),
        seed=seed,
        extractors={extractor.name: extractor.checksum for extractor in extractors},
        values={name: value for name, value in values.items() if isfinite(value)},
        missing=missing,
    )


def _codes(model: Autoencoder, images: Images, batch_size: int) -> Tensor:
    codes = encode_images(model, images, batch_size=batch_size)
    if bad := int((~codes.isfinite()).any(1).sum()):
        raise ValueError(
            f"the codes of {bad} of {len(codes)} {images.split} images hold NaN or infinity: the "
            "model has diverged; train it with a smaller learning rate"
        )
    return codes


def _fit(
    names: Sequence[str], codes: Tensor, seed: int, missing: dict[str, str]
) -> dict[str, Density]:
    fitted = {}
    for name in names:
        try:
            fitted[name] = fit_density(name, codes, seed=seed)
        except DegenerateCodesError as error:
            missing[name] = str(error)
    return fitted


def own_codes(model: Autoencoder, n: int, seed: int) -> dict[str, Tensor]:
    """Codes (n, d) that the model draws itself, by their name; none if it draws from N(0, I)."""
    # From the same generator the same distribution draws the same codes.
    gaussian, generator = standard_gaussian(model.latent_dim), torch.Generator().manual_seed(seed)
    standard = gaussian.sample(_FEWEST, generator=generator).float()
    if torch.equal(draw_codes(model, _FEWEST, seed=seed), standard):
        return {}
    return {PRIOR: draw_codes(model, n, seed=seed)}


def _midpoints(codes: Tensor, n: int, seed: int) -> list[tuple[str, Tensor]]:
    """Codes (n, d) half-way between those of two images, on the arc and on the segment."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(codes), (n,), generator=generator)
    step = torch.randint(1, len(codes), (n,), generator=generator)  # never to the same image
    start, end = codes[first], codes[(first + step) % len(codes)]
    paths = {"interpolation": spherical_path, "interpolation_linear": linear_path}
    return [(name, path(start, end, torch.tensor([0.5]))[:, 0]) for name, path in paths.items()]


def _code_scores(z: Tensor, missing: dict[str, str]) -> dict[str, float]:
    """The numbers of the report on Gaussianity, with both ends of a band."""
    try:
        report = gaussianity_report(z)
    except DuplicatePointsError as error:
        missing["gaussianity"] = str(error)
        return {}
    values = {"gaussianity_entropy_gap": report.entropy_gap}
    for entry in fields(report):
        name, value = f"gaussianity_{entry.name.removesuffix('_band')}", getattr(report, entry.name)
        if isinstance(value, Band):
            values |= {f"{name}_low": value.low, f"{name}_high": value.high}
        else:
            values[name] = float(value)
    return values
