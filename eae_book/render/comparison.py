"""Outputs of a chapter beside those committed: the same words, and numbers within a tolerance.

Words and the layout of tables must be the same; a number may differ by the chapter's tolerance times
its size, and by one in its last printed digit. The value of a claim may also move by that part of
the width of its band, and what stands behind a "±" by that part of the number in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from eae_book.checks import HOLDS

NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]\d|\w)"
)
BAND = re.compile(r"band \[(\S+), (\S+)\]$")
SPREAD = re.compile(r"(±|\+-)\s*$")


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
            old, new = (list(_lines(each)) for each in (cell, after[cell["id"]]))
            told = _compare(old, new, tolerance)
            found += [f"cell {cell['id']}: {line}" for line in told]
    return found


def _compare(old: list[str], new: list[str], tolerance: float) -> Iterator[str]:
    """What differs between the lines of one cell."""
    if len(old) != len(new):
        yield f"{len(old)} lines of output became {len(new)}"
    for before, after in zip(old, new, strict=False):
        if NUMBER.sub("#", before) != NUMBER.sub("#", after):
            yield f"{before!r} became {after!r}"
            continue
        pairs = zip(NUMBER.finditer(before), NUMBER.finditer(after), strict=True)
        front = 0.0
        for a, b in pairs:
            spread = SPREAD.search(before[: a.start()]) is not None
            scale = max(abs(_value(a[0])), abs(_value(b[0])), _width(before), front * spread)
            if abs(_value(a[0]) - _value(b[0])) > tolerance * scale + max(_step(a[0]), _step(b[0])):
                yield f"{a[0]} became {b[0]} in {after!r}"
            front = abs(_value(a[0]))


def _lines(cell: Any) -> Iterator[str]:
    """What a cell shows as text, line by line with single spaces; a picture is a line of its own."""
    streams: list[str] = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            if output["name"] == "stdout":
                streams.append("".join(output["text"]))
            continue
        data = output.get("data", {})
        streams += ["\n[picture]\n"] * ("image/png" in data)
        text = data.get("text/html") or data.get("text/markdown") or data.get("text/plain", "")
        text = re.sub(r"(?s)<style.*?</style>|</?[a-zA-Z][^>]*>", " ", "".join(text))
        streams.append(f"\n{text}\n")
    for line in "".join(streams).splitlines():
        if line.strip():
            yield " ".join(line.split())


def _value(number: str) -> float:
    return float(number.replace(",", ""))


def _step(number: str) -> float:
    """One in the last printed digit behind the point; whole numbers are exact.

    Example:
        >>> _step("12.34"), _step("1.5e-03"), _step("1,500")
        (0.01, 0.0001, 0.0)
    """
    mantissa, _, exponent = number.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(f"1e{int(exponent or 0) - decimals}") if decimals or exponent else 0.0


def _width(line: str) -> float:
    """Of the band of a claim; 0 for other lines and where a side is open."""
    found = BAND.search(line) if line.startswith(HOLDS) else None
    return abs(float(found[2]) - float(found[1])) if found else 0.0
