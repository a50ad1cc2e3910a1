"""Which engine finds neighbours fastest? Times them and renews the table that "auto" looks up.

Each cell is a search of N(0, I) in itself, float32, on the CPU with all its cores. An engine that
took three times as long as the best, and over 20 ms, is not asked again at the next n.

    python benchmarks/engines.py [--quick] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import torch
from tqdm import tqdm

from eae_core.files import replacing
from eae_core.hardware import describe_device
from eae_core.neighbors import nearest_neighbors

SIZES = (100, 300, 1_000, 3_000, 10_000, 50_000)
DIMENSIONS = (1, 2, 4, 8, 12, 16, 64)
NEIGHBORS = (1, 5)
ENGINES = ("dense", "blocked", "kdtree")
TABLE = Path(str(resources.files("eae_core.neighbors").joinpath("choice.json")))


def seconds(x: torch.Tensor, k: int, engine: str) -> float:
    """Shortest of several searches: the one least disturbed by the machine's other work."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.2 and len(times) < 50):
        start = time.perf_counter()
        nearest_neighbors(x, k=k, engine=engine)  # type: ignore[arg-type]
        times.append(time.perf_counter() - start)
        if sum(times) > 1:
            break
    return min(times)


def measure(sizes: tuple[int, ...]) -> list[dict[str, object]]:
    cells: list[dict[str, object]] = []
    lines = [(d, k) for d in DIMENSIONS for k in NEIGHBORS]
    for d, k in tqdm(lines, desc="engines"):
        candidates = set(ENGINES)
        for n in sizes:
            x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
            times = {engine: seconds(x, k, engine) for engine in ENGINES if engine in candidates}
            best = min(times, key=lambda engine: times[engine])
            cells.append({"n": n, "d": d, "k": k, "engine": best, "seconds": times[best]})
            candidates -= {e for e, t in times.items() if t > max(0.02, 3 * times[best])}
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="up to n = 1,000, a few seconds")
    parser.add_argument("--output", type=Path, default=TABLE, help="the table to write")
    options = parser.parse_args()
    cells = measure(tuple(n for n in SIZES if n <= 1_000) if options.quick else SIZES)
    head = {
        "measured": datetime.now(UTC).date().isoformat(),
        "device": describe_device("cpu"),
        "torch": torch.__version__,
    }
    rows = ",\n".join("  " + json.dumps(cell) for cell in cells)
    with replacing(options.output) as path:
        path.write_text(f'{json.dumps(head)[:-1]}, "cells": [\n{rows}\n]}}\n', encoding="utf-8")
    print(f"{options.output.name}: {len(cells)} cells")


if __name__ == "__main__":
    main()
