"""How far does the entropy of a data set go that ranks hold together? Measured, then on paper.

Part one: so many gloo processes of one thread each estimate the entropy of N(0, I); seconds, peak
memory and the estimate, which does not depend on the number of ranks. Part two: what one rank does
is to search its own share in the share of each rank in turn. The search of one share in another is
timed here for some sizes, and its seconds a pair times the pairs of a rank are what a rank needs;
it holds three shares (its own, the one that is searched, the one that arrives) and sends each once.

    python benchmarks/ranks.py [--points 20000] [--dimension 16] [--largest-share 40000]
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import tempfile
import time
from multiprocessing.queues import Queue

import torch
import torch.distributed as dist
from contenders import peak_bytes

from eae_core import KnnEntropy
from eae_core.neighbors import nearest_neighbors

RANKS = (1, 2, 4)
POINTS = (10**6, 10**7, 10**8)
MOST_RANKS = (8, 64, 512)


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def work(rank: int, ranks: int, folder: str, n: int, d: int, results: Queue) -> None:  # type: ignore[type-arg]
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = dist.FileStore(f"{folder}/store", ranks)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    metric = KnnEntropy(group="world")
    metric.update(points(n, d).tensor_split(ranks)[rank])
    found: list[float] = []
    peak, seconds = peak_bytes(lambda: found.append(float(metric.compute())))
    results.put((seconds, peak, found[0]))
    dist.destroy_process_group()


def together(ranks: int, n: int, d: int) -> list[tuple[float, int, float]]:
    """Seconds, peak bytes and the estimate of each rank."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (ranks, folder, n, d, results)
        processes = [context.Process(target=work, args=(r, *arguments)) for r in range(ranks)]
        for process in processes:
            process.start()
        found = [results.get(timeout=600) for _ in processes]
        for process in processes:
            process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=16)
    parser.add_argument("--largest-share", type=int, default=40_000)
    arguments = parser.parse_args()
    n, d = arguments.points, arguments.dimension
    print(f"{n:,} points in {d} dimensions\nranks  seconds  MB a rank  entropy in nats")
    for ranks in RANKS:
        rows = together(ranks, n, d)
        seconds, peak, entropy = (max(column) for column in zip(*rows, strict=True))
        print(f"{ranks:5}  {seconds:7.2f}  {peak / 2**20:9.1f}  {entropy:.4f}")
    torch.set_num_threads(1)
    print("\nshare    nanoseconds a pair, one thread")
    sizes = [arguments.largest_share // 2**step for step in (2, 1, 0)]
    for size in sizes:
        own, other = points(size, d), points(size, d, seed=1)
        start = time.process_time()
        nearest_neighbors(own, other)
        each = (time.process_time() - start) / size**2
        print(f"{size:7,}  {1e9 * each:.2f}")
    print(f"\non paper, with {1e9 * each:.2f} ns a pair and core")
    print("      points  ranks  hours a rank  MB")
    for total in POINTS:
        for ranks in MOST_RANKS:
            share = math.ceil(total / ranks)
            hours, megabytes = each * share * total / 3600, 3 * share * d * 4 / 2**20
            print(f"{total:12,}  {ranks:5}  {hours:12.2f}  {megabytes:.0f}")


if __name__ == "__main__":
    main()
