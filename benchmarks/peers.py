"""Do other packages return the same number? Entropies and divergences of the same samples.

Calls each package that can be imported, once as its documentation's shortest call has it and once
with options that make it as much like ours as they can, and writes a record for the chapter
"Beside other packages". NPEET, infomeasure and entropy_estimators are never installed with this
project, and where one is missing the record is called peers-partial, so that it replaces nothing.
To measure beside all, install this project and them into an environment of their own:

    pip install infomeasure entropy-estimators "git+https://github.com/gregversteeg/NPEET"
    python benchmarks/peers.py [--output FOLDER]
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import digamma
from sklearn.neighbors import NearestNeighbors
from tqdm import tqdm

from eae_book.distributions import gaussian, laplace, uniform_cube
from eae_book.records import new_record, write_record
from eae_core import knn_entropy
from eae_core.entropy import knn_kl_divergence, unit_ball_log_volume

Array = np.ndarray[Any, Any]
POINTS = 1000
K = 1  # of the calls that are made like ours
DIVERGENCE_K = 3  # infomeasure has no divergence at k = 1
DRAWS = 100  # pairs of samples behind each divergence
PAIRS = ((500, 500), (1000, 100), (100, 1000))  # n, m
SPREAD = 1.5  # of the second Gaussian
OPTIONAL = {
    "NPEET": "npeet.entropy_estimators",
    "infomeasure": "infomeasure",
    "entropy_estimators": "entropy_estimators.continuous",
}
REQUIRED = ("scipy", "scikit-learn")


@dataclass(frozen=True)
class Sample:
    """Points, and the entropy of their law where it has one."""

    name: str
    points: Array
    entropy: float | None


def samples() -> list[Sample]:
    """The same on every machine: seeded, drawn in float64."""
    laws = [gaussian(1), gaussian(2), gaussian(8), uniform_cube(2), laplace(2)]
    found = [
        Sample(f"{law.name}, d = {law.dimension}", _draw(law, seed), law.entropy)
        for seed, law in enumerate(laws)
    ]
    rng = np.random.default_rng(0)
    plane, space = _draw(gaussian(2), 10), _draw(gaussian(16), 11)
    doubled, close = plane.copy(), space.copy()
    doubled[:50] = doubled[50:100]
    step = rng.normal(size=(50, 16))
    close[:50] = close[50:100] + 1e-6 * step / np.linalg.norm(step, axis=1, keepdims=True)
    shifted = (plane + 1e4).astype(np.float32)
    return [
        *found,
        Sample("Gaussian, d = 2, 1e4 away, float32", shifted, gaussian(2).entropy),
        Sample("50 points twice, d = 2", doubled, None),
        Sample("50 pairs 1e-6 apart, d = 16", close, None),
        Sample("50 pairs 1e-6 apart, d = 16, 1e4 away", close + 1e4, None),
    ]


def _draw(law: Any, seed: int) -> Array:
    return law.sample(POINTS, generator=torch.Generator().manual_seed(seed)).numpy()


def formula(rho: Array, d: int, k: int) -> float:
    """The estimate from distances that somebody else has found."""
    constants = unit_ball_log_volume(d) + float(digamma(len(rho)) - digamma(k))
    return float(d * np.log(rho.astype(float)).mean() + constants)


def by_scipy(z: Array, k: int) -> float:
    return formula(cKDTree(z).query(z, k=[k + 1])[0][:, 0], z.shape[1], k)


def by_sklearn(z: Array, k: int) -> float:
    # Without points to query, each point is left out of its own neighbours.
    return formula(NearestNeighbors(n_neighbors=k).fit(z).kneighbors()[0][:, -1], z.shape[1], k)


Call = tuple[str, str, str, Callable[[Array], float]]  # package, call, unit, function


def entropy_calls(peers: dict[str, Any]) -> list[Call]:
    """Every way to an entropy of n x d points; the first of a package is its shortest call."""
    calls: list[Call] = [
        ("eae_core", "knn_entropy(z)", "nats", lambda z: float(knn_entropy(torch.from_numpy(z)))),
        ("SciPy", "differential_entropy(z)", "nats", _spacings),
        ("SciPy", f"cKDTree, k = {K}", "nats", lambda z: by_scipy(z, K)),
        ("scikit-learn", f"NearestNeighbors, k = {K}", "nats", lambda z: by_sklearn(z, K)),
    ]
    if npeet := peers.get("NPEET"):
        calls += [
            ("NPEET", "entropy(z)", "bits", npeet.entropy),
            ("NPEET", f"k={K}, base=e", "nats", lambda z: npeet.entropy(z, k=K, base=math.e)),
        ]
    if measure := peers.get("infomeasure"):
        calls += [
            ("infomeasure", 'approach="kl"', "nats", lambda z: measure.entropy(z, approach="kl")),
            (
                "infomeasure",
                f"k={K}, minkowski_p=2, noise_level=0",
                "nats",
                lambda z: measure.entropy(z, approach="kl", k=K, minkowski_p=2, noise_level=0),
            ),
        ]
    if other := peers.get("entropy_estimators"):
        calls += [
            ("entropy_estimators", "get_h(z)", "nats", other.get_h),
            (
                "entropy_estimators",
                f'k={K}, norm="euclidean"',
                "nats",
                lambda z: other.get_h(z, k=K, norm="euclidean"),
            ),
        ]
    return calls


def _spacings(z: Array) -> float:
    if z.shape[1] > 1:
        raise NotImplementedError("one dimension only")
    return float(stats.differential_entropy(z[:, 0]))


def kl_by_scipy(x: Array, y: Array) -> float:
    """With the published constant, log m - log(n - 1)."""
    own, other = (
        cKDTree(x).query(x, k=[DIVERGENCE_K + 1])[0],
        cKDTree(y).query(x, k=[DIVERGENCE_K])[0],
    )
    return float(x.shape[1] * np.log(other / own).mean() + math.log(len(y) / (len(x) - 1)))


def divergence_calls(peers: dict[str, Any]) -> dict[str, Callable[[Array, Array], float]]:
    """KL(p || q) in nats, Euclidean where the package has a choice."""
    calls: dict[str, Callable[[Array, Array], float]] = {
        "eae_core": lambda x, y: float(
            knn_kl_divergence(torch.from_numpy(x), torch.from_numpy(y), DIVERGENCE_K)
        ),
        "SciPy": kl_by_scipy,
    }
    if npeet := peers.get("NPEET"):
        calls["NPEET"] = lambda x, y: npeet.kldiv(x, y, k=DIVERGENCE_K, base=math.e)
    if measure := peers.get("infomeasure"):
        calls["infomeasure"] = lambda x, y: measure.kld(
            x, y, approach="kl", k=DIVERGENCE_K, minkowski_p=2, noise_level=0
        )
    return calls


def entropies(peers: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for sample in tqdm(samples(), desc="entropies"):
        for package, call, unit, function in entropy_calls(peers):
            found = outcome(function, sample.points)
            row = {"sample": sample.name, "d": sample.points.shape[1], "truth": sample.entropy}
            rows.append(row | {"package": package, "call": call, "unit": unit} | found)
    return rows


def outcome(function: Callable[[Array], float], z: Array) -> dict[str, Any]:
    """The value if it is finite, and in words what came instead if it is not."""
    np.random.seed(0)  # noqa: NPY002 (NPEET draws its noise from the global generator)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of log(0); the outcome says so
            value = float(function(z))
    except (ValueError, NotImplementedError) as error:
        return {"value": None, "outcome": type(error).__name__}
    if math.isfinite(value):
        return {"value": value, "outcome": "value"}
    return {"value": None, "outcome": str(value)}


def divergences(peers: dict[str, Any]) -> list[dict[str, Any]]:
    """KL of N(0, I) from N(0, SPREAD^2 I) in the plane, many pairs of samples for each size."""
    truth = 2 * (math.log(SPREAD) + 0.5 / SPREAD**2 - 0.5)
    rows = []
    for n, m in tqdm(PAIRS, desc="divergences"):
        rng = np.random.default_rng(n)
        pairs = [(rng.normal(size=(n, 2)), SPREAD * rng.normal(size=(m, 2))) for _ in range(DRAWS)]
        for package, function in divergence_calls(peers).items():
            values = [float(function(x, y)) for x, y in pairs]
            rows.append({"n": n, "m": m, "truth": truth, "package": package, "values": values})
    return rows


def base_as_neighbour(peers: dict[str, Any]) -> list[dict[str, Any]]:
    """H(X | Y) for a continuous X and two equally likely classes Y, in two units."""
    if (npeet := peers.get("NPEET")) is None:
        return []
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=(POINTS, 1))
    x = rng.normal(size=(POINTS, 1)) + 4 * y
    truth = 0.5 * math.log(2 * math.pi * math.e)  # each class is a unit Gaussian
    return [
        {
            "base": base,
            "truth": truth / math.log(base),
            "value": float(npeet.centropycd(x, y, k=K, base=base)),
        }
        for base in (2, 10)
    ]


def find_peers() -> dict[str, Any]:
    peers = {}
    for name, module in OPTIONAL.items():
        try:
            peers[name] = import_module(module)
        except ImportError:
            print(f"{name} is not installed: left out")
    return peers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="folder of records (default: data/results)")
    options = parser.parse_args()
    start = time.perf_counter()
    peers = find_peers()
    metrics = {
        "entropy": entropies(peers),
        "divergence": divergences(peers),
        "conditional_entropy": base_as_neighbour(peers),
    }
    record = new_record(
        "benchmarks",
        "peers" if len(peers) == len(OPTIONAL) else "peers-partial",
        parameters={
            "points": POINTS,
            "k": K,
            "divergence_k": DIVERGENCE_K,
            "draws": DRAWS,
            "spread": SPREAD,
            "peers": {name: version(name) for name in (*REQUIRED, *peers)},
        },
        metrics=metrics,
        seconds=time.perf_counter() - start,
        device="cpu",
        notes="Entropies of one sample each; divergences of many pairs of samples.",
    )
    print(write_record(record, options.output))


if __name__ == "__main__":
    main()
