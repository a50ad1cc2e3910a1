"""Cross-entropy and Kullback-Leibler divergence of two samples, by nearest neighbours."""

from __future__ import annotations

from torch import Tensor

from eae_core.entropy.knn import digamma, unit_ball_log_volume
from eae_core.entropy.samples import (
    COINCIDE,
    Reduction,
    Zero,
    check_options,
    check_pair,
    log_distances,
    no_autocast,
    reduced,
)
from eae_core.neighbors import Engine, nearest_neighbors


def knn_cross_entropy(
    x: Tensor,
    y: Tensor,
    k: int = 1,
    *,
    reduction: Reduction = "mean",
    zero: Zero = "raise",
    floor: float | None = None,
    engine: Engine = "auto",
    memory_limit: int | None = None,
) -> Tensor:
    r"""Nearest-neighbour estimate of the cross-entropy of two samples, E_p[-log q], in nats.

    .. math:: \hat H(p, q) = \frac{d}{n} \sum_{i=1}^n \log \nu_k(i) + \log V_d + \psi(m+1) - \psi(k)

    with :math:`\nu_k(i)` the distance from :math:`x_i \sim p` to its k-th neighbour among the m
    points of :math:`y \sim q`. All m are foreign to :math:`x_i`, so the q-mass of the ball that
    reaches to the k-th of them is Beta(k, m - k + 1), whose logarithm has the mean :math:`\psi(k) -
    \psi(m+1)`.

    Args:
        x: (n, d) points of p, where -log q is averaged.
        y: (m, d) points of q, of the same device; the wider of two dtypes is used.
        k: which neighbour; ``1 <= k <= m``.
        reduction: ``"mean"``; ``"none"`` for the n local terms, estimates of -log q(x_i); ``"sum"``
            for theirs.
        zero, floor, engine, memory_limit: as in :func:`eae_core.entropy.knn_entropy`.

    Returns:
        A scalar, or (n,) for ``reduction="none"``, with gradient to x and to y.

    Raises:
        TypeError: x or y is no tensor of floats, or k is no integer.
        ValueError: shapes other than n x d and m x d, an empty or non-finite sample, k > m, another
            device, an unknown option, or a missing floor.
        DuplicatePointsError: points of x that coincide with their neighbour, under
            ``zero="raise"``.

    Example:
        >>> import torch
        >>> x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [4.0], [8.0]])
        >>> knn_cross_entropy(x, y)  # log(1)/2 + log(1)/2 + log(2) + psi(4) - psi(1)
        tensor(2.5265)
    """
    check_options(k, reduction=reduction, zero=zero, floor=floor)
    x, y = check_pair(x, y, k, needed=1)
    with no_autocast(x.device):
        index = nearest_neighbors(x, y, k=k, engine=engine, memory_limit=memory_limit).indices
        log_nu = log_distances(x, y, index, floor, _shared(k))  # (n,)
        offset = unit_ball_log_volume(x.shape[1]) + digamma(len(y) + 1) - digamma(k)
        local = x.shape[1] * log_nu + offset
        return reduced(local, reduction).to(x.dtype)


def knn_kl_divergence(
    x: Tensor,
    y: Tensor,
    k: int = 1,
    *,
    reduction: Reduction = "mean",
    zero: Zero = "raise",
    floor: float | None = None,
    engine: Engine = "auto",
    memory_limit: int | None = None,
) -> Tensor:
    r"""Nearest-neighbour estimate of KL(p || q) from a sample of each, in nats.

    .. math:: \widehat{KL} = \frac{d}{n} \sum_{i=1}^n \log \frac{\nu_k(i)}{\rho_k(i)}
              + \psi(m+1) - \psi(n)

    :func:`knn_cross_entropy` minus :func:`eae_core.entropy.knn_entropy`: :math:`\nu_k(i)` is the
    distance from :math:`x_i` to its k-th neighbour in y, :math:`\rho_k(i)` to that among the other
    n - 1 points of x. Unbiased for every n, m and k where both densities are constant on every
    ball, which the published constant, log(m / (n - 1)), is for m = n - 1 alone. An estimate of a
    small divergence may be negative.

    Args:
        x: (n, d) points of p.
        y: (m, d) points of q; n and m need not be equal.
        k: which neighbour, in both samples; ``1 <= k <= min(m, n - 1)``.
        reduction, zero, floor, engine, memory_limit: as in :func:`knn_cross_entropy`, with local
            terms that estimate log p(x_i) - log q(x_i).

    Returns:
        A scalar, or (n,) for ``reduction="none"``, with gradient to x and to y.

    Raises:
        TypeError, ValueError, DuplicatePointsError: as :func:`knn_cross_entropy`; k > n - 1.

    Source:
        Wang, Kulkarni and Verdu (2009), with their constant replaced by the exact one.

    Example:
        >>> import torch
        >>> x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [4.0], [8.0]])
        >>> knn_kl_divergence(x, y)  # 2 log(1/2) / 2 + psi(4) - psi(2)
        tensor(0.1402)
    """
    check_options(k, reduction=reduction, zero=zero, floor=floor)
    x, y = check_pair(x, y, k, needed=2)
    n, d = x.shape
    with no_autocast(x.device):
        other = nearest_neighbors(x, y, k=k, engine=engine, memory_limit=memory_limit).indices
        own = nearest_neighbors(x, k=k, engine=engine, memory_limit=memory_limit).indices
        log_nu = log_distances(x, y, other, floor, _shared(k))  # (n,)
        remedy = "Remove duplicates (torch.unique(x, dim=0))"
        repeated = COINCIDE.format(of=" of x", k=k, among=" in x", sign="plus", remedy=remedy)
        log_rho = log_distances(x, x, own, floor, repeated)  # (n,)
        # In float64 to the end: the two entropies may be large and their difference small.
        local = d * (log_nu - log_rho) + (digamma(len(y) + 1) - digamma(n))
        return reduced(local, reduction).to(x.dtype)


def _shared(k: int) -> str:
    remedy = "x and y must be independent samples: take shared rows out of one of them"
    return COINCIDE.format(of=" of x", k=k, among=" in y", sign="minus", remedy=remedy)
