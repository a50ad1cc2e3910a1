"""Which engine is the quickest: looked up in a table that ``benchmarks/engines.py`` measures."""

from __future__ import annotations

import json
import math
from functools import cache, lru_cache
from importlib import resources
from typing import Any, cast

import torch


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def choose_engine(device: str, n: int, m: int, d: int, k: int) -> Any:
    """The engine of the nearest measured cell, distances taken between logarithms.

    Trees and subtraction win among few points and in few dimensions, products elsewhere. On a GPU
    only the engines that run there are candidates.

    Example:
        >>> choose_engine("cpu", 200_000, 200_000, 2, 1), choose_engine("cuda", 10**6, 10**6, 16, 1)
        ('kdtree', 'blocked')
    """
    return _nearest_cell(device, n, m, d, k)


@lru_cache
def _nearest_cell(device: str, n: int, m: int, d: int, k: int) -> Any:
    if device != "cpu":
        return "dense" if n * m <= 2**22 or d <= 2 else "blocked"
    points = math.sqrt(n * m)
    return min(_table(), key=lambda row: _log_distance(row, points, d, k))["engine"]


def _log_distance(row: dict[str, Any], points: float, d: int, k: int) -> float:
    here = zip((row["n"], row["d"], row["k"]), (points, d, k), strict=True)
    return sum(math.log(cell / value) ** 2 for cell, value in here)


@cache
def _table() -> list[dict[str, Any]]:
    text = resources.files("eae_core.neighbors").joinpath("choice.json").read_text("utf-8")
    return cast("list[dict[str, Any]]", json.loads(text)["cells"])
