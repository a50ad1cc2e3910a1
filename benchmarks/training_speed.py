"""What makes a training step faster, and how near is it to what the machine can do?

    OMP_NUM_THREADS=1 python benchmarks/training_speed.py --dataset mnist --width 16 --write

The fit loop in each of its settings, beside the matrix product. Each setting has a process
of its own, and they take turns, so that whatever else the machine does hits all. On a CPU one step
is taken apart too, and on one thread the clock is the processor's, which other programs do not
move. Where pythae is installed, its trainer takes a turn, with its own autoencoder around the same
networks; other loops stand in ``training_loop.py``.
"""

import argparse
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from training_loop import pythae_loop

from eae_book.records import new_record, write_record
from eae_core.data import ImageSet, load_images
from eae_core.hardware import describe_device, peak_memory_bytes, resolve_device
from eae_core.models import Autoencoder, build_model
from eae_core.training import TrainOptions, fit
from eae_core.training import run as training_run

#: name of a setting to what it changes; memory is kept unless the name says otherwise
SETTINGS: dict[str, dict[str, Any]] = {
    "memory given back": {"keep_memory": False},
    "memory kept": {},
    "channels last, memory given back": {"channels_last": True, "keep_memory": False},
    "channels last": {"channels_last": True},
    "channels last, compiled": {"channels_last": True, "compile": True},
    "channels last, bf16": {"channels_last": True, "precision": "bf16-mixed"},
    "channels last, bf16, batch 200": {
        "channels_last": True,
        "precision": "bf16-mixed",
        "batch_size": 200,
    },
}
PEER = "pythae"
#: part of a step to what torch calls its operations
PARTS = {
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("_convolution", "mkldnn_convolution", "cudnn_convolution"),
    "batch normalisation": ("batch_norm",),
    "ReLU": ("clamp_min", "threshold_backward", "aten::relu"),
    "linear layers": ("aten::mm", "addmm"),
    "copies and fills": ("copy_", "fill_", "_pad", "zero_"),
    "optimizer": ("Optimizer", "lerp", "addcdiv", "addcmul", "aten::sqrt", "_foreach", "_fused"),
}


def fresh(args: argparse.Namespace, images: ImageSet) -> Autoencoder:
    """The model that all train, always with the same first weights."""
    torch.manual_seed(0)
    return build_model(args.model, images.image_shape, args.latent_dim, width=args.width)


def measure_setting(args: argparse.Namespace, name: str) -> float:
    """Images per second of one epoch of the fit loop in a setting."""
    images = load_images(args.dataset, limit=args.images)
    clock = time.process_time if on_one_thread(args.device) else time.perf_counter
    started = clock()
    if name == PEER:
        device = resolve_device(args.device)
        pythae_loop(fresh(args, images), images, args.batch_size, device)
        return len(images) // args.batch_size * args.batch_size / (clock() - started)
    changes = dict(SETTINGS[name])
    if not changes.pop("keep_memory", True):
        setattr(training_run, "freed_memory_kept", nullcontext)  # noqa: B010
    values = {"batch_size": args.batch_size, "device": args.device, **changes}
    options = TrainOptions(epochs=1, progress=False, recompute_moments=False, **values)
    fit(fresh(args, images), images, options)
    return len(images) // options.batch_size * options.batch_size / (clock() - started)


def on_one_thread(device: str) -> bool:
    """Whether the processor's own clock tells how long a step takes."""
    return resolve_device(device).type == "cpu" and torch.get_num_threads() == 1


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, 10^9."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    clock = time.process_time if on_one_thread(str(device)) else time.perf_counter
    times = []
    for _ in range(11):
        started = clock()
        torch.mm(a, b)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(clock() - started)
    return 2e-9 * n**3 / statistics.median(times)


def operations_per_image(args: argparse.Namespace, images: ImageSet) -> float:
    """Floating-point operations of a training step, forward and backward, for an image, 10^9."""
    x = images.batch(slice(0, args.batch_size))
    with FlopCounterMode(display=False) as counter:
        fresh(args, images).loss(x)["loss"].backward()
    return float(1e-9 * counter.get_total_flops() / len(x))


