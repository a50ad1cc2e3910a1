"""Where points end that are free to move and follow one term alone, under batch normalisation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eae_book.studies.free_points import maximize_entropy, standardize
from eae_book.studies.preference import Term
from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.entropy.knn import knn_entropy
from eae_core.evaluation import energy_distance, sliced_wasserstein
from eae_core.regularizers import radial_loss

REVISION = 1  # 1: as first recorded; see eae_book.revisions


@dataclass(frozen=True)
class Settled:
    """What n points in d dimensions look like, beside the same of a true Gaussian sample."""

    norm_spread: float  #: standard deviation of the norms over that of a chi; 1, and 0 on a sphere
    radial: float  #: squared distance of the norms to a chi's, see radial_loss
    largest_correlation: float  #: of two coordinates
    sliced_wasserstein: float
    energy_distance: float
    entropy_gap: float  #: nats below the mean estimate of Gaussian samples; below 0: more even


def describe(z: Tensor) -> Settled:
    """Statistics of standardised points z (n, d).

    Example:
        >>> z = standardize(torch.randn(500, 4, generator=torch.Generator().manual_seed(0)))
        >>> 0.9 < describe(z).norm_spread < 1.1
        True
    """
    z = z.detach().double()
    n, d = z.shape
    mean = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    correlation = torch.corrcoef(z.T).fill_diagonal_(0)
    return Settled(
        norm_spread=float(z.norm(dim=1).std()) / math.sqrt(d - mean**2),
        radial=float(radial_loss(z)),
        largest_correlation=float(correlation.abs().max()),
        sliced_wasserstein=sliced_wasserstein(z),
        energy_distance=energy_distance(z),
        entropy_gap=expected_gaussian_estimate(d, n) - float(knn_entropy(z)),
    )


def settle(term: Term, n: int, d: int, *, steps: int = 1000, seed: int = 0) -> Tensor:
    r"""Minimise a term of n free points, standardised exactly, from a Gaussian sample.

    .. math:: \min_x L\bigl(\mathrm{standardize}(x)\bigr)

    Args:
        term: points (n, d) to a scalar.
        n: points.
        d: dimension.
        steps: of Adam, with a rate that falls to 0 along a half cosine.
        seed: of the start, and of directions that the term draws.

    Returns:
        (n, d) standardised points in float32.

    Example:
        >>> z = settle(radial_loss, 40, 3, steps=50)
        >>> bool(radial_loss(z) < 0.02)
        True
    """
    start = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return maximize_entropy(start, standardize, steps=steps, estimate=lambda z: -term(z))
