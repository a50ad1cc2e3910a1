"""Who is timed in ``entropy.py``, in a process of its own that can be stopped and weighed."""

from __future__ import annotations

import ctypes
import importlib.util
import multiprocessing
import platform
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import NearestNeighbors

from eae_core import knn_entropy
from eae_core.neighbors import knn_distances

BUDGET = 1.0  # seconds of repeated calls
MOST_RUNS = 300


def kdtree(z: torch.Tensor, k: int) -> None:
    points = z.numpy()
    cKDTree(points).query(points, k=k + 1, workers=-1)


def brute_force(z: torch.Tensor, k: int) -> None:
    NearestNeighbors(n_neighbors=k, algorithm="brute").fit(z.numpy()).kneighbors()


def faiss_flat(z: torch.Tensor, k: int) -> None:
    import faiss

    index = faiss.IndexFlatL2(z.shape[1])
    index.add(z.numpy())
    index.search(z.numpy(), k + 1)


def distance_matrix_loss(z: torch.Tensor, k: int) -> torch.Tensor:
    """The loss up to its constant, through the n x n matrix."""
    return torch.cdist(z, z).topk(k + 1, largest=False).values[:, k].log().mean()


def backward(loss: Callable[[torch.Tensor, int], torch.Tensor]) -> Callable[..., None]:
    def call(z: torch.Tensor, k: int) -> None:
        z.grad = None
        loss(z, k).backward()

    return call


SEARCHES: dict[str, Callable[[torch.Tensor, int], object]] = {
    "eae_core": lambda z, k: knn_distances(z, k=k),
    "SciPy cKDTree": kdtree,
    "scikit-learn brute": brute_force,
    "FAISS flat": faiss_flat,
}
LOSSES: dict[str, Callable[[torch.Tensor, int], object]] = {
    "eae_core": backward(knn_entropy),
    "cdist and topk": backward(distance_matrix_loss),
}


def installed(question: str) -> list[str]:
    """Names of the contenders that this machine has."""
    if question == "loss":
        return list(LOSSES)
    return [n for n in SEARCHES if n != "FAISS flat" or importlib.util.find_spec("faiss")]


class Worker:
    """A process that times calls; it is replaced when one had to be stopped."""

    def __init__(self) -> None:
        self._process: multiprocessing.process.BaseProcess | None = None

    def ask(
        self, question: str, name: str, n: int, d: int, k: int, *, limit: float
    ) -> dict[str, Any] | None:
        """Times and peak memory, or None if one call took longer than the limit in seconds."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
            self._process.start()
            self._pipe.recv()  # it is up
        self._pipe.send((question, name, n, d, k))
        # A call that is within the limit is made up to three times.
        if self._pipe.poll(limit if question == "losses" else limit + 2):
            first = self._pipe.recv()
            if isinstance(first, Exception):
                raise first
            return self._pipe.recv() if first == "within" else first
        self.close()
        return None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _serve(pipe: Any) -> None:
    for call in (*SEARCHES.values(), *LOSSES.values()):  # load libraries, start threads
        if call is not SEARCHES["FAISS flat"] or importlib.util.find_spec("faiss"):
            z = torch.randn(200, 2)
            call(z.requires_grad_(call in LOSSES.values()), 1)
    pipe.send("up")
    while True:
        question, name, n, d, k = pipe.recv()
        z = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
        try:
            if question == "losses":
                pipe.send(_losses(z.requires_grad_(), k))
            else:
                _search(z, k, SEARCHES[name], pipe)
        except Exception as error:  # the parent shall see it
            pipe.send(error)


def _search(z: torch.Tensor, k: int, call: Callable[..., object], pipe: Any) -> None:
    peak, first = peak_bytes(lambda: call(z, k))
    pipe.send("within")
    times = [first] if first > 2 * BUDGET else []
    while not times or (first < 2 * BUDGET and sum(times) < BUDGET and len(times) < MOST_RUNS):
        times.append(_seconds(lambda: call(z, k)))
    pipe.send({"seconds": times, "peak_bytes": peak})


def _losses(z: torch.Tensor, k: int) -> dict[str, dict[str, Any]]:
    peaks = {name: peak_bytes(lambda call=call: call(z, k))[0] for name, call in LOSSES.items()}
    times: dict[str, list[float]] = {name: [] for name in LOSSES}
    while min(map(len, times.values())) < 3 or (
        sum(map(sum, times.values())) < 4 * BUDGET and len(times["eae_core"]) < 10 * MOST_RUNS
    ):
        for name, call in LOSSES.items():
            times[name].append(_seconds(lambda call=call: call(z, k)))
    return {name: {"seconds": times[name], "peak_bytes": peaks[name]} for name in LOSSES}


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_bytes(call: Callable[[], object]) -> tuple[int, float]:
    """Memory that the call added at its peak, and its seconds.

    On Linux the high-water mark is reset first; elsewhere it counts what the process ever took.
    """
    if sys.platform != "linux":
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = _seconds(call)
        unit = 1 if platform.system() == "Darwin" else 1024
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit, seconds
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # freed memory would hide what the call takes
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    seconds = _seconds(call)
    return max(0, _status("VmHWM") - before), seconds


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise KeyError(field)
