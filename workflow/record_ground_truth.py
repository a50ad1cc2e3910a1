"""Hold the entropy estimators of this package against laws of known entropy, and keep the errors.

Every estimator sees the same samples. The record lands in data/results/ground-truth/, where chapter
04 finds it.

Example:
    python workflow/record_ground_truth.py                                  # a few minutes
    python workflow/record_ground_truth.py --sizes 10000 --dimensions 8 --draws 5 --run large
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import torch
from recording import add_places, new_record, run_script, script_parser
from tqdm import tqdm

from eae_book import distributions as laws
from eae_book.records import write_record
from eae_book.studies.gaussian_corrected import kpn_entropy
from eae_book.studies.weighted import weighted_knn_entropy
from eae_core.entropy import knn_entropy
from eae_core.entropy.distributions import Distribution
from eae_core.hardware import peak_memory_bytes

EXPERIMENT = "ground-truth"
DIGITS = 5  # decimals kept of an error in nats
FIT = 10  # neighbours that a local Gaussian is fitted to, for each dimension
FEW = 5  # the neighbour of the plain estimate, where it is not the first


def main(words: list[str] | None = None) -> int:
    """Measure what is asked for and write one record."""
    arguments = parse(words)
    return run_script("record_ground_truth", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """Measure and record; the status of the script."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    if arguments.draws < 1:
        raise ValueError(f"--draws must be at least 1, got {arguments.draws}")
    rows = measure(arguments)
    decisive = ("dimensions", "sizes", "draws", "laws")
    record = new_record(
        EXPERIMENT,
        arguments.run,
        parameters={name: getattr(arguments, name) for name in decisive}
        | {"fit_per_dimension": FIT, "few": FEW},
        seeds=[arguments.seed],
        metrics={"errors": rows},
        seconds=time.perf_counter() - start,
        peak_memory_bytes=peak_memory_bytes(torch.device("cpu")),
        device="cpu",
        notes="Errors in nats, estimate minus truth, one for each draw; one thread.",
    )
    print(f"recorded in {write_record(record, arguments.records)}")
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_ground_truth", __doc__)
    add = parser.add_argument
    add("--dimensions", type=int, nargs="+", default=[2, 4, 8, 16], help="default: 2 4 8 16")
    add("--sizes", type=int, nargs="+", default=[100, 1000], help="points, default: 100 1000")
    add("--draws", type=int, default=30, help="samples of each law and size, default: 30")
    add("--laws", nargs="+", default=list(LAWS), choices=LAWS, metavar="LAW", help="default: all")
    add("--seed", type=int, default=0, help="of the samples, default: 0")
    add("--run", default="estimators", help="name of the record, default: estimators")
    add_places(parser)
    return parser.parse_args(words)


def bent_gaussian(d: int) -> Distribution:
    """A Gaussian sheared along a parabola: z_2 grows with the square of z_1.

    The Jacobian of a shear is 1, and the deviations 3 and 3^(-1/(d-1)) multiply to 1: the entropy
    is that of N(0, I).

    Raises:
        ValueError: d < 2.
    """
    if d < 2:
        raise ValueError(f"a bent Gaussian needs 2 dimensions, got {d}")
    deviations = torch.full((d,), 3 ** (-1 / (d - 1)), dtype=torch.float64)
    deviations[0] = 3

    def draw(n: int, generator: torch.Generator) -> torch.Tensor:
        z = torch.randn(n, d, generator=generator, dtype=torch.float64) * deviations
        z[:, 1] += 0.5 * z[:, 0] ** 2
        return z

    mean, variance = torch.zeros(d, dtype=torch.float64), deviations**2
    mean[1], variance[1] = 4.5, variance[1] + 0.5 * 9**2  # of z_1^2 / 2: 9/2 and 81/2
    return Distribution("bent Gaussian", d, laws.gaussian(d).entropy, mean, variance, draw)


LAWS: dict[str, Callable[[int], Distribution]] = {
    "Gaussian": laws.gaussian,
    "Gaussian, condition 100": lambda d: laws.gaussian(d, condition=100),
    "bent Gaussian": bent_gaussian,
    "two Gaussians": lambda d: laws.two_gaussians(d, 6),
    "Laplace": laws.laplace,
    "Student t, df 5": lambda d: laws.student_t(d, 5),
    "cube": laws.uniform_cube,
    "exponential": laws.exponential,
}


def whitened_entropy(z: torch.Tensor) -> torch.Tensor:
    """The one-neighbour estimate on whitened points, plus the logarithm of the volume taken out."""
    factor = torch.linalg.cholesky(torch.cov(z.T))
    white = torch.linalg.solve_triangular(factor, z.T, upper=False).T
    return knn_entropy(white) + factor.diagonal().log().sum()


def estimators(n: int, d: int) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """What is compared, with the sizes that go with n points in d dimensions."""
    p = min(FIT * d, n - 1)
    return {
        "k = 1": knn_entropy,
        f"k = {FEW}": lambda z: knn_entropy(z, FEW),
        "weighted": lambda z: weighted_knn_entropy(z, max(1 + d // 4, math.isqrt(n))),
        "whitened": whitened_entropy,
        "Gaussian, local": lambda z: kpn_entropy(z, 1, p),
        "Gaussian, global": kpn_entropy,
    }


def measure(arguments: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each law, dimension, size and estimator."""
    cases = [
        (name, d, n)
        for n in arguments.sizes
        for d in arguments.dimensions
        for name in arguments.laws
    ]
    rows: list[dict[str, object]] = []
    for name, d, n in tqdm(cases, desc="laws, dimensions and sizes"):
        law = LAWS[name](d)
        generator = torch.Generator().manual_seed(arguments.seed)
        samples = [law.sample(n, generator=generator) for _ in range(arguments.draws)]
        for label, estimate in estimators(n, d).items():
            errors = [round(float(estimate(z)) - law.entropy, DIGITS) for z in samples]
            rows.append({"law": name, "d": d, "n": n, "estimator": label, "errors": errors})
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
