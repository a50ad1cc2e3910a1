"""How fast is the entropy of a decoder, beside Jacobians row by row? In one run on one machine.

Every contender computes the log-volume at the same codes of Lee's generator and finishes with the
same determinant; they differ in how they come by the Jacobian. Rounds go around all contenders, and
seconds are those of the processor, so that what else runs on the machine matters little. Writes a
record, which chapter 16 reads. ``--full`` times the many samples of one estimate on the wall.

    python benchmarks/decoder.py [--rounds 5] [--width 64] [--latent-dim 62] [--full 10000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import torch
from contenders import peak_bytes
from torch import Tensor, nn
from torch.func import jacfwd, jacrev, vmap
from tqdm import tqdm

from eae_book.gans.generators import build_generator
from eae_book.records import new_record, record_text, write_record
from eae_core import decoder_entropy
from eae_core.entropy.decoder import log_volume

SCALE = 1e-4
FEW, MANY = 32, 256  # samples for which our memory is taken


def ours(decode: nn.Module, z: Tensor) -> Tensor:
    return log_volume(decode, z, scale=SCALE)


def by_jacfwd(decode: nn.Module, z: Tensor) -> Tensor:
    return finish(vmap(jacfwd(lambda row: decode(row[None])[0].flatten()))(z))


def by_jacrev(decode: nn.Module, z: Tensor) -> Tensor:
    return finish(vmap(jacrev(lambda row: decode(row[None])[0].flatten()))(z))


def by_loop(decode: nn.Module, z: Tensor) -> Tensor:
    """One pass back for each pixel, for all codes at once: the strongest loop over pixels."""
    z = z.clone().requires_grad_()
    x = decode(z).flatten(1)
    ones = torch.ones(len(z))
    rows = [torch.autograd.grad(pixel, z, ones, retain_graph=True)[0] for pixel in x.unbind(1)]
    return finish(torch.stack(rows, 1))


def finish(jacobian: Tensor) -> Tensor:
    upper = torch.linalg.qr(jacobian.detach().double(), mode="r").R
    values = torch.linalg.svdvals(upper)
    return torch.hypot(values, values.new_tensor(SCALE)).log().sum(1)


#: name to call and the number of codes it is timed on
CONTENDERS: dict[str, tuple[Callable[[nn.Module, Tensor], Tensor], int]] = {
    "eae_core": (ours, FEW),
    "jacfwd under vmap": (by_jacfwd, FEW),
    "jacrev under vmap": (by_jacrev, 2),
    "loop over pixels": (by_loop, 16),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--latent-dim", type=int, default=62)
    parser.add_argument("--full", type=int, default=0, help="samples of one timed estimate")
    arguments = parser.parse_args()
    started, d = time.perf_counter(), arguments.latent_dim
    torch.manual_seed(0)
    decode = build_generator("gan", latent_dim=d, width=arguments.width).generator.eval()
    decode.requires_grad_(False)
    z = torch.randn(MANY, d)
    rows = measure(decode, z, arguments.rounds)
    metrics = {"speedup_over_jacrev": rows["ms"][2] / rows["ms"][0]}
    metrics["speedup_over_loop"] = rows["ms"][3] / rows["ms"][0]
    for n in (FEW, MANY):
        peaks = [peak_bytes(lambda n=n: ours(decode, z[:n]))[0] for _ in range(2)]
        metrics[f"peak_bytes_{n}"] = min(peaks)  # the allocator keeps more at times
    if arguments.full:
        metrics |= full(decode, d, arguments.full)
    size = {"width": arguments.width, "latent_dim": d, "outputs": 784, "scale": SCALE}
    record = new_record(
        "benchmarks",
        "decoder-entropy",
        parameters=size | {"threads": torch.get_num_threads(), "rounds": arguments.rounds},
        metrics=metrics,
        curves=rows,
        seconds=time.perf_counter() - started,
        device="cpu",
        notes="Milliseconds of the processor a sample, median over rounds; bytes that a call added "
        "at its peak; load_* is the number of processes that wanted to run meanwhile, ours among "
        "them.",
    )
    print(record_text(record))
    write_record(record)


def measure(decode: nn.Module, z: Tensor, rounds: int) -> dict[str, list[float | str]]:
    """A row for each contender; all must find the same volumes."""
    names = list(CONTENDERS)
    times: dict[str, list[float]] = {name: [] for name in names}
    peaks = {}
    expected = ours(decode, z[:FEW])
    for name, (call, n) in CONTENDERS.items():  # also a warm-up
        found: list[Tensor] = []
        peaks[name] = peak_bytes(lambda: found.append(call(decode, z[:n])))[0]  # noqa: B023
        torch.testing.assert_close(found[0], expected[:n], rtol=0, atol=0.01)
    for _ in tqdm(range(rounds)):
        for name, (call, n) in CONTENDERS.items():
            start = time.process_time()
            call(decode, z[:n])
            times[name].append((time.process_time() - start) / n)
    return {
        "contender": names,
        "ms": [1000 * statistics.median(times[name]) for name in names],
        "samples": [CONTENDERS[name][1] for name in names],
        "peak_bytes": [peaks[name] for name in names],
    }


def full(decode: nn.Module, d: int, samples: int) -> dict[str, float]:
    """Seconds on the wall of one estimate, and how busy the machine was."""
    before, cpu, wall = os.getloadavg()[0], time.process_time(), time.perf_counter()
    result = decoder_entropy(decode, d, samples=samples, scale=SCALE, progress=True)
    return {
        "full_samples": samples,
        "full_seconds": time.perf_counter() - wall,
        "full_processor_seconds": time.process_time() - cpu,
        "full_entropy": result.entropy,
        "full_standard_error": result.standard_error,
        "load_before": before,
        "load_after": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
