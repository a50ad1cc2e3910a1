"""Outputs of a chapter beside those committed: the same words, and numbers within a tolerance.

Words, the layout of tables, and all of a claim but its value must be the same. A number may differ
by the chapter's tolerance times its size, and by one in its last digit behind the point. A value
that a claim bounds may be small beside its bounds, and what stands behind a "±" beside the number
in front: there the larger one counts as the size. A claim with bounds below 0.0001 is about
rounding, which its band alone decides: another processor rounds otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from eae_book.checks import HOLDS

DIGITS = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?"
NUMBER = re.compile(rf"(?<![\w.]){DIGITS}(?!\w|\.\d)")
VALUE = re.compile(rf"(?<=: value )(?:{DIGITS}|inf)|(?<= of value ){DIGITS}")
BOUNDS = re.compile(
    rf", (?:band [\[(](?:-inf|({DIGITS})), (?:inf|({DIGITS}))[\])]$|within ({DIGITS}) of value )"
)
ROUNDING = 1e-4
SPREAD = re.compile(r"(?:±|\+-)\s*$")


def differences(committed: Any, executed: Any, *, tolerance: float) -> list[str]:
    """What an executed chapter shows otherwise than the committed one, a line each.

    Args:
        committed: a notebook with its outputs.
        executed: the same chapter, run anew.
        tolerance: of numbers, relative to their size.

    Example:
        >>> def chapter(text):
        ...     output = {"output_type": "stream", "name": "stdout", "text": text}
        ...     return {"cells": [{"id": "a", "cell_type": "code", "outputs": [output]}]}
        >>> differences(chapter("error 12.1 of 40"), chapter("error 12.3 of 40"), tolerance=0.02)
        []
        >>> differences(chapter("error 12.1 of 40"), chapter("error 13.1 of 40"), tolerance=0.02)
        ["cell a: 12.1 became 13.1 in 'error 13.1 of 40'"]
    """
    after = {cell["id"]: cell for cell in executed["cells"] if cell["cell_type"] == "code"}
    found = []
    for cell in committed["cells"]:
        if cell["cell_type"] == "code":
            old, new = (list(shown_lines(each)) for each in (cell, after[cell["id"]]))
            found += [f"cell {cell['id']}: {line}" for line in _compare(old, new, tolerance)]
    return found


def shown_lines(cell: Any) -> Iterator[str]:
    """What a cell shows as text, line by line with single spaces; a picture is a line too."""
    parts: list[str] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            parts += ["".join(output["text"])] if output["name"] == "stdout" else []
            continue
        data = output.get("data", {})
        if "image/png" in data:
            parts.append("\n[picture]\n")
        else:
            text = data.get("text/html") or data.get("text/markdown") or data.get("text/plain", "")
            text = re.sub(r"(?s)<style.*?</style>|</?[a-zA-Z][^>]*>", " ", "".join(text))
            parts.append(f"\n{text}\n")
    for line in "".join(parts).splitlines():
        if line.strip():
            yield " ".join(line.split())


def _compare(old: list[str], new: list[str], tolerance: float) -> Iterator[str]:
    """What differs between the lines of one cell."""
    if len(old) != len(new):
        yield f"{len(old)} lines of output became {len(new)}"
    for before, after in zip(old, new, strict=False):
        pattern = VALUE if before.startswith(HOLDS) else NUMBER
        if pattern.sub("#", before) != pattern.sub("#", after):
            yield f"{before!r} became {after!r}"
            continue
        allowed = _allowed_in_claim if before.startswith(HOLDS) else _allowed
        for a, b in zip(pattern.finditer(before), pattern.finditer(after), strict=True):
            apart = abs(_value(a[0]) - _value(b[0]))
            if not apart <= (1 + 1e-9) * allowed(before, a, b[0], tolerance):
                yield f"{a[0]} became {b[0]} in {after!r}"


def _allowed(line: str, number: re.Match[str], other: str, tolerance: float) -> float:
    """How far two printed numbers may lie apart; `line` is where the first was found."""
    size = max(abs(_value(number[0])), abs(_value(other)))
    if SPREAD.search(line[: number.start()]):
        in_front = NUMBER.findall(line[: number.start()])
        size = max(size, abs(_value(in_front[-1]))) if in_front else size
    return tolerance * size + max(_last_digit(number[0]), _last_digit(other))


def _allowed_in_claim(line: str, number: re.Match[str], other: str, tolerance: float) -> float:
    """Likewise for the value of a claim, of which five digits are printed."""
    size, bounds = max(abs(_value(number[0])), abs(_value(other))), _bounds(line)
    if 0 < bounds < ROUNDING:
        return bounds
    return tolerance * max(size, bounds) + 1e-4 * size


def _bounds(claim: str) -> float:
    """The largest number that a claim sets its value beside; 0 if it cannot be read.

    Example:
        >>> _bounds("holds: x: value 0.1, band [-0.5, inf)"), _bounds("holds: x: value 3, band (]")
        (0.5, 0.0)
    """
    found = BOUNDS.search(claim)
    return (
        max((abs(_value(each)) for each in found.groups() if each), default=0.0) if found else 0.0
    )


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _last_digit(number: str) -> float:
    """One in the last printed digit behind the point; whole numbers are exact.

    Example:
        >>> _last_digit("12.34"), _last_digit("1.5e-03"), _last_digit("1,500")
        (0.01, 0.0001, 0.0)
    """
    mantissa, _, exponent = number.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(f"1e{int(exponent or 0) - decimals}") if decimals or exponent else 0.0
