"""The Kozachenko-Leonenko estimator: differential entropy from nearest-neighbour distances."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from eae_core.distributed import Group, gather_rows, process_group
from eae_core.entropy.samples import (
    COINCIDE,
    DuplicatePointsError,
    Reduction,
    Zero,
    check_options,
    check_sample,
    log_distances,
    no_autocast,
    reduced,
)
from eae_core.neighbors import Engine, nearest_neighbors

REVISION = 1  # 1: as first recorded; see eae_book.revisions

Correction = Literal["digamma", "log"]

EULER_GAMMA = 0.57721566490153286061


def digamma(n: int) -> float:
    """psi(n) of a whole number to 2e-15, from numbers alone: torch.compile can see through it."""
    below = 0.0
    while n < 16:  # psi(n + 1) = psi(n) + 1/n, up to where the asymptotic series is exact
        below, n = below + 1 / n, n + 1
    x = 1 / n**2
    tail = x * (1 / 12 - x * (1 / 120 - x * (1 / 252 - x * (1 / 240 - x / 132))))
    return math.log(n) - 0.5 / n - tail - below


def unit_ball_log_volume(d: int) -> float:
    """Logarithm of the volume of the Euclidean unit ball, ``d/2 log(pi) - log Gamma(d/2 + 1)``.

    Example:
        >>> round(unit_ball_log_volume(2), 6)  # log(pi)
        1.14473
    """
    if d < 1:
        raise ValueError(f"a ball needs a dimension of at least 1, got d = {d}")
    return 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1)


def gaussian_entropy_bound(d: int) -> float:
    """Entropy of N(0, I_d) in nats, ``d/2 log(2 pi e)``: the most that unit variances allow.

    Example:
        >>> round(gaussian_entropy_bound(1), 4)
        1.4189
    """
    return 0.5 * d * math.log(2 * math.pi * math.e)


def knn_entropy(
    z: Tensor,
    k: int = 1,
    *,
    reduction: Reduction = "mean",
    zero: Zero = "raise",
    floor: float | None = None,
    correction: Correction = "digamma",
    engine: Engine = "auto",
    memory_limit: int | None = None,
    group: Group = None,
    validate: bool = True,
) -> Tensor:
    r"""Kozachenko-Leonenko estimate of the differential entropy of a sample, in nats.

    .. math:: \hat H = \frac{d}{n} \sum_{i=1}^n \log \rho_k(i) + \log V_d + \psi(n) - \psi(k)

    with :math:`\rho_k(i)` the Euclidean distance from :math:`z_i` to its k-th neighbour and
    :math:`V_d` the volume of the unit ball. The neighbours are found without gradient, then the
    distances are recomputed from the points: the gradient is that of the full distance matrix, at a
    cost of O(n d). Distances and the mean are taken in float64, also under autocast.

    Args:
        z: (n, d) sample, any floating dtype on any device; half precision is lifted to float32.
        k: which neighbour; ``1 <= k < n``.
        reduction: ``"mean"`` for the estimate, ``"none"`` for the n local terms it is the mean of,
            ``"sum"`` for their sum, to go with an error that is summed over the batch.
        zero: a point that coincides with its k-th neighbour has ``log rho = -inf``. ``"raise"``
            refuses such a sample; ``"floor"`` replaces distances below ``floor`` by it.
        floor: smallest distance for ``zero="floor"``, in the units of ``z``.
        correction: ``"digamma"`` for :math:`\psi(n) - \psi(k)`, ``"log"`` for the first published
            one-neighbour form, :math:`\log(n - 1) + \gamma` (k = 1 only). They differ by
            :math:`\psi(n) - \log(n-1) \approx 1/(2n)`.
        engine: how neighbours are searched, see :func:`eae_core.neighbors.nearest_neighbors`.
        memory_limit: bytes of working memory of the search; None takes a share of what is free.
        group: torch.distributed ranks that hold the sample together. Each scores its own rows
            against those of all, and n counts all; see below.
        validate: look for NaN, infinity, duplicates, and points whose squares leave the range of
            their dtype, for which a GPU must have finished computing ``z``. False spares this wait,
            which neither a CUDA graph nor one graph of torch.compile (with ``dynamic=False``) can
            hold; a duplicate then makes the result minus infinity.

    Returns:
        A scalar, or (n,) for ``reduction="none"``, with the dtype of (lifted) ``z``. With a group,
        the local terms of the rank's own rows, or their sum times (number of ranks) / n, without
        the / n for ``"sum"``: the mean of that over the ranks is what one process has, whatever
        rows each holds, and so is a gradient averaged over the ranks, as DistributedDataParallel
        does it.

    Raises:
        TypeError: ``z`` is no tensor of floats, or k is no integer.
        ValueError: no finite sample n x d, k outside 1..n-1, or an impossible option.
        DuplicatePointsError: duplicated points under ``zero="raise"``.
        RuntimeError: a group without an initialised torch.distributed.

    Source:
        Kozachenko and Leonenko (1987); the form with k: Kraskov et al. (2004), section II.

    Example:
        >>> z = torch.tensor([[0.0], [1.0], [3.0]])
        >>> knn_entropy(z)  # log(2)/3 + log(2) + psi(3) - psi(1)
        tensor(2.4242)
    """
    check_options(k, reduction=reduction, zero=zero, floor=floor)
    group = None if group is None else process_group(group)
    if group is None:
        own = points = check_sample(z, values=validate)
        exclude = None
    else:  # checked after the exchange, so that all ranks refuse together
        rows, start = gather_rows(z, group)
        points = check_sample(rows, values=validate)
        own = points[start : start + len(z)]
        exclude = torch.arange(start, start + len(z), device=z.device)
    n, d = points.shape
    if not 1 <= k < n:
        raise ValueError(f"k must lie in 1..n-1 = {n - 1} for n = {n} points, got k = {k}")
    with no_autocast(points.device):
        index = nearest_neighbors(
            own,
            None if exclude is None else points,
            k=k,
            exclude=exclude,
            engine=engine,
            memory_limit=memory_limit,
            validate=validate,
        ).indices
        log_rho = log_distances(own, points, index, floor)  # (n,)
        if validate and floor is None:
            coincide = (log_rho == -torch.inf).sum()
            if group is not None:
                dist.all_reduce(coincide, group=group)
            if coincide:
                raise repeated_points(int(coincide), n, k)
        local: Tensor = d * log_rho + entropy_offset(correction, n, d, k)
        if group is not None and reduction != "none":
            share = dist.get_world_size(group) / (n if reduction == "mean" else 1)
            return (local.sum() * share).to(points.dtype)
        return reduced(local, reduction).to(points.dtype)


def entropy_offset(correction: str, n: int, d: int, k: int) -> float:
    """What the estimate adds to the mean of d log rho, in nats: it holds no point."""
    check_correction(correction, k)
    mass = digamma(n) - digamma(k) if correction == "digamma" else math.log(n - 1) + EULER_GAMMA
    return unit_ball_log_volume(d) + mass


def check_correction(correction: str, k: int) -> None:
    """Raise ValueError unless this is a correction, and one for k."""
    if correction not in ("digamma", "log"):
        raise ValueError(f"correction must be one of digamma, log, got {correction!r}")
    if correction == "log" and k != 1:
        raise ValueError(f'correction="log" is the one-neighbour form, for k = 1 only; got k = {k}')


def repeated_points(number: int, n: int, k: int) -> DuplicatePointsError:
    """The error of a sample of n in which so many points coincide with their neighbour."""
    remedy = "Remove duplicates (torch.unique(z, dim=0))"
    complaint = COINCIDE.format(of="", k=k, among="", sign="minus", remedy=remedy)
    return DuplicatePointsError(f"{number} of {n} {complaint}")
