"""Points so large or so small that the squares of their distances overflow or vanish."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Largest coordinates for which the squares of all distances that matter keep their digits: of the
# distances between the points, and of neighbours 1e-10 as far away.
SAFE = {torch.float32: (1e-6, 1e16), torch.float64: (1e-100, 1e140)}


def largest_coordinate(x: Tensor) -> float:
    """Largest absolute value of the points; NaN where they hold one.

    Example:
        >>> largest_coordinate(torch.tensor([[1.0], [-3.0]]))
        3.0
    """
    low, high = x.aminmax()
    return float(torch.maximum(high, -low))


def safe_factor(largest: float, dtype: torch.dtype) -> float:
    """What points are multiplied by so that their squares keep their digits; 1 where they do.

    It is a power of two, which changes no digit of the points.

    Example:
        >>> safe_factor(3.0, torch.float32), safe_factor(2.0**70, torch.float32) == 2.0**-71
        (1.0, True)
    """
    low, high = SAFE[dtype]
    if largest == 0 or low <= largest <= high:
        return 1.0
    return 2.0 ** -max(-1000, min(1000, math.frexp(largest)[1]))


def safe_to_square(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The points themselves, or the same up to a common factor where squares would leave the range.

    Args:
        x: (n, d) float32 or float64; float32 comes back as float64, whose range holds its squares.
        y: (m, d) of the same dtype; may be ``x``, and is then the same tensor in the result too.

    Raises:
        ValueError: NaN or infinity.

    Example:
        >>> x = torch.tensor([[1e30], [2e30]])
        >>> safe_to_square(x, x)[0].square().isfinite().all()
        tensor(True)
    """
    if 0 in x.shape or 0 in y.shape:
        return x, y
    sizes = {"x": largest_coordinate(x)}
    if y is not x:
        sizes["y"] = largest_coordinate(y)
    for name, size in sizes.items():
        if not math.isfinite(size):
            bad = int((~(x if name == "x" else y).isfinite().all(1)).sum())
            raise ValueError(
                f"{bad} rows of {name} hold NaN or infinity, which are near to nothing; "
                f"leave them out, e.g. {name}[{name}.isfinite().all(1)]"
            )
    factor = safe_factor(max(sizes.values()), x.dtype)
    if factor == 1:
        return x, y
    if x.dtype == torch.float32 and x.device.type != "mps":
        wide = x.double()
        return wide, wide if y is x else y.double()
    scaled = x * factor
    return scaled, scaled if y is x else y * factor


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Distances (n,) of the rows of x (n, d) to those of y (n, d), whatever their size.

    Example:
        >>> distances(torch.full((1, 2), 3e30), torch.tensor([[0.0, -1e30]]))
        tensor([5.0000e+30])
    """
    differences = x - y
    # Row by row: the squares of one may vanish beside those of another.
    size: Tensor = torch.linalg.vector_norm(differences, torch.inf, dim=1)  # (n,)
    size.clamp_(min=torch.finfo(x.dtype).tiny)
    ratio = torch.linalg.vector_norm(differences.div_(size[:, None]), dim=1)  # (n,)
    return size.mul_(ratio)
