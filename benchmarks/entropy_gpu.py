"""The estimator on a GPU: a million points at once, and a training batch in a CUDA graph.

    python benchmarks/entropy_gpu.py --write
    python benchmarks/entropy_gpu.py --device cpu --points 3000     # to try it; without the graph

The value and its gradient, median of several. The batch is measured three ways: with the checks for
duplicates and infinities, which make the processor wait for the GPU; without them; and without them
replayed as a CUDA graph, which leaves out the launching of each kernel.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from eae_book.records import new_record, write_record
from eae_core import knn_entropy
from eae_core.hardware import (
    describe_device,
    peak_memory_bytes,
    reset_peak_memory,
    resolve_device,
)


def main(words: list[str] | None = None) -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--points", type=int, default=1_000_000)
    add("--batch-size", type=int, default=100)
    add("--latent-dim", type=int, default=16)
    add("--repeats", type=int, default=5)
    add("--device", default="auto")
    add("--write", action="store_true", help="keep the result as a record")
    add("--output", type=Path, help="folder of records (default: data/results)")
    arguments = parser.parse_args(words)
    device, started = resolve_device(arguments.device), time.perf_counter()
    metrics = measure(arguments, device)
    print(f"value and gradient, d = {arguments.latent_dim}, on {describe_device(device)}:")
    for name, value in metrics.items():
        print(f"  {name:40} {value:.6g}")
    if arguments.write:
        sizes = ("points", "batch_size", "latent_dim", "repeats")
        record = new_record(
            "benchmarks",
            f"entropy-gpu-{device.type}",
            parameters={name: getattr(arguments, name) for name in sizes},
            metrics=metrics,
            seeds=[0],
            seconds=time.perf_counter() - started,
            peak_memory_bytes=peak_memory_bytes(device),
            device=device,
        )
        print(write_record(record, arguments.output))


def measure(arguments: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Seconds of all the points, milliseconds of the batch, and the memory of the former."""
    torch.manual_seed(0)
    d, repeats = arguments.latent_dim, arguments.repeats
    many = torch.randn(arguments.points, d, device=device, requires_grad=True)
    few = torch.randn(arguments.batch_size, d, device=device, requires_grad=True)
    reset_peak_memory(device)
    found = {"all points, s": seconds(lambda: step(many, validate=True), device, repeats)}
    if device.type == "cuda":
        found["all points, peak bytes"] = float(peak_memory_bytes(device))
    often = 40 * repeats
    for name, validate in (("with checks", True), ("without checks", False)):
        value = seconds(partial(step, few, validate=validate), device, often)
        found[f"a batch {name}, ms"] = 1000 * value
    if device.type == "cuda":
        replay, captured = graph_of(few)
        found["a batch in a CUDA graph, ms"] = 1000 * seconds(replay, device, often)
        eager = knn_entropy(few, validate=False)
        found["graph minus eager, nats"] = float((captured - eager).detach())
    return found


def step(z: Tensor, *, validate: bool) -> Tensor:
    """The estimate of codes z (n, d), whose gradient is computed too."""
    value = knn_entropy(z, validate=validate)
    torch.autograd.grad(value, z)
    return value.detach()


def graph_of(z: Tensor) -> tuple[Callable[[], None], Tensor]:
    """What replays the estimate and its gradient as a CUDA graph, and the value's place."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # a capture needs kernels that have run before
        for _ in range(3):
            step(z, validate=False)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        value = step(z, validate=False)
    graph.replay()
    return graph.replay, value


def seconds(action: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median time of an action after one warm-up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
