"""KoLeo: nearest-neighbour distances of the directions of a batch, without their norms."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.entropy.samples import log_distances
from eae_core.neighbors import nearest_neighbors
from eae_core.regularizers.common import (
    BatchReduction,
    as_module,
    term,
    traceable_engine,
    unit_rows,
    values_are_looked_at,
)

_REPEATED = (
    "codes have the direction of another, so their logarithm is minus infinity: remove duplicates, "
    "or pass the smallest distance that means anything in your data, e.g. floor=1e-6"
)


@term
def koleo_loss(
    z: Tensor,
    *,
    k: int = 1,
    floor: float | None = None,
    reduction: BatchReduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Minus the mean logarithm of the distance from each direction to its nearest neighbours.

    .. math:: L = -\frac1{nk} \sum_{i=1}^n \sum_{m=1}^k \log \rho_m(i),
              \qquad u_i = z_i / \lVert z_i \rVert

    with :math:`\rho_m(i)` the distance of :math:`u_i` to its m-th neighbour among the directions.
    The public codes add 1e-8 to every distance where this one refuses a zero, and take the
    neighbour by the largest cosine, which rounding can mistake.

    Args:
        k: how many neighbours count: 1 in DINOv2; DINOv3 also takes more, in groups of 16 rows.
        floor: smallest distance that counts; None refuses equal directions.

    Returns:
        A scalar: minus the entropy on the sphere, in nats, over d - 1, up to a constant.

    Raises:
        ValueError: n <= k, k < 1, a floor that is not above 0, or codes that are zero.
        DuplicatePointsError: equal directions without a floor.

    Source:
        Sablayrolles et al. (2019), equation 2.

    Example:
        >>> koleo_loss(torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]))  # -log sqrt(2)
        tensor(-0.3466)
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if floor is not None and not floor > 0:
        raise ValueError(f"floor must be above 0, the smallest distance that counts; got {floor}")
    if values_are_looked_at(z) and (zeros := int((z == 0).all(1).sum())):
        raise ValueError(
            f"{zeros} of {len(z)} codes are zero and have no direction: leave them out"
        )
    u = unit_rows(z)  # (n, d)
    complaint = None if torch.compiler.is_compiling() else _REPEATED
    total = u.new_zeros((), dtype=torch.float64 if u.device.type != "mps" else None)
    for m in range(1, k + 1):
        found = nearest_neighbors(u, k=m, engine=traceable_engine(), validate=False)
        total = total - log_distances(u, u, found.indices, floor, complaint).mean()
    return (total / k).to(u.dtype)


KoLeoLoss = as_module("KoLeoLoss", koleo_loss)
