"""The reference laws against SciPy, quadrature and their own moments."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from eae_book.distributions import (
    exponential,
    gaussian,
    laplace,
    spherical_t,
    standardized,
    student_t,
    two_gaussians,
    uniform_ball,
    uniform_cube,
)
from eae_core.entropy.distributions import Distribution

# Laws of independent coordinates: ours in d dimensions, SciPy's for one coordinate.
PRODUCTS: dict[str, tuple[Callable[[int], Distribution], stats.rv_continuous]] = {
    "gaussian": (gaussian, stats.norm()),
    "cube": (uniform_cube, stats.uniform()),
    "laplace": (laplace, stats.laplace()),
    "exponential": (exponential, stats.expon()),
    "cauchy": (lambda d: student_t(d, 1), stats.t(1)),
    "t of 4.5": (lambda d: student_t(d, 4.5), stats.t(4.5)),
}
ALL_LAWS: dict[str, Callable[[int], Distribution]] = {
    **{name: build for name, (build, _) in PRODUCTS.items()},
    "ball": uniform_ball,
    "spherical t": lambda d: spherical_t(d, 3),
    "two gaussians": lambda d: two_gaussians(d, 5),
    "correlated": lambda d: gaussian(d, condition=50.0),
}
products = pytest.mark.parametrize("name", PRODUCTS)
all_laws = pytest.mark.parametrize("name", ALL_LAWS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(law: Distribution, n: int, seed: int = 0) -> np.ndarray:
    return law.sample(n, generator=seeded(seed)).numpy()


def ks_limit(n: int) -> float:
    # Kolmogorov: P(sqrt(n) D > 2.5) = 2 exp(-2 * 2.5^2) = 7e-6.
    return 2.5 / math.sqrt(n)


@products
@pytest.mark.parametrize("d", [1, 3])
def test_entropy_of_independent_coordinates_is_d_times_scipys(name: str, d: int) -> None:
    build, marginal = PRODUCTS[name]
    assert build(d).entropy == pytest.approx(d * float(marginal.entropy()), abs=1e-9)


@products
def test_coordinates_follow_scipys_law_and_are_independent(name: str) -> None:
    build, marginal = PRODUCTS[name]
    z = draw(build(2), 20_000)
    for coordinate in z.T:
        assert stats.kstest(coordinate, marginal.cdf).statistic < ks_limit(len(z))
    # Spearman's correlation of independent coordinates has sd 1 / sqrt(n - 1).
    assert abs(stats.spearmanr(*z.T).statistic) < 5 / math.sqrt(len(z) - 1)


@pytest.mark.parametrize(("d", "volume"), [(1, 2.0), (2, math.pi), (3, 4 * math.pi / 3)])
def test_ball_entropy_is_the_logarithm_of_its_volume(d: int, volume: float) -> None:
    assert uniform_ball(d).entropy == pytest.approx(math.log(volume), abs=1e-12)


@pytest.mark.parametrize("d", [1, 2, 7])
def test_ball_fills_its_volume_evenly(d: int) -> None:
    z = draw(uniform_ball(d), 20_000)
    share = np.linalg.norm(z, axis=1) ** d  # the share of volume inside is uniform
    assert stats.kstest(share, "uniform").statistic < ks_limit(len(z))
    # A coordinate's mean has sd sqrt(variance / n).
    assert np.abs(z.mean(0)).max() < 5 * math.sqrt(1 / (d + 2) / len(z))


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("df", [0.7, 3, 10.5])
def test_spherical_t_agrees_with_scipy(d: int, df: float) -> None:
    law = spherical_t(d, df)
    theirs = stats.multivariate_t(loc=np.zeros(d), shape=np.eye(d), df=df)
    assert law.entropy == pytest.approx(float(theirs.entropy()), abs=1e-9)
    z = draw(law, 10_000)
    assert stats.kstest(z[:, -1], stats.t(df).cdf).statistic < ks_limit(len(z))
    radius = (z**2).sum(1) / d
    assert stats.kstest(radius, stats.f(d, df).cdf).statistic < ks_limit(len(z))


@pytest.mark.parametrize("separation", [0.0, 1.0, 5.0, 30.0])
def test_two_gaussians_entropy_by_direct_quadrature(separation: float) -> None:
    def integrand(x: float) -> float:
        density = 0.5 * (stats.norm.pdf(x - separation / 2) + stats.norm.pdf(x + separation / 2))
        return -density * math.log(density) if density > 0 else 0.0

    # By symmetry twice the right half, in pieces about the bump.
    pieces = np.linspace(0, separation / 2 + 12, 9)
    half = sum(integrate.quad(integrand, a, b)[0] for a, b in pairwise(pieces))
    expected = 2 * half + gaussian(2).entropy
    assert two_gaussians(3, separation).entropy == pytest.approx(expected, abs=1e-8)


def test_two_gaussians_are_even_clusters_on_the_first_axis_only() -> None:
    z = draw(two_gaussians(2, 20.0), 10_000)
    right = z[:, 0] > 0
    assert abs(right.mean() - 0.5) < 5 * 0.5 / math.sqrt(len(z))
    assert stats.kstest(z[right, 0], stats.norm(10).cdf).statistic < ks_limit(right.sum())
    assert stats.kstest(z[:, 1], stats.norm.cdf).statistic < ks_limit(len(z))


@pytest.mark.parametrize("condition", [10.0, 1e4])
def test_condition_number_and_determinant(condition: float) -> None:
    d, n = 4, 20_000
    law = gaussian(d, condition=condition)
    covariance = np.cov(draw(law, n).T)
    spectrum = np.linalg.eigvalsh(covariance)
    # The logarithm of a sample eigenvalue has sd sqrt(2 / n), of the determinant sqrt(2 d / n).
    assert math.log(spectrum[-1] / spectrum[0]) == pytest.approx(
        math.log(condition), abs=5 * math.sqrt(4 / n)
    )
    assert math.log(np.prod(spectrum)) == pytest.approx(0.0, abs=5 * math.sqrt(2 * d / n))
    off_diagonal = covariance - np.diag(np.diag(covariance))
    assert np.abs(off_diagonal).max() > 0.1  # the axes are turned away from the coordinates
    assert np.diag(covariance) == pytest.approx(law.variance.numpy(), rel=5 * math.sqrt(2 / n))


@all_laws
def test_samples_are_finite_rows_in_float64(name: str) -> None:
    z = ALL_LAWS[name](2).sample(50, generator=seeded())
    assert z.shape == (50, 2)
    assert z.dtype == torch.float64
    assert z.isfinite().all()


@all_laws
def test_same_seed_same_sample(name: str) -> None:
    law = ALL_LAWS[name](3)
    first, again, other = (law.sample(20, generator=seeded(s)) for s in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@all_laws
def test_one_generator_goes_on(name: str) -> None:
    law, generator = ALL_LAWS[name](2), seeded()
    assert not torch.equal(law.sample(5, generator=generator), law.sample(5, generator=generator))


FINITE = [name for name in ALL_LAWS if name not in ("cauchy", "spherical t")]


@pytest.mark.parametrize("name", FINITE)
def test_moments(name: str) -> None:
    n = 40_000
    law = ALL_LAWS[name](2)
    z = draw(law, n)
    mean, variance = law.mean.numpy(), law.variance.numpy()
    # Limits of five standard errors; that of a variance is sqrt((kurtosis - 1) / n), with a
    # kurtosis of at most 9 (exponential) here. The t of 4.5 has 15.
    assert np.abs(z.mean(0) - mean).max() < 5 * math.sqrt(variance.max() / n)
    kurtosis = 15 if name == "t of 4.5" else 9
    assert np.abs(z.var(0) / variance - 1).max() < 5 * math.sqrt((kurtosis - 1) / n)


@pytest.mark.parametrize("name", FINITE)
def test_standardized_moves_the_sample_and_the_entropy_alike(name: str) -> None:
    law = ALL_LAWS[name](3)
    standard = standardized(law)
    expected = (draw(law, 30) - law.mean.numpy()) / law.variance.sqrt().numpy()
    assert draw(standard, 30) == pytest.approx(expected, abs=1e-12)
    assert standard.entropy == pytest.approx(law.entropy - 0.5 * float(law.variance.log().sum()))
    assert torch.equal(standard.mean, torch.zeros(3, dtype=torch.float64))
    assert torch.equal(standard.variance, torch.ones(3, dtype=torch.float64))
    twice = standardized(standard)
    assert twice.entropy == pytest.approx(standard.entropy, abs=1e-12)


@pytest.mark.parametrize("name", sorted({*FINITE} - {"gaussian"}))
@pytest.mark.parametrize("d", [2, 16])
def test_every_other_standardised_law_has_less_entropy_than_the_gaussian(name: str, d: int) -> None:
    assert standardized(ALL_LAWS[name](d)).entropy < gaussian(d).entropy - 1e-3


@pytest.mark.parametrize("law", [student_t(2, 1), student_t(2, 2), spherical_t(2, 1.5)])
def test_without_a_variance_there_is_no_standardised_law(law: Distribution) -> None:
    with pytest.raises(ValueError, match="no finite mean and variance"):
        standardized(law)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian(0), "dimension must be a whole number of at least 1, got 0"),
        (lambda: uniform_cube(2.0), "dimension must be a whole number"),  # type: ignore[arg-type]
        (lambda: laplace(True), "dimension must be a whole number"),
        (lambda: exponential(-3), "got -3"),
        (lambda: gaussian(2, condition=0.5), "condition must be a finite number of at least 1"),
        (lambda: gaussian(2, condition=math.nan), "condition must be"),
        (lambda: gaussian(1, condition=2.0), "one dimension has one variance"),
        (lambda: student_t(2, 0.0), "df must be a finite number of at least 0.2"),
        (lambda: spherical_t(2, math.inf), r"limit of large df is gaussian\(\)"),
        (lambda: two_gaussians(2, -1.0), "separation must be"),
        (lambda: gaussian(2).sample(0, generator=seeded()), "n must be a whole number"),
    ],
)
def test_bad_arguments_say_what_is_possible(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_seed_is_not_a_generator() -> None:
    with pytest.raises(TypeError, match=r"got int; try torch.Generator\(\).manual_seed\(0\)"):
        gaussian(2).sample(3, generator=0)  # type: ignore[arg-type]


def test_the_heaviest_tail_allowed_stays_finite() -> None:
    assert student_t(1, 0.2).sample(100_000, generator=seeded()).isfinite().all()
