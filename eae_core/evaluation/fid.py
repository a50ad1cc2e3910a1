"""Frechet distance between two sets of features, or between what is left of them: two moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eae_core.entropy.samples import check_sample

REVISION = 1  # 1: as first recorded; see eae_book.revisions


def as_features(features: Any) -> Tensor:
    """Features as a tensor (n, p) of finite numbers, of a tensor, an array, or rows of them."""
    if not isinstance(features, Tensor):
        array = np.asarray(features)
        if array.dtype.kind not in "fiu":
            raise TypeError(
                f"features must be a tensor or an array of numbers, got {type(features).__name__}"
            )
        features = torch.from_numpy(array.astype(np.float64))
    wide = features.is_floating_point() or features.is_complex()
    return check_sample(features if wide else features.double(), "features")


def feature_pair(a: Any, b: Any, *, least: int = 1) -> tuple[Tensor, Tensor]:
    """Features (n, p) and (m, p) of the same p, n and m at least so many, else a ValueError."""
    a, b = as_features(a), as_features(b)
    if a.shape[1] != b.shape[1]:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"features must be n x p and m x p with the same p, got {shapes}")
    if min(len(a), len(b)) < least:
        raise ValueError(f"each set needs at least {least} points here, got {len(a)} and {len(b)}")
    return a, b


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """The two moments of a set of features that a Frechet distance compares, in float64.

    Example:
        >>> FeatureStatistics.of(torch.rand(50, 3))
        FeatureStatistics(n=50)
    """

    mean: Tensor = field(repr=False)  #: (p,)
    covariance: Tensor = field(repr=False)  #: (p, p), with divisor n - 1
    n: int  #: number of feature vectors

    @classmethod
    def of(cls, features: Tensor) -> FeatureStatistics:
        """Moments of features (n, p), n >= 2; raises as :func:`as_features`."""
        features = as_features(features)
        if len(features) < 2:
            raise ValueError(f"a covariance needs two rows at least, got {len(features)}")
        features = features.double()
        covariance = torch.cov(features.T).reshape(features.shape[1], -1)
        return cls(features.mean(0), covariance, len(features))

    @cached_property
    def root(self) -> Tensor:
        """Symmetric root of the covariance, kept: a reference meets many sets."""
        values, vectors = torch.linalg.eigh(self.covariance)
        root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
        return root


def frechet_distance(a: Tensor, b: Tensor) -> float:
    r"""Squared Frechet (2-Wasserstein) distance between Gaussians fitted to two feature sets.

    .. math:: \lVert \mu_a - \mu_b \rVert^2
              + \operatorname{tr}\bigl(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2}\bigr)

    In float64; the trace of the root is the sum of the singular values of :math:`\Sigma_a^{1/2}
    \Sigma_b^{1/2}`. Biased upward for few samples: compare at equal numbers only.

    Args:
        a: (n, p) features, a tensor or an array.
        b: (m, p) features; n, m >= 2.

    Source:
        Dowson and Landau (1982); as FID: Heusel et al. (2017).

    Example:
        >>> a = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> round(frechet_distance(a, a + 2), 6)  # a shift by 2 in 3 dimensions
        12.0
    """
    return frechet_distance_of_statistics(*map(FeatureStatistics.of, feature_pair(a, b)))


def frechet_distance_of_statistics(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """:func:`frechet_distance` from the moments alone; ValueError where p differs."""
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"features of {len(a.mean)} and of {len(b.mean)} dimensions do not meet")
    cross = torch.linalg.svdvals(a.root @ b.root).sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace()
    return max(float(distance - 2 * cross), 0.0)
