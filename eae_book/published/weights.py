"""Published weights in the convention of :mod:`eae_core.models`, computed from what is printed.

A published weight means something only together with its code's reductions. Here all terms are
summed over what one image has (pixels and channels, or dimensions of the code) and averaged over
the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: of the squared error: sum or mean over pixels and channels; mean over channels, sum over pixels;
#: the official WAE code's 0.05 times the sum, for CelebA of pixels in [-1, 1], whose squares are
#: four times as large; where codes are reconstructed, mean over dimensions
ErrorReduction = Literal[
    "sum", "mean", "channel mean", "sum / 20", "sum / 20 in [-1, 1]", "code mean"
]
#: of the other term: as here; mean over the code's dimensions; and that without our half
TermReduction = Literal["sum", "mean", "mean without half"]

RAE_CODE = "code of Ghosh et al. (2020), configurations"
WAE_CODE = "code of Tolstikhin et al. (2018), configurations"


def convert_weight(
    weight: float,
    *,
    error: ErrorReduction,
    term: TermReduction = "sum",
    image_shape: Sequence[int],
    latent_dim: int,
) -> float:
    r"""The weight that gives our reductions the same ratio of term and error.

    .. math:: \lambda = \lambda_\text{published} \frac{b}{a}

    where their error is a times ours and their term b times ours.

    Args:
        weight: as published.
        error: how the published code reduces the squared error.
        term: how it reduces what the weight stands before.
        image_shape: (channels, height, width).
        latent_dim: d.

    Raises:
        ValueError: another reduction.

    Example:
        >>> sizes = {"image_shape": (1, 32, 32), "latent_dim": 16}
        >>> convert_weight(5e-4, error="mean", term="mean without half", **sizes)  # RAE on MNIST
        0.064
    """
    pixels = math.prod(image_shape)
    a = {
        "sum": 1.0,
        "mean": 1 / pixels,
        "channel mean": 1 / image_shape[0],
        "sum / 20": 0.05,
        "sum / 20 in [-1, 1]": 0.2,
        "code mean": 1 / latent_dim,
    }
    b = {"sum": 1.0, "mean": 1 / latent_dim, "mean without half": 2 / latent_dim}
    for name, value, known in (("error", error, a), ("term", term, b)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    return weight * b[term] / a[error]


@dataclass(frozen=True, kw_only=True)
class PublishedWeight:
    """One weight of a published configuration.

    Attributes:
        model: our name of it.
        dataset: mnist, cifar10 or celeba64.
        option: our option that takes it; empty where our model learns it instead.
        weight: as published.
        error: see :func:`convert_weight`.
        term: see :func:`convert_weight`.
        latent_dim: of that configuration.
        source: whose.
        note: what to know before comparing.
    """

    model: str
    dataset: str
    option: str
    weight: float
    error: ErrorReduction
    term: TermReduction
    latent_dim: int
    source: str = RAE_CODE
    note: str = ""

    @property
    def converted(self) -> float:
        """The weight in our convention, to 12 digits: 0.48, not 0.48000000000000004."""
        weight = convert_weight(
            self.weight,
            error=self.error,
            term=self.term,
            image_shape=IMAGE_SHAPES[self.dataset],
            latent_dim=self.latent_dim,
        )
        return float(f"{weight:.12g}")


IMAGE_SHAPES = {"mnist": (1, 32, 32), "cifar10": (3, 32, 32), "celeba64": (3, 64, 64)}
LATENT_DIMS = {"mnist": 16, "cifar10": 128, "celeba64": 64}

# model, option, reductions, and the weights for MNIST, CIFAR-10 and CelebA
_ROWS: tuple[tuple[str, str, ErrorReduction, TermReduction, tuple[float, float, float]], ...] = (
    ("ae_l2", "decoder_l2", "mean", "sum", (1e-7, 1e-6, 1e-6)),
    ("rae", "latent_weight", "mean", "mean without half", (5e-4, 1e-2, 1e-4)),
    ("rae_l2", "latent_weight", "mean", "mean without half", (1e-4, 1e-3, 1e-4)),
    ("rae_l2", "decoder_l2", "mean", "sum", (1e-7, 1e-6, 1e-7)),
    ("rae_gp", "latent_weight", "mean", "mean without half", (1e-4, 9e-4, 1e-4)),
    ("rae_gp", "gradient_penalty", "mean", "mean", (5e-8, 0.0, 1e-7)),
    ("rae_sn", "latent_weight", "mean", "mean without half", (9e-3, 0.03, 2.4e-3)),
    ("vae", "beta", "channel mean", "sum", (0.312, 0.024, 0.09024)),
    ("cv_vae", "beta", "channel mean", "sum", (0.039, 9e-4, 0.01)),
)
_NOTES = {
    ("rae_gp", "gradient_penalty", "cifar10"): "0 in the configuration: no penalty at all",
    ("vae", "beta", "celeba64"): "with batches of 1,000 images",
    ("cv_vae", "beta", "celeba64"): "with networks of half the width",
}
_SECOND_STAGE = "second stage of a VAE with a fixed weight; ours learns gamma, here 2 gamma^2"


def _published() -> tuple[PublishedWeight, ...]:
    def weight(model: str, dataset: str, option: str, value: float, **more: Any) -> PublishedWeight:
        more = {"latent_dim": LATENT_DIMS[dataset], "term": "sum", **more}
        return PublishedWeight(model=model, dataset=dataset, option=option, weight=value, **more)

    found = [
        weight(
            *(model, dataset, option, value),
            error=error,
            term=term,
            note=_NOTES.get((model, option, dataset), ""),
        )
        for model, option, error, term, values in _ROWS
        for dataset, value in zip(IMAGE_SHAPES, values, strict=True)
    ]
    found += [
        weight("wae", "mnist", "mmd_weight", 0.03, error="mean"),
        weight("wae", "cifar10", "mmd_weight", 0.006, error="mean"),
        weight("wae", "celeba64", "mmd_weight", 100.0, error="sum / 20"),
    ]
    found += [
        weight("two_stage_vae", dataset, "", beta, error="code mean", note=_SECOND_STAGE)
        for dataset, beta in zip(IMAGE_SHAPES, (1.5e-3, 1e-3, 2e-3), strict=True)
    ]
    official: dict[str, Any] = {"option": "mmd_weight", "source": WAE_CODE}
    found += [
        weight("wae", "mnist", value=10.0, error="sum / 20", latent_dim=8, **official),
        weight("wae", "celeba64", value=100.0, error="sum / 20 in [-1, 1]", **official),
    ]
    return tuple(found)


#: every weight of the published configurations
PUBLISHED = _published()
