"""What this machine offers: the device to compute on, its description, its peak memory."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# What glibc's mallopt calls its settings, and where its own adjustment of them ends.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_USUAL = {_MMAP_MAX: 65_536, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """The device a name stands for: ``"auto"`` is the GPU if torch sees one, else the CPU.

    Raises:
        ValueError: another name, or a GPU that is not there.

    Example:
        >>> resolve_device("gpu")
        Traceback (most recent call last):
        ...
        ValueError: unknown device 'gpu': choose auto, cpu, cuda or cuda:N
    """
    if str(name) == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = str(name).partition(":")
    if kind == "cpu" and index in ("", "0"):
        return torch.device("cpu")
    if kind != "cuda" or not (index == "" or index.isdecimal()):
        raise ValueError(f"unknown device {str(name)!r}: choose auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise ValueError(
            f"device {str(name)!r} is not here, torch sees {count} GPUs: use cpu or auto"
        )
    return torch.device("cuda", int(index) if index else torch.cuda.current_device())


def describe_device(device: str | torch.device = "auto") -> str:
    """The device in words, without the machine's name.

    Example:
        >>> describe_device("cpu").split(" ", 1)[1].startswith("CPU core")
        True
    """
    device = resolve_device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = usable_cores()
    return f"{cores} CPU core{'s' if cores > 1 else ''} ({platform.machine()})"


def usable_cores() -> int:
    """How many cores this process may use, which a container often restricts."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def reset_peak_memory(device: torch.device) -> None:
    """Start a new peak on a GPU; the peak of a process on the CPU cannot be reset."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory used so far, in bytes.

    On a GPU: the most that torch's tensors held there since :func:`reset_peak_memory`. On the CPU:
    the largest resident set of the whole process since it began (0 on Windows).
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return 0
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, Linux KiB


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within the block memory that tensors on the CPU give back stays with this process.

    Otherwise the pages of each large tensor go back to the system and come anew, filled with zeros,
    in the next step: 0 to 30 % of it, by how the heap lies. No number changes, nor the peak of
    memory. Only glibc can do it (Linux); elsewhere nothing happens.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        for setting, value in _USUAL.items():
            libc.mallopt(setting, value)
        libc.malloc_trim(0)
