"""The faster of torch's two kernels for the last layer of a decoder of images, on a processor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

FEW_CHANNELS = 4  # of the output, up to which torch's own kernel was faster: 1.4 to 7 times


class FastTransposedConvolutions(TorchFunctionMode):
    """Take torch's own kernel for transposed convolutions with few output channels.

    oneDNN's takes as long for one channel as for sixteen, and in a generator of grey images that is
    a fifth of all the time. Both compute the same up to rounding; a GPU is left alone.

    Example:
        >>> x, weight = torch.ones(1, 2, 3, 3), torch.ones(2, 1, 2, 2)
        >>> with FastTransposedConvolutions():
        ...     F.conv_transpose2d(x, weight).sum()
        tensor(72.)
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.conv_transpose2d or not _is_slow(*args, **kwargs):
            return func(*args, **kwargs)
        with warnings.catch_warnings():  # setting the flags warns of another one, of Intel GPUs
            warnings.filterwarnings("ignore", message="TF32 acceleration")
            with torch.backends.mkldnn.flags(enabled=False):
                return func(*args, **kwargs)


def _is_slow(input: torch.Tensor, weight: torch.Tensor, *_: Any, **__: Any) -> bool:
    return weight.device.type == "cpu" and weight.shape[1] <= FEW_CHANNELS
