"""What every nearest-neighbour estimate asks of its samples and options, and its distances."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch
from torch import Tensor

from eae_core.neighbors.search import check_number, lengths

Reduction = Literal["mean", "sum", "none"]
Zero = Literal["raise", "floor"]


#: after "3 of 20 ": in which sample, what the estimate would be, and what to do
COINCIDE = (
    "points{of} coincide with their neighbour number {k}{among}, so the estimate is {sign} "
    'infinity. {remedy}, use a larger k, or pass zero="floor" with the smallest distance that '
    "means anything in your data, e.g. floor=1e-6."
)


class DuplicatePointsError(ValueError):
    """Some points coincide with their k-th neighbour, where log rho is minus infinity."""


def check_sample(z: Tensor, name: str = "z", *, values: bool = True) -> Tensor:
    """An n x d sample of finite floats, in float32 at least; float64 if differences ask for it.

    Anything else is a TypeError or ValueError with its name. NaN and infinity are looked for with
    ``values``, for which a GPU must have finished computing z.
    """
    check_floats(z, name)
    if z.ndim != 2:
        hint = f"; a sample of scalars is {name.split()[0]}[:, None]" if z.ndim == 1 else ""
        raise ValueError(f"{name} must be n x d, got shape {tuple(z.shape)}{hint}")
    if 0 in z.shape:
        raise ValueError(f"{name} is empty, shape {tuple(z.shape)}")
    if values and z.is_meta:
        raise ValueError(f"{name} has a shape and no numbers, as all tensors on the device meta")
    if z.element_size() == 1:  # float8, of which torch computes little
        z = z.float()
    if values and not _spread(z.detach()).isfinite():  # one pass; only then is it looked into
        finite = z.isfinite().all(1)
        if not finite.all():
            raise ValueError(
                f"{int((~finite).sum())} of {len(z)} rows of {name} hold NaN or infinity; the "
                "estimate needs finite points"
            )
        z = _widened(z, name)  # finite points whose differences are not
    return z if z.dtype in (torch.float32, torch.float64) else z.float()


def check_floats(z: object, name: str) -> None:
    """Raise TypeError unless this is a dense tensor of floats, with the way to one."""
    word = name.split()[0]  # "batch 3" is a batch
    if not isinstance(z, Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor, got {type(z).__name__}; try torch.as_tensor({word})"
        )
    if not z.is_floating_point():
        fix = f"torch.view_as_real({word}).flatten(1)" if z.is_complex() else f"{word}.float()"
        raise TypeError(f"{name} must be floating point, got {z.dtype}; try {fix}")
    if z.layout != torch.strided:
        raise TypeError(f"{name} must be dense, got {z.layout}; try {word}.to_dense()")


def _widened(z: Tensor, name: str) -> Tensor:
    wide = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    if wide.dtype == torch.float32 and not _spread(wide.detach()).isfinite():
        wide = wide.double() if z.device.type != "mps" else wide
    if not _spread(wide.detach()).isfinite():
        raise ValueError(
            f"points of {name} lie farther apart than {wide.dtype} can hold: scale them down, and "
            "add d times the logarithm of the factor to the estimate"
        )
    return wide


def _spread(z: Tensor) -> Tensor:
    """Largest less smallest value: no number where z holds NaN or infinity."""
    low, high = z.aminmax()
    return high - low


def check_pair(x: Tensor, y: Tensor, k: int, *, needed: int) -> tuple[Tensor, Tensor]:
    """Samples (n, d) and (m, d) in the wider dtype; k is sought in y and, if needed in 2, in x."""
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x.device != y.device:
        raise ValueError(
            f"x is on {x.device} and y on {y.device}; move one, e.g. y.to({str(x.device)!r})"
        )
    x, y = check_sample(x, "x"), check_sample(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            "x and y must be n x d and m x d with the same d, got shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    n, m = len(x), len(y)
    if not 1 <= k <= m:
        raise ValueError(f"k must lie in 1..m = {m} for the m = {m} points of y, got k = {k}")
    if needed == 2 and k > n - 1:
        raise ValueError(f"k must lie in 1..n-1 = {n - 1} for the n = {n} points of x, got k = {k}")
    dtype = torch.promote_types(x.dtype, y.dtype)
    return x.to(dtype), y.to(dtype)


def check_options(k: int, *, reduction: str, zero: str, floor: float | None) -> None:
    """Refuse an option that is none of the known ones, or a floor without its use."""
    choices = {"reduction": (reduction, Reduction), "zero": (zero, Zero)}
    for name, (value, kind) in choices.items():
        if value not in (known := get_args(kind)):
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    check_number(k)
    if isinstance(floor, bool | str | bytes):
        raise TypeError(f"floor must be a number, got {floor!r}")
    if zero == "floor" and not (floor is not None and 0 < floor < math.inf):
        raise ValueError(f'zero="floor" needs floor > 0, the smallest distance kept; got {floor!r}')
    if zero == "raise" and floor is not None:
        raise ValueError('a floor is used with zero="floor" only; pass both or neither')


def reduced(local: Tensor, reduction: Reduction) -> Tensor:
    """Local terms (n,), or their mean or sum: what ``reduction`` says everywhere."""
    if reduction == "none":
        return local
    return local.sum() if reduction == "sum" else local.mean()


def log_distances(
    points: Tensor, others: Tensor, index: Tensor, floor: float | None, complaint: str | None = None
) -> Tensor:
    """Logarithms (n,) of the distances of points to rows of others, with gradient, in float64.

    Points that coincide with their row are refused with the complaint if there is no floor; without
    a complaint their logarithm is minus infinity.
    """
    rho = lengths(points - others.index_select(0, index))  # (n,)
    if floor is not None:
        return rho.clamp(min=floor).log()  # no gradient below the floor
    if complaint is not None and (coincide := rho == 0).any():
        raise DuplicatePointsError(f"{int(coincide.sum())} of {len(points)} {complaint}")
    return rho.log()


def autocast_is_on(device: torch.device) -> bool:
    """Whether operations on a device compute in half precision now."""
    kind = device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def no_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Distances need every digit: switch autocast off where it is on."""
    return torch.autocast(device.type, enabled=False) if autocast_is_on(device) else nullcontext()
