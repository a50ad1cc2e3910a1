"""How fast is the estimator, and in how much memory? Beside its peers, in one run on one machine.

Search: distances to the k-th neighbours of n points of N(0, I) among themselves, float32, against
SciPy's cKDTree on all cores, scikit-learn's brute force and, where faiss-cpu is installed, FAISS's
flat index. Loss: the value and its gradient, against the differentiable distance matrix
(``torch.cdist`` and ``topk``) that most implementations use. Writes two records, which the book's
tables and figures read. A peer that would take over the limit is stopped, or not started where its
time at fewer points, times the square of the ratio, exceeds it by half.

    python benchmarks/entropy.py [--quick] [--resume] [--only search|loss] [--limit SECONDS]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from contenders import Worker, installed
from tqdm import tqdm

from eae_book.records import new_record, write_record
from eae_core.files import replacing

NEIGHBORS = (1, 5)
SEARCH_SIZES = [(n, d) for n in (1_000, 10_000, 50_000, 200_000) for d in (2, 8, 16, 64, 128)]
LOSS_SIZES = [(n, d) for n in (100, 1_000, 10_000) for d in (16, 64, 128)]
OURS_LIMIT = 900.0  # seconds; our own search is never skipped


def search_rows(limit: float, largest: int, done: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row a contender and cell: seconds and bytes, or why there are none; after those done."""
    worker = Worker()
    last: dict[tuple[str, int, int], tuple[int, float]] = {}
    known = {(row["n"], row["d"], row["k"], row["contender"]): row for row in done}
    cells = [(n, d, k) for n, d in SEARCH_SIZES if n <= largest for k in NEIGHBORS]
    for n, d, k in tqdm(cells, desc="search"):
        for name in installed("search"):
            if (row := known.get((n, d, k, name))) is not None:
                last[name, d, k] = (n, row.get("median_seconds", float("inf")))
                yield row
                continue
            row = {"n": n, "d": d, "k": k, "contender": name}
            ours = name == "eae_core"
            before = last.get((name, d, k))
            if before and not ours and before[1] * (n / before[0]) ** 2 > 1.5 * limit:
                yield row | {"status": f"projected over {limit:g} s"}
                continue
            answer = worker.ask("search", name, n, d, k, limit=OURS_LIMIT if ours else limit)
            if answer is None:
                last[name, d, k] = (n, float("inf"))
                yield row | {"status": f"stopped after {limit:g} s"}
                continue
            last[name, d, k] = (n, statistics.median(answer["seconds"]))
            yield row | _summary(answer)
    worker.close()


def loss_rows(largest: int) -> Iterator[dict[str, Any]]:
    """Forward and backward, contenders in turns, so that a disturbance meets both."""
    worker = Worker()
    for n, d in tqdm([size for size in LOSS_SIZES if size[0] <= largest], desc="loss"):
        names = installed("loss")
        answers = worker.ask("losses", "", n, d, 1, limit=OURS_LIMIT)
        if answers is None:
            raise SystemExit(f"the loss at n = {n}, d = {d} did not end in {OURS_LIMIT:g} s")
        for name in names:
            yield {"n": n, "d": d, "k": 1, "contender": name} | _summary(answers[name])
    worker.close()


def _summary(answer: dict[str, Any]) -> dict[str, Any]:
    times = answer["seconds"]
    return {
        "status": "measured",
        "median_seconds": statistics.median(times),
        "fastest_seconds": min(times),
        "runs": len(times),
        "peak_bytes": answer["peak_bytes"],
    }


def shortfalls(rows: list[dict[str, Any]], allowed: float) -> list[dict[str, Any]]:
    """Cells in which our median is over the allowed multiple of the fastest peer's."""
    found = []
    measured = [row for row in rows if row["status"] == "measured"]
    for ours in (row for row in measured if row["contender"] == "eae_core"):
        cell = {key: ours[key] for key in ("n", "d", "k")}
        peers = [row for row in measured if row is not ours and row.items() >= cell.items()]
        if not peers:
            continue
        best = min(peers, key=lambda row: row["median_seconds"])
        ratio = ours["median_seconds"] / best["median_seconds"]
        if ratio > allowed:
            found.append(cell | {"peer": best["contender"], "ratio": ratio})
    return found


def show(title: str, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(row["contender"] for row in rows))
    print(f"\n{title}: median milliseconds, and MB at the peak")
    print(f"{'n':>7s}{'d':>5s}{'k':>3s}" + "".join(f"{name:>24s}" for name in names))
    for cell in dict.fromkeys((row["n"], row["d"], row["k"]) for row in rows):
        line = "{:7d}{:5d}{:3d}".format(*cell)
        found = {r["contender"]: r for r in rows if (r["n"], r["d"], r["k"]) == cell}
        for name in names:
            row = found.get(name, {"status": "-"})
            if row["status"] == "measured":
                line += f"{1e3 * row['median_seconds']:16.2f}{row['peak_bytes'] / 1e6:8.0f}"
            else:
                line += f"{row['status'].split()[0]:>24s}"
        print(line)


def save(
    run: str, rows: list[dict[str, Any]], limit: float, start: float, out: Path | None
) -> None:
    allowed = 1.1 if "search" in run else 1.0
    short = shortfalls(rows, allowed)
    faiss = importlib.util.find_spec("faiss") is not None
    record = new_record(
        "benchmarks",
        run,
        parameters={
            "threads": torch.get_num_threads(),
            "dtype": "float32",
            "limit_seconds": limit,
            "allowed_ratio": allowed,
            "faiss": version("faiss-cpu") if faiss else "not installed",
        },
        metrics={"rows": rows, "shortfalls": short},
        seeds=[0],
        seconds=time.perf_counter() - start,
        device="cpu",
    )
    show(run, rows)
    for cell in short:
        print("short: n = {n}, d = {d}, k = {k}: {ratio:.2f} x {peer}".format(**cell))
    print(write_record(record, out))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="up to 1,000 points, a few seconds")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted search")
    parser.add_argument("--only", choices=("search", "loss"), help="one of the two questions")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a peer may take")
    parser.add_argument("--output", type=Path, help="folder of records (default: data/results)")
    options = parser.parse_args()
    largest, suffix = (1_000, "-quick") if options.quick else (10**9, "")
    start = time.perf_counter()
    if options.only != "search":
        save(
            f"entropy-loss{suffix}", list(loss_rows(largest)), options.limit, start, options.output
        )
    start = time.perf_counter()
    if options.only != "loss":
        rows = []
        part = Path(f"_runs/benchmarks/entropy-search{suffix}.json")
        done = json.loads(part.read_text()) if options.resume and part.exists() else []
        for row in search_rows(options.limit, largest, done):
            rows.append(row)
            with replacing(part) as path:
                path.write_text(json.dumps(rows))
        save(f"entropy-search{suffix}", rows, options.limit, start, options.output)


if __name__ == "__main__":
    main()
