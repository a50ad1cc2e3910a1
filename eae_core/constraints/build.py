"""Constraints other than batch normalisation, each with its own law of largest entropy.

===========  =========================================  ======================  ==================
name         holds fixed                                law                     entropy (nats)
===========  =========================================  ======================  ==================
batch_norm   mean 0, mean square 1                      Gaussian                d/2 log(2 pi e)
l1_norm      mean 0, mean absolute value 1              Laplace                 d (1 + log 2)
unit_mean    non-negative, mean 1                       exponential             d
box          range (-1, 1)                              uniform                 d log 2
sphere       norm 1 of every code                       uniform on the sphere   log of its area
===========  =========================================  ======================  ==================

All but the last act on each coordinate. Those that hold an average fixed use the batch's in
training mode and a running one in evaluation mode; ``box`` and ``sphere`` have no average and act
alike in both. All compute in float32 or better, also under autocast, and keep float64.
"""

from __future__ import annotations

from eae_core.constraints.averages import CodeL1Norm, CodeUnitMean
from eae_core.constraints.base import CodeConstraint, ConstraintLayer
from eae_core.constraints.normalization import CodeBatchNorm
from eae_core.constraints.supports import CodeBox, CodeSphere
from eae_core.errors import nearest

CONSTRAINTS: dict[str, type[CodeBatchNorm] | type[ConstraintLayer]] = {
    kind.name: kind for kind in (CodeBatchNorm, CodeL1Norm, CodeUnitMean, CodeBox, CodeSphere)
}


def check_constraint(name: str, coordinates: str = "code") -> None:
    """Raise ValueError unless there is such a constraint, with an entropy in these coordinates."""
    if name not in CONSTRAINTS:
        raise ValueError(f"unknown constraint {name!r}; {nearest(name, CONSTRAINTS)}")
    CONSTRAINTS[name].check_coordinates(coordinates)


def build_constraint(name: str, latent_dim: int) -> CodeConstraint:
    """The layer that holds something about a code fixed, by its name.

    Args:
        name: ``"batch_norm"``, ``"l1_norm"``, ``"unit_mean"``, ``"box"`` or ``"sphere"``.
        latent_dim: d.

    Raises:
        ValueError: unknown name (the nearest is named), or an impossible dimension.

    Example:
        >>> layer = build_constraint("unit_mean", 16)
        >>> layer, layer.law.entropy
        (CodeUnitMean(16), 16.0)
    """
    check_constraint(name)
    return CONSTRAINTS[name](latent_dim)
