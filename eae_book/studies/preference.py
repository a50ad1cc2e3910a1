"""What does a term on a batch prefer to a Gaussian? Ten distributions that batch norm lets pass.

Each is made from the same Gaussian draws, and terms that draw directions draw the same ones for all
of them, so that differences between two batches are smaller than those between two draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import special
from torch import Generator, Tensor

from eae_book.studies.free_points import standardize
from eae_core.regularizers import build_regularizer, covariance_loss, cramer_wold_loss
from eae_core.regularizers.wristband import wristband_parts

REVISION = 1  # 1: as first recorded; see eae_book.revisions

Shape = Callable[[Tensor, Generator], Tensor]
Term = Callable[[Tensor], Tensor]
SPREADS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of norms, over a Gaussian's
SLICES = 256
BLIND = 0.25  # standard deviations, below which a term does not see a difference


def with_norm_spread(g: Tensor, spread: float) -> Tensor:
    r"""Gaussian draws g (n, d) with their norms spread s times as widely; second moments stay.

    .. math:: z = c\, \frac{g}{\lVert g \rVert} \bigl( m + s (\lVert g \rVert - m) \bigr)

    with m the mean of a chi with d degrees of freedom. s = 0 is the sphere of radius sqrt(d).

    Example:
        >>> z = with_norm_spread(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), 0.0)
        >>> bool(((z.norm(dim=1) - 2).abs() < 1e-6).all())
        True
    """
    d = g.shape[1]
    mean = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    norm: Tensor = g.norm(dim=1, keepdim=True)
    scale = math.sqrt(d / (mean**2 + spread**2 * (d - mean**2)))
    return g / norm * (mean + spread * (norm - mean)).abs() * scale


def _cube(g: Tensor, _: Generator) -> Tensor:
    z: Tensor = math.sqrt(3) * (2 * torch.special.ndtr(g) - 1)
    return z


def _laplace(g: Tensor, _: Generator) -> Tensor:
    tail: Tensor = torch.special.log_ndtr(-g.abs()) + math.log(2)
    return -g.sign() * tail / math.sqrt(2)


def _half_rank(g: Tensor, generator: Generator) -> Tensor:
    """Of rank d / 2, blurred by 0.05, so that the covariance has a determinant."""
    n, d = g.shape
    weights = torch.randn(d // 2, d, generator=generator, dtype=g.dtype)
    flat: Tensor = g[:, : d // 2] @ (weights / weights.norm(dim=0))
    noise = torch.randn(n, d, generator=generator, dtype=g.dtype)
    return math.sqrt(1 - 0.05**2) * flat + 0.05 * noise


def _ten_clusters(g: Tensor, generator: Generator) -> Tensor:
    centres = torch.randn(10, g.shape[1], generator=generator, dtype=g.dtype)
    label = torch.randint(10, (len(g),), generator=generator)
    return math.sqrt(0.75) * centres[label] + 0.5 * g


def _two_clusters(g: Tensor, generator: Generator) -> Tensor:
    """Along a random line two modes at -0.95 and 0.95, of width 0.3; else Gaussian."""
    line = torch.randn(g.shape[1], generator=generator, dtype=g.dtype)
    line = line / line.norm()
    sign = 2.0 * torch.randint(2, (len(g),), generator=generator) - 1
    along = g @ line
    z: Tensor = g + (math.sqrt(1 - 0.3**2) * sign - 0.7 * along)[:, None] * line
    return z


def _ring(g: Tensor, generator: Generator) -> Tensor:
    """Two coordinates on a circle, blurred by 0.1."""
    noise = torch.randn(len(g), 2, generator=generator, dtype=g.dtype)
    circle = g[:, :2] / g[:, :2].norm(dim=1, keepdim=True)
    return torch.cat([math.sqrt(2 * 0.99) * circle + 0.1 * noise, g[:, 2:]], 1)


def _correlated_pairs(g: Tensor, _: Generator) -> Tensor:
    z: Tensor = g.clone()
    z[:, 1::2] = 0.5 * z[:, : 2 * (g.shape[1] // 2) : 2] + math.sqrt(0.75) * z[:, 1::2]
    return z


def _heavy_coordinate(g: Tensor, _: Generator) -> Tensor:
    """One coordinate a Student t of five degrees of freedom, with variance 1."""
    share = torch.special.ndtr(g[:, 0].double()).numpy()
    heavy = torch.from_numpy(special.stdtrit(5, share) / math.sqrt(5 / 3))
    return torch.cat([heavy[:, None].to(g.dtype), g[:, 1:]], 1)


#: name to a map from Gaussian draws (n, d), all with mean 0 and variance 1 in each coordinate
SHAPES: dict[str, Shape] = {
    "sphere": lambda g, _: with_norm_spread(g, 0.0),
    "wide norms": lambda g, _: with_norm_spread(g, 2.0),
    "cube": _cube,
    "Laplace": _laplace,
    "half rank": _half_rank,
    "ten clusters": _ten_clusters,
    "two clusters": _two_clusters,
    "ring": _ring,
    "correlated pairs": _correlated_pairs,
    "heavy coordinate": _heavy_coordinate,
}


def study_terms(n: int, d: int) -> dict[str, Term]:
    """The terms that the study compares, by name, as far as they exist for n rows in d dimensions.

    Example:
        >>> "covariance" in study_terms(100, 16), "covariance" in study_terms(100, 128)
        (True, False)
    """
    plain = ("knn_entropy", "entropy_radial", "radial", "koleo", "wristband", "cramer_wold")
    sliced = ("sigreg", "visreg", "sliced_wasserstein")
    terms: dict[str, Term] = {name: build_regularizer(name) for name in (*plain, "mmd", "energy")}
    terms |= {name: build_regularizer(name, slices=SLICES) for name in sliced}
    terms["wristband repulsion"] = _repulsion
    if n <= 200:  # the exact form takes a tenth of a second at n = 512
        terms["cramer_wold exact"] = partial(cramer_wold_loss, form="exact")
    terms["covariance vicreg"] = partial(covariance_loss, form="vicreg")
    if n > d:
        terms["covariance"] = covariance_loss
    return terms


def _repulsion(z: Tensor) -> Tensor:
    return wristband_parts(z, 8.0, math.sqrt(1 / 12)).repulsion


def batch_values(terms: Mapping[str, Term], n: int, d: int, seed: int) -> dict[str, list[float]]:
    """Every term on one batch of every shape, in the order of :func:`columns`.

    Args:
        terms: name to term.
        n: points.
        d: dimension.
        seed: of this batch; batches of other seeds are independent.

    Returns:
        Name to values: the Gaussian's, then those of SHAPES, then of SPREADS.
    """
    generator = Generator().manual_seed(seed)
    g = torch.randn(n, d, generator=generator)
    batches = [g, *(shape(g, generator) for shape in SHAPES.values())]
    batches += [with_norm_spread(g, spread) for spread in SPREADS]
    values: dict[str, list[float]] = {name: [] for name in terms}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for batch in map(standardize, batches):
            for name, term in terms.items():
                torch.manual_seed(seed)  # the same directions for all shapes
                values[name].append(float(term(batch)))
    return values


def columns() -> list[str]:
    """What the values of :func:`batch_values` belong to.

    Example:
        >>> columns()[:3], columns()[-1]
        (['Gaussian', 'sphere', 'wide norms'], 'norm spread 2')
    """
    return ["Gaussian", *SHAPES, *(f"norm spread {spread:g}" for spread in SPREADS)]


@dataclass(frozen=True)
class Preference:
    """What a term prefers on batches of one size, in standard deviations over Gaussian batches."""

    batches: int
    mean: float  #: of the term on Gaussian batches
    deviation: float  #: likewise
    values: dict[str, float]  #: shape to how much larger the term is there: above 0 is right
    errors: dict[str, float]  #: their standard errors
    norm_spread: float  #: at which the term is smallest, 1 for the Gaussian, in 0 ... 2
    norm_spread_error: float

    @property
    def undecided(self) -> list[str]:
        """Shapes that four standard errors neither keep off 0 nor keep within BLIND of it."""
        return [
            name
            for name, value in self.values.items()
            if 4 * self.errors[name] > max(abs(value), BLIND - abs(value))
        ]


def preference(values: Iterable[Iterable[float]]) -> Preference:
    """The preference behind values (batches, columns) of one term.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise = rng.standard_normal((200, 1)) + 0.1 * rng.standard_normal((200, 18))
        >>> found = preference(noise + np.array([0.0] + [2.0] * 17))
        >>> abs(found.values["sphere"] - 2) < 5 * found.errors["sphere"] < 0.5
        True
    """
    table = np.asarray(list(values), dtype=float)  # batches x columns
    b, deviation = len(table), float(table[:, 0].std(ddof=1))
    differences = (table[:, 1 : 1 + len(SHAPES)] - table[:, :1]) / deviation
    errors = differences.std(0, ddof=1) / math.sqrt(b)
    curve = table[:, 1 + len(SHAPES) :] - table[:, :1]
    rng = np.random.default_rng(0)
    best = [_smallest(curve[rng.integers(b, size=b)].mean(0)) for _ in range(200)]
    return Preference(
        batches=b,
        mean=float(table[:, 0].mean()),
        deviation=deviation,
        values=dict(zip(SHAPES, differences.mean(0).tolist(), strict=True)),
        errors=dict(zip(SHAPES, errors.tolist(), strict=True)),
        norm_spread=_smallest(curve.mean(0)),
        norm_spread_error=float(np.std(best)),
    )


def _smallest(curve: np.ndarray) -> float:
    """Where a cubic through the means at SPREADS is smallest."""
    fine = np.linspace(SPREADS[0], SPREADS[-1], 401)
    return float(fine[np.polyval(np.polyfit(SPREADS, curve, 3), fine).argmin()])


def measure(
    n: int,
    d: int,
    *,
    least: int = 100,
    most: int = 1000,
    block: int = 50,
    names: Iterable[str] | None = None,
    on_block: Callable[[int, dict[str, Preference]], None] | None = None,
) -> dict[str, Preference]:
    """The preference of every term at n x d, on as many batches as their signs need.

    Args:
        n: points in a batch.
        d: dimension.
        least: batches for every term.
        most: batches at most; a sign that they leave open stays undecided.
        block: batches between two looks at what is decided.
        names: of the terms, all by default.
        on_block: called with the number of batches so far and the preferences.

    Example:
        >>> found = measure(40, 4, least=20, most=20, block=20, names=["radial"])
        >>> found["radial"].values["sphere"] > 0, found["radial"].batches
        (True, 20)
    """
    terms = study_terms(n, d)
    if names is not None:
        terms = {name: terms[name] for name in names}
    values: dict[str, list[list[float]]] = {name: [] for name in terms}
    active = dict(terms)
    found: dict[str, Preference] = {}
    done = 0
    while active and done < most:
        for seed in range(done, min(done + block, most)):
            for name, row in batch_values(active, n, d, seed).items():
                values[name].append(row)
        done = min(done + block, most)
        found |= {name: preference(values[name]) for name in active}
        if on_block is not None:
            on_block(done, found)
        active = {
            name: term for name, term in active.items() if done < least or found[name].undecided
        }
    return {name: found[name] for name in terms}