def parts_of_a_step(args: argparse.Namespace, images: ImageSet) -> dict[str, float]:
    """Share of the time that the parts of a step take, on a CPU, in the layout channels last."""
    options = TrainOptions(
        epochs=1,
        batch_size=args.batch_size,
        device="cpu",
        channels_last=True,
        recompute_moments=False,
        progress=False,
    )
    with profile(activities=[ProfilerActivity.CPU]) as found:
        fit(fresh(args, images), images, options)
    shares = dict.fromkeys([*PARTS, "everything else"], 0.0)
    events = [e for e in found.key_averages() if not e.key.startswith("autograd::")]
    total = sum(event.self_cpu_time_total for event in events)
    for event in events:
        part = next((p for p, names in PARTS.items() if any(n in event.key for n in names)), None)
        shares[part or "everything else"] += event.self_cpu_time_total / total
    return {part: round(share, 3) for part, share in shares.items()}


def compare_settings(args: argparse.Namespace) -> dict[str, list[float]]:
    """Images per second in each setting, measured in turns; the first round warms up."""
    context = multiprocessing.get_context("spawn")
    names = [name for name in SETTINGS if args.compiled or "compiled" not in name]
    names += [PEER] if find_spec(PEER) else []
    pools = {name: ProcessPoolExecutor(1, mp_context=context) for name in names}
    speeds: dict[str, list[float]] = {name: [] for name in names}
    try:
        for repeat in range(args.repeats + 1):
            for name, pool in pools.items():
                speed = pool.submit(measure_setting, args, name).result()
                if repeat:
                    speeds[name].append(round(speed, 1))
    finally:
        for pool in pools.values():
            pool.shutdown()
    return speeds


def beside_the_machine(
    args: argparse.Namespace, images: ImageSet, speeds: dict[str, list[float]]
) -> dict[str, float]:
    """The machine's matrix rates, each setting as a share of its own, and the parts of a step."""
    device = resolve_device(args.device)
    rates = {kind: matrix_rate(device, getattr(torch, kind)) for kind in ("float32", "bfloat16")}
    operations = operations_per_image(args, images)
    found = {f"matrix rate, {kind}, GFLOP/s": rate for kind, rate in rates.items()}
    found["GFLOP an image"] = operations
    for name, values in speeds.items():
        rate = rates["bfloat16" if "bf16" in name else "float32"]
        found[f"share of the matrix rate, {name}"] = statistics.median(values) * operations / rate
    parts = parts_of_a_step(args, images) if device.type == "cpu" else {}
    return found | {f"share of a step, {part}": share for part, share in parts.items()}


def main(words: list[str] | None = None) -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--dataset", default="digits")
    add("--model", default="ae")
    add("--images", type=int, default=1000)
    add("--width", type=int, default=16, help="channels of the first convolution")
    add("--latent-dim", type=int, default=16)
    add("--batch-size", type=int, default=100)
    add("--repeats", type=int, default=5)
    add("--device", default="auto")
    add("--compiled", action="store_true", help="torch.compile too: a minute a setting on a CPU")
    add("--write", action="store_true", help="keep the result as a record")
    add("--output", type=Path, help="folder of records (default: data/results)")
    args = parser.parse_args(words)
    device = resolve_device(args.device)
    images = load_images(args.dataset, limit=args.images)
    started = time.perf_counter()
    speeds = compare_settings(args)
    more = beside_the_machine(args, images, speeds)
    print(f"{args.dataset}, width {args.width}, on {describe_device(device)}, images per second:")
    for name, values in speeds.items():
        print(f"  {name:45} median {statistics.median(values):8.0f}   all {values}")
    for name, value in more.items():
        print(f"  {name:60} {value:.4g}")
    if not args.write:
        return
    parameters = {k: v for k, v in vars(args).items() if k not in ("write", "output", "compiled")}
    record = new_record(
        "benchmarks",
        f"training-speed-{args.dataset.replace('_', '-')}-width{args.width}-{device.type}",
        parameters=parameters | {"threads": torch.get_num_threads()},
        metrics={f"images per second, {name}": values for name, values in speeds.items()} | more,
        seeds=[0],
        seconds=round(time.perf_counter() - started, 1),
        peak_memory_bytes=peak_memory_bytes(device),
        data_checksum=images.checksum,
        device=device,
        notes="Each number is one epoch; the settings take turns, each in its own process. "
        f"Clock: {'the processor' if on_one_thread(args.device) else 'wall'}.",
    )
    print(write_record(record, args.output))


if __name__ == "__main__":
    main()
