"""The estimate with a Gaussian in place of a flat density on every ball."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from eae_book.studies.ball_mass import Array, log_mass_over_flat_mass
from eae_core.entropy.knn import knn_entropy
from eae_core.entropy.samples import check_sample
from eae_core.neighbors import nearest_neighbors

REVISION = 1  # 1: as first recorded; see eae_book.revisions

BLOCK = 2**22  # coordinates of neighbours held at a time
FLATTEST = 1e-12  # smallest eigenvalue of a covariance, as a share of the largest


def kpn_entropy(z: Tensor, k: int = 1, p: int | None = None, *, shrinkage: float = 0.0) -> Tensor:
    r"""Gaussian-corrected nearest-neighbour estimate of the entropy of a sample, in nats.

    .. math:: \hat H = \psi(n) - \psi(k) - \frac1n \sum_{i=1}^n
              \log \frac{g_i(z_i)}{\int_{B_i} g_i}

    :math:`B_i` is the ball around :math:`z_i` that reaches to its k-th neighbour and :math:`g_i` a
    Gaussian fitted to :math:`z_i` and its p nearest neighbours. The mass :math:`P_i` of the ball is
    Beta(k, n - k), whatever the density, so :math:`E \log P_i = \psi(k) - \psi(n)`. What links the
    mass to the density at the centre has to be assumed:
    :func:`eae_core.entropy.knn_entropy` takes the density for constant on the ball,
    :math:`P_i = p(z_i) V_d \rho^d`; here it has the *shape* of the Gaussian,
    :math:`P_i = p(z_i) \int_{B_i} g_i / g_i(z_i)`. With a flat Gaussian both agree, and the result
    is computed as knn_entropy plus the mean of :math:`\log [\int_{B_i} g_i / (g_i(z_i) V_d
    \rho^d)]`.

    Lombardi and Pant take the ball of the largest coordinate, a cube, and approximate its mass by
    expectation propagation. The argument holds for any ball that grows around its centre in a shape
    chosen beforehand, and for the Euclidean one the integral has an exact series
    (``eae_book.studies.ball_mass``), and a rotation changes nothing. In one dimension the two
    are the same.

    How many neighbours: the k in the ball bias a fit to few more, because points cut out of a law
    by a ball look narrower than the law is; p must be several times d to fit a covariance at all.
    With all points (the default) g is one Gaussian for the whole sample: exact in the limit for a
    Gaussian of any covariance, and no help where the law is bent or has distant parts; there, take
    a small part of n.

    Args:
        z: (n, d) sample, any floating dtype on any device; the work is done on the CPU in float64.
        k: which neighbour bounds the ball; ``1 <= k < n``.
        p: how many neighbours each Gaussian is fitted to; ``k <= p < n``, and p > d unless the
            covariance is shrunk. None takes all n - 1.
        shrinkage: share, from 0 to 1, of a multiple of the identity with the same trace that is
            mixed into every covariance. Fewer than d + 1 neighbours do not determine d variances
            and all correlations; with some shrinkage they need not.

    Returns:
        A scalar with the dtype of z (half precision is lifted to float32), without gradient.

    Raises:
        TypeError: z is no tensor of floats, or k or p is no integer.
        ValueError: a shape that is not n x d, an empty or non-finite sample, k or p out of range,
            shrinkage outside 0..1, p <= d or points in a plane without shrinkage, or a Gaussian so
            narrow beside its ball that the mass cannot be summed.
        DuplicatePointsError: points that coincide with their k-th neighbour.

    Source:
        Lombardi and Pant (2016), called KpN there.

    Example:
        >>> import torch
        >>> stretch = torch.tensor([100.0, 1, 1, 1, 1, 1, 1, 1])
        >>> z = torch.randn(500, 8, generator=torch.Generator().manual_seed(0)) * stretch
        >>> knn_entropy(z), kpn_entropy(z)  # truth 15.96
        (tensor(16.6...), tensor(15.9...))
    """
    z = check_sample(z)
    n, d = z.shape
    points = z.detach().cpu().double()
    # Variances are squares: near 1 they keep their digits. A power of two changes none.
    factor = 2.0 ** -max(-1000, min(1000, math.frexp(float(points.abs().max()))[1]))
    points = points * factor
    # Refuses a k out of range, and duplicates.
    flat = float(knn_entropy(points, k)) - d * math.log(factor)
    p = _checked_fit(n, d, k, p, shrinkage)
    distances, indices = nearest_neighbors(points, k=k if p == n - 1 else p, every=True)
    radii, x = distances[:, k - 1].numpy(), points.numpy()
    rows = max(1, BLOCK // (p * d)) if p < n - 1 else n
    corrections = []
    for start in range(0, n, rows):
        part = slice(start, start + rows)
        if p == n - 1:
            around = x[None]  # one fit for all: 1 x n x d
        else:
            around = np.concatenate([x[part, None], x[indices[part].numpy()]], 1)  # rows x p+1 x d
        variances, offsets = _fit(around, x[part], shrinkage)
        corrections.append(log_mass_over_flat_mass(variances, offsets, radii[part]))
    return z.new_tensor(flat + float(np.concatenate(corrections).mean()))


def _checked_fit(n: int, d: int, k: int, p: int | None, shrinkage: float) -> int:
    if p is not None and (isinstance(p, bool) or not isinstance(p, (int, np.integer))):
        raise TypeError(f"p must be an integer or None, got {p!r}")
    p = n - 1 if p is None else p
    if not k <= p < n:
        raise ValueError(
            f"p must lie in k..n-1 = {k}..{n - 1} for k = {k} and n = {n} points, got p = {p}"
        )
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage must lie in 0..1, got {shrinkage}")
    if p <= d and shrinkage == 0:
        raise ValueError(
            f"p = {p} neighbours do not determine a covariance in d = {d} dimensions; use "
            f"p > {d}, better several times that, or some shrinkage, e.g. shrinkage=0.1"
        )
    return p


def _fit(around: Array, centers: Array, shrinkage: float) -> tuple[Array, Array]:
    """Variances along the axes of Gaussians fitted to points, and their means less the centres.

    Both are (rows, d); ``around`` is (rows, points, d), or (1, points, d) for one fit for all.
    """
    d = around.shape[2]
    means = around.mean(1)
    spread = around - means[:, None]
    covariances = np.swapaxes(spread, 1, 2) @ spread / (around.shape[1] - 1)  # rows x d x d
    size = np.trace(covariances, axis1=1, axis2=2)[:, None, None] / d
    variances, axes = np.linalg.eigh((1 - shrinkage) * covariances + shrinkage * size * np.eye(d))
    if (flat := (variances[:, 0] <= FLATTEST * variances[:, -1]).sum()) > 0:
        raise ValueError(
            f"{flat} of {len(variances)} fitted Gaussians are flat: their points lie in a subspace "
            "of fewer dimensions. Drop coordinates that others determine, use a larger p, or some "
            "shrinkage, e.g. shrinkage=0.1"
        )
    offsets = np.einsum("rij,ri->rj", axes, means - centers)
    return np.broadcast_to(variances, offsets.shape).copy(), offsets
