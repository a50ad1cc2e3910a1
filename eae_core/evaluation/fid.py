"""Frechet distance between two sets of features."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(a: Tensor, b: Tensor) -> float:
    r"""Squared Frechet (2-Wasserstein) distance between Gaussians fitted to two feature sets.

    .. math:: \lVert \mu_a - \mu_b \rVert^2
              + \operatorname{tr}\bigl(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2}\bigr)

    In float64; the trace of the root is the sum of the singular values of
    :math:`\Sigma_a^{1/2} \Sigma_b^{1/2}`, taken from symmetric factorisations, so that no
    imaginary part arises. Biased upward for few samples: compare at equal numbers only, and say it.

    Args:
        a: (n, p) features.
        b: (m, p) features; n, m >= 2.

    Raises:
        ValueError: shapes that do not fit, too few rows, NaN or infinity.

    Source:
        Dowson and Landau (1982); as FID: Heusel et al. (2017).

    Example:
        >>> a = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        >>> round(frechet_distance(a, a + 2), 6)  # a shift by 2 in 3 dimensions
        12.0
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        shapes = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"features must be n x p and m x p with the same p, got {shapes}")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a covariance needs two rows at least, got {len(a)} and {len(b)}")
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("features hold NaN or infinity")
    (mean_a, cov_a), (mean_b, cov_b) = _moments(a), _moments(b)
    cross = torch.linalg.svdvals(_symmetric_root(cov_a) @ _symmetric_root(cov_b)).sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(float(distance), 0.0)


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)


def _symmetric_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root
