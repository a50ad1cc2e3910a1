"""Numbers from anywhere as images or as a table: shapes and ranges checked, nothing guessed."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHANNELS_MOST = 4  # of an array, whose channels stand last


def as_values(data: Tensor | NDArray[Any], *, check: bool = True) -> Tensor:
    """Images (n, c, h, w) as uint8, or as float32 in [0, 1]; a table (n, features) as float32.

    Args:
        data: a tensor (n, c, h, w), (n, h, w) or (n, features), or an array, whose channels stand
            last: (n, h, w, c), (n, h, w) or (n, features). Images of whole numbers of 8 or, in
            an array, 16 bits, of truth values, or of floats in [0, 1].
        check: look at every number; else at shape and type alone.

    Raises:
        TypeError: numbers of another kind.
        ValueError: another shape, no data, NaN or infinity, images outside [0, 1].

    >>> as_values(np.zeros((5, 8, 6, 3), np.uint8)).shape
    torch.Size([5, 3, 8, 6])
    >>> as_values(np.zeros((5, 3, 8, 6)))
    Traceback (most recent call last):
        ...
    ValueError: an array of images is n x h x w x channels, of which 1 to 4, ...
    """
    x = _from_array(data) if isinstance(data, np.ndarray) else data.detach()
    if x.layout != torch.strided or x.is_meta:
        raise TypeError(f"data must be a dense tensor of numbers, got {x.layout} on {x.device}")
    if x.ndim not in (2, 3, 4) or not x.numel():
        raise ValueError(
            "data must be images n x channels x height x width (in an array with the channels "
            f"last) or n x height x width, or a table n x features; got {tuple(x.shape)}"
        )
    x = _floats(x) if x.ndim == 2 else _pixels(x if x.ndim == 4 else x[:, None])
    if check and x.dtype != torch.uint8:
        _check_range(x)
    return x


def as_batch(data: Tensor | NDArray[Any], *, check: bool = False) -> Tensor:
    """The same as float32 in all cases, images in [0, 1]: what a model takes.

    >>> as_batch(np.full((1, 1, 2), 255, np.uint8))
    tensor([[[[1., 1.]]]])
    """
    x = as_values(data, check=check)
    return x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x


def _from_array(data: NDArray[Any]) -> Tensor:
    if data.dtype.kind not in "buif":
        raise TypeError(f"data must be numbers, got an array of {data.dtype}")
    if data.ndim == 4 and data.shape[3] > CHANNELS_MOST:
        raise ValueError(
            f"an array of images is n x h x w x channels, of which 1 to {CHANNELS_MOST}, got "
            f"{data.shape}; give channels first as a tensor, or use numpy.moveaxis(array, 1, -1)"
        )
    if data.dtype.itemsize > 8:  # long doubles, which torch does not know
        data = data.astype(np.float64)
    if data.ndim > 2 and data.dtype == np.uint16:
        data = data / np.float32(65535)
    # What torch.from_numpy wants: this machine's byte order, dense, writable.
    x = torch.from_numpy(np.require(data, data.dtype.newbyteorder("="), ["C", "W"]))
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _pixels(x: Tensor) -> Tensor:
    if x.dtype == torch.bool:
        return x.to(torch.uint8) * 255
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise TypeError(f"images must be uint8 (0 to 255) or floats in [0, 1], got {x.dtype}")
    return _floats(x)


def _floats(x: Tensor) -> Tensor:
    if x.is_complex():
        raise TypeError(f"data must be real numbers, got {x.dtype}")
    return x.to(torch.float32)


def _check_range(x: Tensor) -> None:
    bad = int((~x.flatten(1).isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(x)} rows hold NaN, infinity or more than float32 can")
    if x.ndim == 4:
        low, high = (float(end) for end in x.aminmax())
        if low < 0 or high > 1:
            raise ValueError(
                f"images of floats must lie in [0, 1], but these reach from {low:g} to {high:g}: "
                "rescale them, for instance (x - low) / (high - low), or give them as uint8"
            )
