"""Which engine finds neighbours fastest, and does "auto" choose it? Prints a table.

Each cell is a search of N(0, I) in itself, float32, on one thread of a CPU. Rounds go around the
engines, and milliseconds are those of the processor, so that what else runs on the machine matters
little. An engine that took three times as long as the best, and over 20 ms, is not asked again at
the next n.

    python benchmarks/engines.py [--quick]
"""

from __future__ import annotations

import argparse
import time
from typing import get_args

import torch
from tqdm import tqdm

from eae_core.neighbors import Engine, nearest_neighbors
from eae_core.neighbors.search import choose_engine

SIZES = (100, 300, 1_000, 3_000, 10_000, 20_000, 50_000)
DIMENSIONS = (1, 2, 4, 8, 12, 16, 64)
NEIGHBORS = (1, 5)


def milliseconds(x: torch.Tensor, k: int, engines: list[Engine]) -> dict[Engine, float]:
    """Shortest of several searches by each: the one least disturbed by the machine's other work."""
    times: dict[Engine, list[float]] = {engine: [] for engine in engines}
    while sum(map(sum, times.values())) < 0.5 and len(times[engines[0]]) < 50:
        for engine in engines:
            start = time.process_time()
            nearest_neighbors(x, k=k, engine=engine)
            times[engine].append(time.process_time() - start)
    return {engine: 1000 * min(each) for engine, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="up to n = 1,000, a few seconds")
    sizes = [n for n in SIZES if n <= 1_000] if parser.parse_args().quick else SIZES
    torch.set_num_threads(1)
    engines: tuple[Engine, ...] = tuple(e for e in get_args(Engine) if e != "auto")
    print("    n    d  k", *(f"{engine:>10}" for engine in engines), "  chosen, over the best")
    for d, k in tqdm([(d, k) for d in DIMENSIONS for k in NEIGHBORS], desc="engines"):
        asked = list(engines)
        for n in sizes:
            x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
            times = milliseconds(x, k, asked)
            best, chosen = min(times.values()), choose_engine("cpu", n, n, d, k)
            cells = (f"{times[e]:10.2f}" if e in times else " " * 10 for e in engines)
            ratio = f"{times[chosen] / best:.2f}" if chosen in times else "more than 3"
            tqdm.write(" ".join([f"{n:6} {d:3} {k:2}", *cells, f"{chosen:>9} {ratio}"]))
            asked = [e for e, t in times.items() if t <= max(20, 3 * best)]


if __name__ == "__main__":
    main()
