"""How fast is the estimator? Beside the usual ways to compute it, in one run on one machine.

Two questions. As a training loss, forward and backward: against the differentiable distance matrix
(``torch.cdist`` and ``topk``) that most implementations use. Offline, the k-th distances alone:
against SciPy's cKDTree and scikit-learn's brute force. Writes a record that the book's tables read.

    python benchmarks/entropy.py [--quick] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from eae_core import knn_entropy
from eae_core.neighbors import nearest_neighbors
from eae_core.records import new_record, write_record

LOSS_SIZES = [(n, d) for n in (100, 1_000, 10_000) for d in (16, 64, 128)]
SEARCH_SIZES = [(n, d) for n in (1_000, 10_000) for d in (2, 16, 64, 128)]


def distance_matrix_loss(z: torch.Tensor) -> torch.Tensor:
    """The loss up to its constant, through the n x n matrix."""
    return torch.cdist(z, z).topk(2, largest=False).values[:, 1].log().mean()


def backward(loss: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor) -> None:
    z.grad = None
    loss(z).backward()


def kdtree(z: torch.Tensor) -> None:
    points = z.numpy()
    cKDTree(points).query(points, k=2, workers=-1)


def brute_force(z: torch.Tensor) -> None:
    NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=-1).fit(z.numpy()).kneighbors()


LOSSES = {
    "eae_core": lambda z: backward(knn_entropy, z),
    "cdist and topk": lambda z: backward(distance_matrix_loss, z),
}
SEARCHES = {
    "eae_core": lambda z: nearest_neighbors(z),
    "SciPy cKDTree": kdtree,
    "scikit-learn brute": brute_force,
}


def seconds(call: Callable[[torch.Tensor], object], z: torch.Tensor, budget: float) -> list[float]:
    """Times of at least three calls after a warm-up, more while the budget in seconds lasts."""
    call(z)
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < 200):
        start = time.perf_counter()
        call(z)
        times.append(time.perf_counter() - start)
    return times


def measure(
    title: str,
    contenders: dict[str, Callable[[torch.Tensor], object]],
    sizes: list[tuple[int, int]],
    *,
    gradient: bool,
    budget: float,
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for n, d in tqdm(sizes, desc=title):
        z = torch.randn(n, d, generator=torch.Generator().manual_seed(0)).requires_grad_(gradient)
        for name, call in contenders.items():
            times = seconds(call, z, budget)
            rows.append(
                {
                    "n": n,
                    "d": d,
                    "contender": name,
                    "median_seconds": statistics.median(times),
                    "fastest_seconds": min(times),
                    "runs": len(times),
                }
            )
    return rows


def show(title: str, rows: list[dict[str, object]]) -> None:
    names = list(dict.fromkeys(str(row["contender"]) for row in rows))
    print(f"\n{title}, median milliseconds")
    print(f"{'n':>7s}{'d':>5s}" + "".join(f"{name:>20s}" for name in names))
    for n, d in dict.fromkeys((row["n"], row["d"]) for row in rows):
        cells = [row["median_seconds"] for row in rows if (row["n"], row["d"]) == (n, d)]
        print(f"{n:7d}{d:5d}" + "".join(f"{1e3 * float(cell):20.2f}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds")
    parser.add_argument("--output", type=Path, help="folder of records (default: data/results)")
    options = parser.parse_args()
    keep = 1_000 if options.quick else 10_000
    budget = 0.1 if options.quick else 1.0
    start = time.perf_counter()
    loss = measure(
        "loss", LOSSES, [s for s in LOSS_SIZES if s[0] <= keep], gradient=True, budget=budget
    )
    search = measure(
        "search", SEARCHES, [s for s in SEARCH_SIZES if s[0] <= keep], gradient=False, budget=budget
    )
    show("Training loss, forward and backward", loss)
    show("k-th neighbour search", search)
    record = new_record(
        "benchmarks",
        "entropy-quick" if options.quick else "entropy",
        parameters={"k": 1, "threads": torch.get_num_threads(), "dtype": "float32"},
        metrics={"loss": loss, "search": search},
        seeds=[0],
        seconds=time.perf_counter() - start,
        device="cpu",
    )
    print(f"\n{write_record(record, options.output)}")


if __name__ == "__main__":
    main()
