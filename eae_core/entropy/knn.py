"""The Kozachenko-Leonenko estimator: differential entropy from nearest-neighbour distances."""

from __future__ import annotations

import math
from typing import Literal

import torch
from scipy.special import digamma
from torch import Tensor

from eae_core.neighbors import Engine, nearest_neighbors

Reduction = Literal["mean", "none"]
Zero = Literal["raise", "floor"]
Correction = Literal["digamma", "log"]

EULER_GAMMA = 0.57721566490153286061


class DuplicatePointsError(ValueError):
    """Some points coincide with their k-th neighbour, where log rho is minus infinity."""


def unit_ball_log_volume(d: int) -> float:
    r"""Logarithm of the volume of the Euclidean unit ball, ``d/2 log(pi) - log Gamma(d/2 + 1)``.

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
    block_size: int | None = None,
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
        reduction: ``"mean"`` for the estimate, ``"none"`` for the n local terms it is the mean of.
        zero: a point that coincides with its k-th neighbour has ``log rho = -inf``. ``"raise"``
            refuses such a sample; ``"floor"`` replaces distances below ``floor`` by it.
        floor: smallest distance for ``zero="floor"``, in the units of ``z``.
        correction: ``"digamma"`` for :math:`\psi(n) - \psi(k)`, ``"log"`` for the first published
            one-neighbour form, :math:`\log(n - 1) + \gamma` (k = 1 only). They differ by
            :math:`\psi(n) - \log(n-1) \approx 1/(2n)`.
        engine: how neighbours are searched, see :func:`eae_core.neighbors.nearest_neighbors`.
        block_size: rows searched at once; None fits a block into 64 MiB.

    Returns:
        A scalar, or (n,) for ``reduction="none"``, with the dtype of (lifted) ``z``.

    Raises:
        TypeError: ``z`` is no tensor of floats, or k is no integer.
        ValueError: a shape that is not n x d, an empty or non-finite sample, k outside 1..n-1, an
            unknown option, or a missing floor.
        DuplicatePointsError: duplicated points under ``zero="raise"``.

    Source:
        Kozachenko and Leonenko (1987); the form with k: Kraskov et al. (2004), section II.

    Example:
        >>> z = torch.tensor([[0.0], [1.0], [3.0]])
        >>> knn_entropy(z)  # log(2)/3 + log(2) + psi(3) - psi(1)
        tensor(2.4242)
    """
    _check_options(reduction, zero, floor, correction, k)
    z = _check_sample(z, k)
    n, d = z.shape
    with torch.autocast(z.device.type, enabled=False):
        index = nearest_neighbors(z, k=k, engine=engine, block_size=block_size).indices
        log_rho = _log_distances(_wide(z), index, k, zero, floor)  # (n,)
        offset = (
            digamma(n) - digamma(k) if correction == "digamma" else math.log(n - 1) + EULER_GAMMA
        )
        local = d * log_rho + (unit_ball_log_volume(d) + float(offset))
        return (local.mean() if reduction == "mean" else local).to(z.dtype)


def _log_distances(z: Tensor, index: Tensor, k: int, zero: Zero, floor: float | None) -> Tensor:
    squares = (z - z[index]).square().sum(1)  # (n,)
    if zero == "floor" and floor is not None:
        return 0.5 * squares.clamp(min=floor**2).log()  # no gradient below the floor
    if (coincide := squares == 0).any():
        raise DuplicatePointsError(
            f"{int(coincide.sum())} of {len(z)} points coincide with their neighbour number {k}, "
            "so the estimate is minus infinity. Remove duplicates (torch.unique(z, dim=0)), use a "
            'larger k, or pass zero="floor" with the smallest distance that means anything in '
            "your data, e.g. floor=1e-6."
        )
    return 0.5 * squares.log()


def _wide(z: Tensor) -> Tensor:
    # Apple's GPUs have no float64.
    return z if z.device.type == "mps" else z.double()


def _check_options(reduction: str, zero: str, floor: float | None, correction: str, k: int) -> None:
    for name, value, known in (
        ("reduction", reduction, ("mean", "none")),
        ("zero", zero, ("raise", "floor")),
        ("correction", correction, ("digamma", "log")),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if isinstance(k, bool) or not isinstance(k, int):
        raise TypeError(f"k must be an integer, got {k!r}")
    if correction == "log" and k != 1:
        raise ValueError(f'correction="log" is the one-neighbour form: it needs k = 1, got k = {k}')
    if zero == "floor" and not (floor is not None and 0 < floor < math.inf):
        raise ValueError(f'zero="floor" needs floor > 0, the smallest distance kept; got {floor!r}')
    if zero == "raise" and floor is not None:
        raise ValueError('a floor is used with zero="floor" only; pass both or neither')


def _check_sample(z: Tensor, k: int) -> Tensor:
    if not isinstance(z, Tensor):
        raise TypeError(f"z must be a torch.Tensor, got {type(z).__name__}; try torch.as_tensor(z)")
    if not z.is_floating_point():
        raise TypeError(f"z must be floating point, got {z.dtype}; try z.float()")
    if z.ndim != 2:
        hint = "; a sample of scalars is z[:, None]" if z.ndim == 1 else ""
        raise ValueError(f"z must be n x d, got shape {tuple(z.shape)}{hint}")
    n, d = z.shape
    if n == 0 or d == 0:
        raise ValueError(f"z is empty, shape {tuple(z.shape)}")
    if not 1 <= k < n:
        raise ValueError(f"k must lie in 1..n-1 = {n - 1} for n = {n} points, got k = {k}")
    finite = z.isfinite().all(1)
    if not finite.all():
        bad = int((~finite).sum())
        raise ValueError(
            f"{bad} of {n} rows of z hold NaN or infinity; the estimate needs finite points"
        )
    return z if z.dtype in (torch.float32, torch.float64) else z.float()
