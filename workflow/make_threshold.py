"""Write the table behind the explorable of chapter 6: Gaussian against sphere, exactly.

The mean of the nearest-neighbour estimate over all samples of n points is an integral for both, so
nothing is simulated.

Example:
    python workflow/make_threshold.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

from eae_book.studies.sphere import expected_sphere_estimate
from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.files import replacing

SCRIPT = Path(__file__).resolve().parents[1] / "book/_static/explorables/threshold-data.js"
DIMENSIONS = [2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32]
LARGEST = 12.0  # log10 of the number of points


def advantage(d: int, log_n: float) -> float:
    """Nats by which the Gaussian's mean estimate exceeds the sphere's at 10^log_n points."""
    n = round(10**log_n)
    return expected_gaussian_estimate(d, n) - expected_sphere_estimate(d, n)


def threshold(d: int) -> float:
    """Number of points from which on the Gaussian is preferred; infinite beyond the table."""
    low = np.log10(4)
    if advantage(d, low) > 0:
        return float(10**low)
    if advantage(d, LARGEST) < 0:
        return 10.0 ** (LARGEST + 1)
    return float(10 ** brentq(lambda x: advantage(d, x), low, LARGEST, xtol=1e-3))


def main(words: list[str] | None = None) -> int:
    """Write the script; the status."""
    words = sys.argv[1:] if words is None else words
    path = Path(words[0]) if words else SCRIPT
    sizes = [round(x, 2) for x in np.arange(1, LARGEST + 0.01, 0.25)]
    table = [[round(advantage(d, x), 4) for x in sizes] for d in DIMENSIONS]
    found = {"dimensions": DIMENSIONS, "log_sizes": sizes, "advantage": table}
    found["threshold"] = [float(f"{threshold(d):.4g}") for d in DIMENSIONS]
    with replacing(path) as temporary:
        text = json.dumps(found, separators=(",", ":"))
        temporary.write_text(f"window.EAE_THRESHOLD={text};\n", encoding="ascii")
    for d, n in zip(DIMENSIONS, found["threshold"], strict=True):
        print(f"d = {d}: {n:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
