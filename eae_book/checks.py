"""Claims that check themselves: print the value, the band and whether it holds; raise if not.

A chapter states a number in the cell that computes it. The printed line names the value after the
word "value", and nothing else in the line depends on the machine: :mod:`eae_book.render.comparison`
lets the value move within a tolerance, and nothing else.

A claim that holds at a chapter's own values need not hold at a reader's. Where the environment
variable ``EAE_CHECKS`` is ``report``, a claim that fails is printed and the chapter goes on; the
verb ``run`` sets it when it is given values of a reader's own.
"""

from __future__ import annotations

import math
import os
from typing import SupportsFloat

VARIABLE, REPORT = "EAE_CHECKS", "report"
HOLDS, FAILS = "holds: ", "fails: "  #: how the line of a claim begins


class CheckFailed(AssertionError):  # noqa: N818 (it reads as what happened)
    """A claim does not hold."""


def check(
    label: str,
    value: SupportsFloat,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
) -> None:
    """Print one line that says whether ``low <= value <= high``, and raise if it does not hold.

    Args:
        label: what the value is; must not contain anything that changes from run to run.
        value: a number, or anything ``float`` takes (an array or a tensor of one element).
        low: smallest value allowed; None for no bound.
        high: largest value allowed; None for no bound.
        unit: printed after the value, e.g. ``"nats"``.

    Raises:
        CheckFailed: outside the band, infinite, or not a number; printed instead where failures
            are only reported, see above.
        ValueError: no bound at all, or an empty band.

    Example:
        >>> check("entropy of N(0, 1)", 1.41894, low=1.40, high=1.44, unit="nats")
        holds: entropy of N(0, 1): value 1.4189 nats, band [1.4, 1.44]
        >>> check("images that differ", 3, high=0)
        Traceback (most recent call last):
        ...
        eae_book.checks.CheckFailed: fails: images that differ: value 3, band (-inf, 0]
    """
    if low is None and high is None:
        raise ValueError(f"the check {label!r} needs a bound: pass low, high or both")
    lower = -math.inf if low is None else low
    upper = math.inf if high is None else high
    if not lower <= upper:
        raise ValueError(f"the check {label!r} has an empty band: low {lower:g}, high {upper:g}")
    opening = "(-inf" if low is None else f"[{low:g}"
    closing = "inf)" if high is None else f"{high:g}]"
    number = float(value)
    holds = math.isfinite(number) and lower <= number <= upper
    _report(holds, f"{label}: {_spell(number, unit)}, band {opening}, {closing}")


def check_close(
    label: str,
    value: SupportsFloat,
    expected: SupportsFloat,
    *,
    tolerance: float,
    unit: str = "",
) -> None:
    """Print one line that says whether ``|value - expected| <= tolerance``; raise if it fails.

    Args:
        label: what the value is; must not contain anything that changes from run to run.
        value: a number, or anything ``float`` takes.
        expected: what it should be.
        tolerance: largest absolute difference allowed, in the same unit.
        unit: printed after the value.

    Raises:
        CheckFailed: further apart than the tolerance, or either is infinite or not a number.
        ValueError: a tolerance that is negative or not a number.

    Example:
        >>> check_close("log volume of the disc", 1.14473, 1.1447299, tolerance=1e-6)
        holds: log volume of the disc: value 1.1447, within 1e-06 of value 1.1447
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"the check {label!r} needs a tolerance of at least 0, got {tolerance}")
    number, target = float(value), float(expected)
    holds = abs(number - target) <= tolerance  # False for nan, and for inf - inf
    line = f"{label}: {_spell(number, unit)}, within {tolerance:g} of {_spell(target, '')}"
    _report(holds, line)


def _spell(number: float, unit: str) -> str:
    return f"value {number:.5g} {unit}".rstrip()


def _report(holds: bool, line: str) -> None:
    if holds:
        print(f"{HOLDS}{line}")
    elif os.environ.get(VARIABLE) == REPORT:
        print(f"{FAILS}{line}")
    else:
        raise CheckFailed(f"{FAILS}{line}")
