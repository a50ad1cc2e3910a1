"""What does each regulariser cost, beside the k-nearest-neighbour entropy of the EAE?

Times value and gradient on codes of a batch, and what memory they add at the peak, one term after
the other in turns, so that a disturbance meets all: seconds of the processor on a CPU, where other
work cannot stretch them, and of the clock on a GPU. Writes a record.

    python benchmarks/regularizers.py [--sizes 100 512] [--dims 16 64 128] [--device auto]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from contenders import peak_bytes

from eae_book.records import new_record, write_record
from eae_core import knn_entropy
from eae_core.hardware import peak_memory_bytes, reset_peak_memory, resolve_device
from eae_core.regularizers import REGULARIZERS, build_regularizer
from eae_core.regularizers.registry import regularizer_options

REPEATS = 11  # of which the median counts
SLICES = 256


def main(words: list[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[100, 512])
    add("--dims", type=int, nargs="+", default=[16, 64, 128])
    add("--device", default="auto")
    add("--output", type=Path, help="folder of all records, default: data/results")
    arguments = parser.parse_args(words)
    device = resolve_device(arguments.device)
    started = time.perf_counter()
    rows = []
    for n in arguments.sizes:
        for d in arguments.dims:
            rows += measure(n, d, device)
            show(rows, n, d)
    record = new_record(
        "benchmarks",
        f"regularizers-{device.type}",
        parameters={
            "sizes": arguments.sizes,
            "dims": arguments.dims,
            "slices": SLICES,
            "threads": torch.get_num_threads(),
            "repeats": REPEATS,
        },
        metrics={"rows": rows},
        seeds=[0],
        seconds=time.perf_counter() - started,
        device=device,
    )
    print(write_record(record, arguments.output))


def contenders(n: int, d: int) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """The entropy as the EAE has it, then every term that exists at this size."""
    found: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"eae entropy": knn_entropy}
    for name in REGULARIZERS:
        if name == "covariance" and n <= d:
            continue
        few = {"slices": SLICES} if "slices" in regularizer_options(name) else {}
        few |= {"batches": 16} if name == "wristband" else {}  # drawn before the clock starts
        found[name] = build_regularizer(name, **few)
    return found


def measure(n: int, d: int, device: torch.device) -> list[dict[str, object]]:
    """One row a term: milliseconds, the part of them without gradient, and bytes."""
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    terms = contenders(n, d)
    peaks = {}
    for name, term in terms.items():
        term(z).backward()  # tables are made once
        peaks[name] = added_bytes(lambda term=term: term(z).backward(), device)
    both: dict[str, list[float]] = {name: [] for name in terms}
    value: dict[str, list[float]] = {name: [] for name in terms}
    for _ in range(REPEATS):
        for name, term in terms.items():
            both[name].append(milliseconds(lambda term=term: term(z).backward(), device))
            with torch.no_grad():
                value[name].append(milliseconds(lambda term=term: term(z), device))
    return [
        {
            "n": n,
            "d": d,
            "term": name,
            "milliseconds": round(statistics.median(both[name]), 4),
            "value_milliseconds": round(statistics.median(value[name]), 4),
            "peak_bytes": peaks[name],
        }
        for name in terms
    ]


def milliseconds(call: Callable[[], object], device: torch.device) -> float:
    """Of one call, to its end on the device."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    start = clock()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (clock() - start)


def added_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Memory that the call takes on the device at its peak."""
    if device.type != "cuda":
        return peak_bytes(call)[0]
    before = torch.cuda.memory_allocated(device)
    reset_peak_memory(device)
    call()
    return peak_memory_bytes(device) - before


def show(rows: list[dict[str, object]], n: int, d: int) -> None:
    """A table of one size, beside the entropy."""
    found = [row for row in rows if (row["n"], row["d"]) == (n, d)]
    base = float(str(found[0]["milliseconds"]))
    print(f"\nn = {n}, d = {d}: milliseconds, of the entropy's, MB at the peak")
    for row in found:
        spent, peak = float(str(row["milliseconds"])), float(str(row["peak_bytes"]))
        print(f"{row['term']:>20s}{spent:10.2f}{spent / base:8.2f}{peak / 1e6:10.1f}")


if __name__ == "__main__":
    main()
