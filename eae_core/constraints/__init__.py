"""Constraints: what holds a code fixed, so that its entropy has a largest value."""

from eae_core.constraints.averages import CodeL1Norm, CodeUnitMean
from eae_core.constraints.base import CodeConstraint
from eae_core.constraints.build import build_constraint
from eae_core.constraints.normalization import CodeBatchNorm
from eae_core.constraints.supports import CodeBox, CodeSphere

__all__ = [
    "CodeBatchNorm",
    "CodeBox",
    "CodeConstraint",
    "CodeL1Norm",
    "CodeSphere",
    "CodeUnitMean",
    "build_constraint",
]
