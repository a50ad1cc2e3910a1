"""The estimator: its formula, its laws, its gradient, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from eae_core import knn_entropy
from eae_core.entropy import DuplicatePointsError, gaussian_entropy_bound, unit_ball_log_volume
from eae_core.entropy.knn import digamma as ours


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_definition(z: torch.Tensor, k: int) -> torch.Tensor:
    """The formula over the full, differentiable distance matrix."""
    n, d = z.shape
    squares = (z[:, None] - z[None]).square().sum(-1)
    squares = squares.masked_fill(torch.eye(n, dtype=torch.bool), torch.inf)
    rho = squares.kthvalue(k, dim=1).values.sqrt()
    return d * rho.log().mean() + unit_ball_log_volume(d) + float(digamma(n) - digamma(k))


@pytest.mark.parametrize(("d", "volume"), [(1, 2.0), (2, math.pi), (3, 4 * math.pi / 3)])
def test_unit_ball_volume(d, volume):
    assert unit_ball_log_volume(d) == pytest.approx(math.log(volume), rel=1e-14)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [1, 3, 16, 70])
def test_equals_the_formula(k, d):
    z = normal(60, d)
    torch.testing.assert_close(knn_entropy(z, k), by_definition(z, k), rtol=1e-12, atol=1e-12)


def test_local_terms_average_to_the_estimate_and_add_up_to_its_sum():
    z = normal(50, 4)
    local = knn_entropy(z, 3, reduction="none")
    assert local.shape == (50,)
    torch.testing.assert_close(local.mean(), knn_entropy(z, 3))
    torch.testing.assert_close(local.sum(), knn_entropy(z, 3, reduction="sum"))


def test_log_correction_is_the_first_published_form():
    z = normal(100, 5)
    difference = knn_entropy(z) - knn_entropy(z, correction="log")
    assert difference.item() == pytest.approx(float(digamma(100)) - math.log(99), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3])
def test_gradient_is_that_of_the_full_matrix(k):
    z = normal(30, 3).requires_grad_()
    (expected,) = torch.autograd.grad(by_definition(z, k), z)
    (gradient,) = torch.autograd.grad(knn_entropy(z, k), z)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("engine", ["dense", "blocked", "kdtree"])
def test_gradcheck(engine):
    z = normal(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: knn_entropy(z, 2, engine=engine), z)
    assert torch.autograd.gradcheck(lambda z: knn_entropy(z, reduction="none", engine=engine), z)


@pytest.mark.parametrize("memory_limit", [2**16, 2**18, 2**24])
@pytest.mark.parametrize("engine", ["dense", "blocked"])
def test_memory_limit_does_not_matter(engine, memory_limit):
    z = normal(1700, 5)
    value = knn_entropy(z, 2, engine=engine, memory_limit=memory_limit)
    assert value.item() == knn_entropy(z, 2, engine="kdtree").item()


samples = st.builds(normal, n=st.integers(6, 40), d=st.integers(1, 12), seed=st.integers(0, 2**31))


@settings(max_examples=40)
@given(z=samples, k=st.integers(1, 4), a=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_laws(z, k, a, shift):
    """Shift changes nothing, scale adds d log a, rotation and permutation change nothing."""
    n, d = z.shape
    value = knn_entropy(z, k)
    rotation = torch.linalg.qr(normal(d, d, seed=1))[0]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(n))
    # Rounding of coordinates up to 50 (4e-15 absolute) over distances of at least about 1e-5,
    # where d = 1 has its closest pairs: relative 1e-9 at worst,
    # an absolute 1e-9 in log rho.
    torch.testing.assert_close(knn_entropy(z + shift, k), value, rtol=0, atol=1e-7)
    torch.testing.assert_close(
        knn_entropy(a * z, k), value + d * math.log(a), rtol=1e-10, atol=1e-7
    )
    torch.testing.assert_close(knn_entropy(z @ rotation, k), value, rtol=0, atol=1e-7)
    torch.testing.assert_close(knn_entropy(z[order], k), value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_lifted(dtype):
    z = normal(200, 8).to(dtype)
    value = knn_entropy(z)
    assert value.dtype == torch.float32
    assert value.item() == knn_entropy(z.float()).item()


def test_autocast_does_not_reach_the_estimator():
    z = normal(600, 32, dtype=torch.float32)  # the matrix-product engine
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = knn_entropy(z, engine="blocked")
    assert inside.item() == knn_entropy(z, engine="dense").item()


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_near_duplicates_keep_their_distance(offset):
    """Points 2^-10 apart at an offset of 1e4: an expanded square in float32 would see zero."""
    z = normal(600, 16, dtype=torch.float32).mul_(64).round_().div_(64) + offset
    z[1] = z[0]
    z[1, 0] += 2**-10
    local = knn_entropy(z, reduction="none", engine="blocked")
    expected = 16 * math.log(2**-10) + unit_ball_log_volume(16) + float(digamma(600) - digamma(1))
    assert local[0].item() == pytest.approx(expected, abs=1e-4)


def test_duplicates_are_counted_with_a_remedy():
    z = normal(20, 2)
    z[3] = z[4] = z[5]
    with pytest.raises(DuplicatePointsError, match=r"3 of 20 points coincide.*unique.*floor"):
        knn_entropy(z)
    assert knn_entropy(z, 3).isfinite()  # the third neighbour is another point


def test_floor_replaces_small_distances_and_stops_their_gradient():
    z = normal(20, 2).requires_grad_()
    doubled = torch.cat([z, z[:1]])
    local = knn_entropy(doubled, zero="floor", floor=1e-3, reduction="none")
    offset = unit_ball_log_volume(2) + float(digamma(21) - digamma(1))
    assert local[0].item() == pytest.approx(2 * math.log(1e-3) + offset)
    (gradient,) = torch.autograd.grad(local[0] + local[20], z)
    assert gradient.abs().max() == 0


def test_one_dimensional_uniform_spacing():
    """Points on a grid of step h: H = log h + log 2 + psi(n) - psi(1), by hand."""
    n, h = 11, 0.25
    value = knn_entropy(torch.arange(n, dtype=torch.float64)[:, None] * h)
    harmonic = sum(1 / m for m in range(1, n))  # psi(n) - psi(1)
    assert value.item() == pytest.approx(math.log(h) + math.log(2) + harmonic)


def test_bound_of_the_gaussian():
    assert gaussian_entropy_bound(16) == pytest.approx(8 * math.log(2 * math.pi * math.e))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_non_finite(bad):
    z = normal(10, 2)
    z[7, 1] = bad
    with pytest.raises(ValueError, match="1 of 10 rows"):
        knn_entropy(z)


@pytest.mark.parametrize(
    ("z", "error", "message"),
    [
        ([[0.0], [1.0]], TypeError, "torch.as_tensor"),
        (torch.arange(10)[:, None], TypeError, r"z\.float\(\)"),
        (torch.zeros(10, 2, dtype=torch.bool), TypeError, "floating"),
        (torch.zeros(10, 2, dtype=torch.complex64), TypeError, "floating"),
        (torch.rand(10), ValueError, r"z\[:, None\]"),
        (torch.rand(4, 5, 2), ValueError, "n x d"),
        (torch.rand(0, 3), ValueError, "empty"),
        (torch.rand(5, 0), ValueError, "empty"),
        (torch.rand(1, 3), ValueError, "n = 1"),
    ],
)
def test_refuses_bad_samples(z, error, message):
    with pytest.raises(error, match=message):
        knn_entropy(z)


@pytest.mark.parametrize("k", [0, -1, 10, 11])
def test_refuses_impossible_neighbours(k):
    with pytest.raises(ValueError, match=r"1\.\.n-1 = 9"):
        knn_entropy(torch.rand(10, 2), k)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"k": 1.5}, TypeError, "integer"),
        ({"k": True}, TypeError, "integer"),
        ({"reduction": "batch"}, ValueError, "mean, sum, none"),
        ({"zero": "skip"}, ValueError, "raise, floor"),
        ({"correction": "ln"}, ValueError, "digamma, log"),
        ({"correction": "log", "k": 2}, ValueError, "k = 1"),
        ({"zero": "floor"}, ValueError, "floor > 0"),
        ({"zero": "floor", "floor": 0.0}, ValueError, "floor > 0"),
        ({"floor": 1e-6}, ValueError, "pass both"),
        ({"engine": "annoy"}, ValueError, "dense, blocked, kdtree"),
        ({"memory_limit": 0}, ValueError, "at least 1"),
        ({"memory_limit": 10}, ValueError, "too small: one query needs"),
    ],
)
def test_refuses_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        knn_entropy(torch.rand(10, 2), **options)


def test_without_checks_nothing_is_refused():
    z = normal(20, 3)
    assert knn_entropy(z, validate=False).item() == knn_entropy(z).item()
    z[1] = z[0]
    assert knn_entropy(z, validate=False).item() == -math.inf
    z[2, 0] = math.nan
    assert math.isnan(knn_entropy(z, validate=False).item())


def test_without_checks_one_graph_holds_value_and_gradient():
    """No step waits for a value, so the whole of it compiles, and a CUDA graph can hold it."""
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda z: knn_entropy(z, validate=False),
        fullgraph=True,
        dynamic=False,
        backend="aot_eager",
    )
    z = normal(50, 4).requires_grad_()
    (expected,) = torch.autograd.grad(knn_entropy(z), z)
    value = compiled(z)
    assert value.item() == pytest.approx(knn_entropy(z).item(), abs=1e-12)
    torch.testing.assert_close(torch.autograd.grad(value, z)[0], expected)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float32, 1e-30),
        (torch.float32, 1e30),
        (torch.float64, 1e-250),
        (torch.float64, 1e250),
    ],
)
def test_points_of_any_size_have_their_entropy_and_gradient(dtype, scale):
    z = normal(200, 3, dtype=dtype).requires_grad_()
    sized = (z.detach() * scale).requires_grad_()
    plain, found = knn_entropy(z), knn_entropy(sized)
    assert (found - plain).item() == pytest.approx(3 * math.log(scale), rel=1e-5)
    (gradient,) = torch.autograd.grad(plain, z)
    (sized_gradient,) = torch.autograd.grad(found, sized)
    torch.testing.assert_close(sized_gradient * scale, gradient, rtol=1e-3, atol=1e-3)
    # A floor is in the units of the points.
    floored = knn_entropy(sized.detach(), zero="floor", floor=scale)
    expected = knn_entropy(z.detach(), zero="floor", floor=1.0)
    assert float(floored - expected) == pytest.approx(3 * math.log(scale), rel=1e-5)


def test_a_neighbour_may_be_counted_by_numpy():
    z = normal(30, 2)
    assert knn_entropy(z, np.int64(3)) == knn_entropy(z, 3)


@pytest.mark.parametrize(
    ("z", "message"),
    [
        (torch.ones(4, 2, dtype=torch.complex64), r"view_as_real\(z\)"),
        (torch.ones(4, 2).to_sparse(), r"z\.to_dense\(\)"),
    ],
)
def test_refuses_with_a_way_out(z, message):
    with pytest.raises(TypeError, match=message):
        knn_entropy(z)


ENGINES = ["dense", "blocked", "kdtree"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_close_pair_beside_points_of_ordinary_size(engine):
    """Its square vanishes in float32, and each of the two must find the other all the same."""
    z = torch.tensor([[0.0], [1.0], [2e-25], [1e-25]], requires_grad=True)
    value = knn_entropy(z, engine=engine)
    assert value.item() == pytest.approx(knn_entropy(z.double()).item(), abs=1e-5)
    assert value.item() == pytest.approx(-40.65, abs=0.005)
    assert torch.autograd.grad(value, z)[0].isfinite().all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_at_both_ends_of_their_range(engine, dtype):
    largest = torch.finfo(dtype).max
    z = torch.linspace(-0.45, 0.45, 30, dtype=torch.float64).pow(3)[:, None] * largest
    z = torch.cat([z, torch.tensor([[0.0], [1.0]], dtype=torch.float64)]).to(dtype)
    small = (z.double() / largest).requires_grad_()
    z.requires_grad_()
    value, expected = knn_entropy(z, 2, engine=engine), knn_entropy(small, 2)
    assert (value - expected).item() == pytest.approx(math.log(largest), rel=1e-6)
    assert torch.autograd.grad(value, z)[0].isfinite().all()


def test_differences_that_overflow_are_taken_in_float64_or_refused():
    z = torch.tensor([[3e38, 0.0], [-3e38, 1.0], [2e38, -3e38]], requires_grad=True)
    value = knn_entropy(z)
    assert value.item() == pytest.approx(knn_entropy(z.double()).item())
    assert torch.autograd.grad(value, z)[0].isfinite().all()
    half = torch.tensor([[6e4], [-6e4], [1.0]], dtype=torch.float16)
    assert knn_entropy(half).item() == pytest.approx(knn_entropy(half.float()).item())
    with pytest.raises(ValueError, match=r"farther apart than torch\.float64 can hold: scale"):
        knn_entropy(torch.tensor([[1.7e308], [-1.7e308], [0.0]], dtype=torch.float64))


def test_heavy_tails_agree_in_all_engines():
    z = torch.rand(400, 1, generator=torch.Generator().manual_seed(0)).double().pow(100)
    z = z.float().clamp(min=1e-42).unique(dim=0)
    expected = knn_entropy(z.double()).item()
    for engine in ENGINES:
        assert knn_entropy(z, engine=engine).item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("n", "d"), [(128, 64), (700, 8), (2_000, 2)])
def test_without_checks_any_size_is_one_graph(n, d):
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda z: knn_entropy(z, 2, validate=False),
        fullgraph=True,
        dynamic=False,
        backend="aot_eager",
    )
    z = normal(n, d)
    assert compiled(z).item() == pytest.approx(knn_entropy(z, 2).item(), abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 15, 16, 17, 1000, 10**15])
def test_digamma_is_that_of_scipy(n):
    assert ours(n) == pytest.approx(float(digamma(n)), rel=4e-16, abs=2e-15)
