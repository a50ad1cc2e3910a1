"""How far an expanded square |x|^2 - 2 x.y + |y|^2 can be from the true squared distance."""

from __future__ import annotations

import torch


def product_error(dtype: torch.dtype, d: int, device: torch.device) -> float:
    """Largest error of the expanded square, as a multiple of ``|x|^2 + |y|^2``.

    A dot product of length d, summed in any order, is off by at most d rounding errors of the sum
    of its absolute terms; centring and the two norms add a few. Where torch may shorten the factors
    of a float32 product (``torch.set_float32_matmul_precision``), each factor brings its own error.

    Example:
        >>> product_error(torch.float64, 8, torch.device("cpu")) < 1e-13
        True
    """
    error = 4 * (d + 8) * torch.finfo(dtype).eps
    if dtype == torch.float32:
        error += 4 * _shortened_factor(device)
    return error


def _shortened_factor(device: torch.device) -> float:
    """Relative error of a factor that torch rounds before a float32 product."""
    precision = torch.get_float32_matmul_precision()
    if precision == "highest":
        return 0.0
    if precision == "medium" or device.type != "cuda":
        return 2.0**-8  # bfloat16, rounded to nearest
    return 2.0**-10  # TF32; some cards cut instead of rounding
