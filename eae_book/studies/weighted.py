"""Estimates at several neighbours, weighted so that the leading terms of their bias cancel."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import digamma
from torch import Tensor

from eae_core.entropy.knn import unit_ball_log_volume
from eae_core.entropy.samples import DuplicatePointsError, check_sample
from eae_core.neighbors import nearest_neighbors

REVISION = 1  # 1: as first recorded; see eae_book.revisions

LARGEST_WEIGHT = 1e7  # beyond, rounding in the weights alone would cost digits of the entropy


def neighbor_weights(d: int, k_max: int) -> Tensor:
    r"""Weights of the neighbours 1 to k_max whose combined bias lacks its leading terms.

    Around a point, the volume of a ball is a power series in its mass u: the smooth density adds
    terms in :math:`u^{2l/d}`, l = 1, 2, ..., to log(volume). The mass up to the j-th neighbour is
    Beta(j, n - j), so

    .. math:: E\, u^{2l/d} = \frac{\Gamma(j + 2l/d)}{\Gamma(j)}
              \frac{\Gamma(n)}{\Gamma(n + 2l/d)} :

    it depends on j by its first factor only. A combination of the estimates at several j with

    .. math:: \sum_j w_j = 1, \qquad \sum_j w_j \frac{\Gamma(j + 2l/d)}{\Gamma(j)} = 0
              \quad (l = 1, \dots, \lfloor d/4 \rfloor)

    keeps the entropy and loses every term of the bias that falls more slowly than the spread,
    :math:`n^{-1/2}`. Of all such weights on the neighbours
    :math:`\lfloor k_{max} / d \rfloor, \lfloor 2 k_{max} / d \rfloor, \dots, k_{max}` these have
    the least sum of squares. For d < 4 nothing has to cancel, and they are equal.

    Args:
        d: dimension of the points.
        k_max: largest neighbour.

    Returns:
        (k_max,) float64; entry j - 1 belongs to neighbour j, and most are zero.

    Raises:
        TypeError: d or k_max is no integer.
        ValueError: d < 1, k_max < 1, fewer different neighbours than constraints, or weights beyond
            1e7, which float64 could not balance (from about d = 28).

    Source:
        Berrett, Samworth and Yuan (2019), equation (2). The R package IndepTest spreads the weights
        over all neighbours up to k_max instead.

    Example:
        >>> neighbor_weights(4, 4)
        tensor([ 1.5903,  0.5442, -0.2403, -0.8941], dtype=torch.float64)
    """
    for name, value in (("d", d), ("k_max", k_max)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    neighbors = np.unique([j * k_max // d for j in range(1, d + 1)])
    neighbors = neighbors[neighbors > 0]
    constraints = 1 + d // 4
    if len(neighbors) < constraints:
        raise ValueError(
            f"{constraints} constraints in d = {d} dimensions need as many different neighbours, "
            f"and k_max = {k_max} gives {len(neighbors)}; use k_max >= {constraints}"
        )
    weights = torch.zeros(k_max, dtype=torch.float64)
    weights[neighbors - 1] = torch.from_numpy(_balanced(neighbors, d))
    if (largest := float(weights.abs().max())) > LARGEST_WEIGHT:
        raise ValueError(
            f"weights for d = {d}, k_max = {k_max} reach {largest:.0e}: the spread of the estimate "
            "would be as many times that of its terms. The weighted estimator is of use up to "
            "about 12 dimensions; beyond, take knn_entropy"
        )
    return weights


def _balanced(neighbors: np.ndarray, d: int) -> np.ndarray:
    """The weights of least norm at these neighbours.

    They are what the constraints leave of the vector (1, ..., 1), scaled to sum 1: the gamma ratios
    form a totally positive kernel, so some of that vector always remains.
    """
    ones = np.ones(len(neighbors))
    if d < 4:
        return ones / len(ones)
    power = 2 * np.arange(1, d // 4 + 1) / d  # 2l/d
    # Gamma(j + a) / Gamma(j) is Gamma(1 + a) times the product of (1 + a/m), m < j. A sum of log1p
    # keeps all digits at a large j, where a difference of lgamma loses those of lgamma's size.
    steps = np.log1p(power / np.arange(1, neighbors[-1])[:, None])  # (k_max - 1) x l
    log_ratio = np.concatenate([np.zeros((1, len(power))), steps.cumsum(0)])[neighbors - 1]
    basis = np.linalg.qr(np.exp(log_ratio - log_ratio.max(0)))[0]  # neighbours x l
    for _ in range(2):  # once more, for what rounding left
        ones = ones - basis @ (basis.T @ ones)
    return np.asarray(ones / ones.sum())


def weighted_knn_entropy(z: Tensor, k_max: int) -> Tensor:
    r"""Weighted nearest-neighbour estimate of the differential entropy of a sample, in nats.

    .. math:: \hat H = \sum_{j \le k_{max}} w_j \left[ \frac dn \sum_{i=1}^n \log \rho_j(i)
              + \log V_d + \psi(n) - \psi(j) \right]

    with the weights of :func:`neighbor_weights`: :func:`eae_core.entropy.knn_entropy` at several
    neighbours, combined so that the leading terms of their bias cancel. For a smooth density its
    error then falls as :math:`n^{-1/2}` in any dimension, where that of a single neighbour falls as
    :math:`n^{-2/d}` from 5 on. That is a statement about large n: the weights grow quickly with the
    dimension (up to about 10 in 8, about 2,000 in 16), and the spread with them. Edges are not
    smooth, and their bias does not cancel.

    Args:
        z: (n, d) sample, any floating dtype on any device; the search runs on the CPU in float64.
        k_max: the largest neighbour used; ``1 <= k_max < n``. The paper lets it grow more slowly
            than n; tens for thousands of points.

    Returns:
        A scalar with the dtype of z (half precision is lifted to float32), without gradient: the
        estimator is meant for judging samples, not for training.

    Raises:
        TypeError: z is no tensor of floats, or k_max is no integer.
        ValueError: a shape that is not n x d, an empty or non-finite sample, k_max outside 1..n-1,
            or no such weights, see :func:`neighbor_weights`.
        DuplicatePointsError: points that coincide with a neighbour that has a weight.

    Source:
        Berrett, Samworth and Yuan (2019), with psi(n) in the place of log(n - 1): then the estimate
        is unbiased where the density is constant on every ball.

    Example:
        >>> z = torch.randn(1000, 5, generator=torch.Generator().manual_seed(0))
        >>> weighted_knn_entropy(z, 40)  # truth 7.09
        tensor(6.86...)
    """
    z = check_sample(z)
    n, d = z.shape
    if isinstance(k_max, (int, np.integer)) and k_max >= n:
        raise ValueError(f"k_max must lie in 1..n-1 = {n - 1} for n = {n} points, got {k_max}")
    weights = neighbor_weights(d, k_max)
    points = z.detach().cpu().double()
    log_rho = nearest_neighbors(points, k=k_max, every=True).distances.log()  # n x k_max
    used = weights.nonzero()[:, 0]
    if coincide := int((log_rho[:, used[0]] == -torch.inf).sum()):
        raise DuplicatePointsError(
            f"{coincide} of {n} points coincide with their neighbour number {int(used[0]) + 1}, "
            "the first with a weight, so the estimate is infinite. Remove duplicates "
            "(torch.unique(z, dim=0)) or use a larger k_max"
        )
    offset = unit_ball_log_volume(d) + float(digamma(n))
    estimates = d * log_rho[:, used].mean(0) + offset - torch.from_numpy(digamma(used.numpy() + 1))
    return (weights[used] @ estimates).to(z)  # its dtype and device
