"""What part of a training step is the entropy term? By batch size, on one device.

Times the whole step of an EAE (forward, backward, Adam) and, apart from it, the estimate and its
gradient on codes of the same batch. The entropy's part grows with the square of the batch, the
network's in proportion to it, so the share rises. Writes a record, which chapter 06 reads.

    python benchmarks/entropy_share.py [--width 8] [--latent-dim 16] [--batch-sizes 25 100 400]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from eae_book.records import new_record, write_record
from eae_core import build_model, knn_entropy
from eae_core.hardware import resolve_device
from eae_core.models import EAEOptions

REPEATS = 11  # of which the median counts


def main(words: list[str] | None = None) -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--batch-sizes", type=int, nargs="+", default=[25, 100, 400, 1600, 3200])
    add("--latent-dim", type=int, default=16)
    add("--width", type=int, default=8, help="channels of the first layer; the papers': 128")
    add("--k", type=int, default=1)
    add("--device", default="auto")
    add("--output", type=Path, help="folder of all records, default: data/results")
    arguments = parser.parse_args(words)
    device = resolve_device(arguments.device)
    started = time.perf_counter()
    rows: dict[str, list[float]] = {"batch_size": [], "step_ms": [], "entropy_ms": []}
    for n in arguments.batch_sizes:
        step, entropy = measure(n, arguments, device)
        print(f"n = {n:5d}: step {step:9.2f} ms, entropy {entropy:9.3f} ms, {entropy / step:.1%}")
        for name, value in (("batch_size", n), ("step_ms", step), ("entropy_ms", entropy)):
            rows[name].append(value)
    size = {"width": arguments.width, "latent_dim": arguments.latent_dim, "k": arguments.k}
    record = new_record(
        "benchmarks",
        f"entropy-share-width{arguments.width}-d{arguments.latent_dim}-{device.type}",
        parameters=size | {"threads": torch.get_num_threads(), "repeats": REPEATS},
        metrics={},
        curves=rows,
        seconds=time.perf_counter() - started,
        device=device,
    )
    write_record(record, arguments.output)


def measure(n: int, arguments: argparse.Namespace, device: torch.device) -> tuple[float, float]:
    """Milliseconds of a step and of its entropy term at batch size n."""
    torch.manual_seed(0)
    options = EAEOptions(k=arguments.k)
    shape, d = (1, 32, 32), arguments.latent_dim
    model = build_model("eae", shape, d, width=arguments.width, options=options).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x = torch.rand(n, *shape, device=device)
    z = torch.randn(n, d, device=device, requires_grad=True)

    def step() -> None:
        optimizer.zero_grad()
        model.loss(x)["loss"].backward()
        optimizer.step()

    def entropy() -> None:
        knn_entropy(z, arguments.k).backward()

    return median_milliseconds(step, device), median_milliseconds(entropy, device)


def median_milliseconds(action: Callable[[], None], device: torch.device) -> float:
    """Median time of an action after one warm-up."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
