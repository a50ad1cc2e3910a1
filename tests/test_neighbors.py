"""Every engine finds the same neighbours, those of the full distance matrix."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from eae_core.neighbors import knn_distances, nearest_neighbors
from eae_core.neighbors.products import product_error
from eae_core.neighbors.search import choose_engine

ENGINES = ["dense", "blocked", "kdtree", "auto"]


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def distance_matrix(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x.double()[:, None] - y.double()[None]).norm(dim=-1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("d", [1, 2, 16, 64])
@pytest.mark.parametrize("k", [1, 4])
def test_self_search(engine, d, k):
    x = normal(300, d)
    full = distance_matrix(x, x).fill_diagonal_(torch.inf)
    distances, indices = nearest_neighbors(x, k=k, engine=engine)
    torch.testing.assert_close(distances.double(), full.kthvalue(k).values, rtol=1e-6, atol=1e-9)
    assert (indices != torch.arange(300)).all()
    found = full.gather(1, indices[:, None])[:, 0]
    torch.testing.assert_close(found, full.kthvalue(k).values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_search_in_another_set(engine):
    x, y = normal(50, 5), normal(80, 5, seed=1)
    distances, indices = nearest_neighbors(x, y, k=3, engine=engine)
    torch.testing.assert_close(distances.double(), distance_matrix(x, y).kthvalue(3).values)
    torch.testing.assert_close((x - y[indices]).norm(dim=1), distances)
    # A point of x that is also in y is its own nearest neighbour there.
    assert nearest_neighbors(x, torch.cat([y, x]), engine=engine).distances.abs().max() == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_duplicates_find_each_other(engine):
    x = normal(40, 3)
    x[10:20] = x[0]  # eleven equal points
    distances, indices = nearest_neighbors(x, k=2, engine=engine)
    equal = [0, *range(10, 20)]
    assert distances[equal].abs().max() == 0
    assert (indices != torch.arange(40)).all()
    assert {int(i) for i in indices[equal]} <= set(equal)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocked_is_exact_where_squares_cancel(dtype):
    """Clusters of radius 1e-4 far from each other: float32 squares cannot rank their members."""
    centres = 10 * normal(20, 24, dtype=dtype)
    x = (centres[:, None] + 1e-4 * normal(400, 24, seed=1, dtype=dtype).view(20, 20, 24)).view(
        -1, 24
    )
    for engine in ("blocked", "auto"):
        found = nearest_neighbors(x, engine=engine)
        dense = nearest_neighbors(x, engine="dense")
        torch.testing.assert_close(found.distances, dense.distances, rtol=1e-6, atol=0)


def test_k_may_reach_every_other_point():
    x = normal(9, 2)
    furthest = distance_matrix(x, x).max(1).values
    for engine in ENGINES:
        distances = nearest_neighbors(x, k=8, engine=engine).distances
        torch.testing.assert_close(distances.double(), furthest)


def test_auto_chooses_by_device_size_and_dimension():
    def choose(device, n, m, d, k=1):
        return choose_engine(device, n, m, d, k)

    assert choose("cpu", 100_000, 100_000, 2) == "kdtree"
    assert choose("cpu", 20_000, 20_000, 8, 5) == "kdtree"  # once 2.5 times the speed of products
    assert choose("cpu", 100_000, 100_000, 16) == choose("cpu", 300, 300, 8) == "blocked"
    assert choose("cpu", 10, 1_000_000, 2) == "blocked"  # no tree for a few queries
    assert choose("cpu", 1000, 1000, 10_000) == "blocked"  # 2.35**d is no float there
    sizes = [(n, d) for n in (100, 10_000) for d in (2, 64)]
    assert {choose("cuda", n, n, d) for n, d in sizes} == {"dense", "blocked"}


def test_gradient_does_not_flow_through_the_search():
    x = normal(10, 2).requires_grad_()
    assert not nearest_neighbors(x).distances.requires_grad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.rand(5)}, "n x d"),
        ({"x": torch.rand(5, 2), "y": torch.rand(5, 3)}, "same d"),
        ({"x": torch.rand(5, 2), "k": 5}, r"1\.\.4"),
        ({"x": torch.rand(5, 2), "y": torch.rand(3, 2), "k": 4}, r"1\.\.3"),
        (
            {"x": torch.rand(2, 1), "y": torch.rand(3, 1), "exclude": torch.arange(2), "k": 3},
            r"1\.\.2",
        ),
        ({"x": torch.rand(5, 2), "engine": "ball"}, "there are auto"),
        ({"x": torch.rand(5, 2), "memory_limit": 0}, "memory_limit"),
        ({"x": torch.rand(5, 2).int()}, "float32 or float64"),
        ({"x": torch.rand(5, 2), "y": torch.rand(5, 2).double()}, "both alike"),
        ({"x": torch.rand(5, 2), "exclude": torch.arange(5)}, "it needs y"),
        ({"x": torch.rand(0, 2)}, "needs other points: x has 0"),
        ({"x": torch.rand(1, 2)}, "needs other points: x has 1"),
        ({"x": torch.rand(3, 2), "y": torch.rand(0, 2)}, "x has 3, y 0"),
        ({"x": torch.rand(5, 0)}, "the same d >= 1"),
        ({"x": torch.tensor([[0.0], [torch.nan], [1.0]])}, "1 rows of x hold NaN"),
        ({"x": torch.tensor([[0.0], [torch.inf], [1.0]])}, "1 rows of x hold NaN"),
        ({"x": torch.rand(3, 1), "y": torch.tensor([[0.0], [torch.nan]])}, "1 rows of y"),
        ({"x": torch.rand(5, 2), "memory_limit": float("nan")}, "at least 1"),
        ({"x": torch.rand(5, 2), "y": torch.rand(5, 2, device="meta")}, "one device"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(**arguments)


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        (torch.zeros(5), "must be torch.int64"),
        (torch.full((5,), -1), r"rows of y, 0\.\.8"),
        (torch.full((5,), 9), r"rows of y, 0\.\.8"),
        (torch.arange(4), "one row of y for each"),
        ([0, 1, 2, 3, 4], "one row of y for each"),
    ],
)
def test_refuses_rows_to_exclude_that_are_not_there(exclude, message):
    for engine in ENGINES:
        with pytest.raises(ValueError, match=message):
            nearest_neighbors(normal(5, 2), normal(9, 2), exclude=exclude, engine=engine)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": [[0.0], [1.0]]}, "torch.as_tensor"),
        ({"x": torch.rand(5, 2).numpy()}, "got ndarray"),
        ({"x": torch.rand(5, 2), "y": [[0.0, 1.0]]}, "y must be a torch.Tensor"),
        ({"x": torch.rand(5, 2), "k": True}, "k must be an integer"),
        ({"x": torch.rand(5, 2), "k": 1.0}, "k must be an integer"),
        ({"x": torch.rand(5, 2), "memory_limit": "1 GB"}, "a number of bytes"),
        ({"x": torch.rand(5, 2), "memory_limit": True}, "a number of bytes"),
    ],
)
def test_refuses_other_types(arguments, message):
    with pytest.raises(TypeError, match=message):
        nearest_neighbors(**arguments)


def test_numbers_of_numpy_and_limits_in_powers_of_ten_are_numbers():
    x = normal(40, 3)
    plain = nearest_neighbors(x, k=3).indices
    assert torch.equal(nearest_neighbors(x, k=np.int64(3), memory_limit=1e6).indices, plain)


@pytest.mark.parametrize("engine", ["dense", "blocked"])
def test_a_limit_that_is_too_small_names_one_that_is_enough(engine):
    x = normal(1600, 4)
    with pytest.raises(ValueError, match="memory_limit=100 is too small") as refusal:
        nearest_neighbors(x, engine=engine, memory_limit=100)
    needed = int(re.search(r"needs (\d+) bytes", str(refusal.value))[1])
    found = nearest_neighbors(x[:50], x, engine=engine, memory_limit=needed)
    assert torch.equal(found.indices, nearest_neighbors(x[:50], x, engine="dense").indices)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        (torch.float32, 1e-30),
        (torch.float32, 1e-12),
        (torch.float32, 1e20),
        (torch.float32, 1e37),
        (torch.float64, 1e-290),
        (torch.float64, 1e-160),
        (torch.float64, 1e160),
        (torch.float64, 1e300),
    ],
)
def test_squares_that_overflow_or_vanish_do_not_matter(engine, dtype, scale):
    x = normal(1700, 3, dtype=dtype)  # many enough for blocks
    own = torch.arange(200)
    for k in (1, 3):
        plain = nearest_neighbors(x, k=k, engine=engine)
        found = nearest_neighbors(x * scale, k=k, engine=engine)
        rounding_error = 8 * torch.finfo(dtype).eps * x.abs().max()  # of the product with scale
        torch.testing.assert_close(
            found.distances / scale, plain.distances, rtol=0, atol=float(rounding_error)
        )
        left_out = nearest_neighbors(x[:200] * scale, x * scale, k=k, exclude=own, engine=engine)
        assert torch.equal(left_out.indices, found.indices[:200])


@pytest.mark.parametrize("engine", ENGINES)
def test_one_point_far_away_leaves_the_others_their_neighbours(engine):
    x = normal(400, 3)
    far = torch.cat([x, torch.full((1, 3), 1e30)])
    found = nearest_neighbors(far, engine=engine)
    assert torch.equal(found.indices[:-1], nearest_neighbors(x, engine="dense").indices)
    assert found.distances[-1] == pytest.approx(3**0.5 * 1e30, rel=1e-6)


@pytest.mark.parametrize("n", [40, 900, 3_000])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("engine", ["dense", "blocked", "kdtree"])
def test_a_part_searches_the_whole_without_itself(engine, k, n):
    whole = normal(n, 9)
    rows = torch.arange(n // 4, n // 2)
    found = nearest_neighbors(whole[rows], whole, k=k, exclude=rows, engine=engine)
    alone = nearest_neighbors(whole, k=k, engine="dense")
    assert torch.equal(found.indices, alone.indices[rows])
    torch.testing.assert_close(found.distances, alone.distances[rows])


@pytest.mark.parametrize("engine", ["dense", "blocked", "kdtree"])
@pytest.mark.parametrize("n", [300, 4_000])
def test_near_duplicates_far_from_the_origin(engine, n):
    """Pairs 2^-10 apart at 1e4 in float32, and 1e-6 apart in float64: no digit is lost."""
    for dtype, offset, step in ((torch.float32, 1e4, 2.0**-10), (torch.float64, 1e4, 1e-6)):
        half = (8 * normal(n // 2, 12, dtype=dtype)).round() + offset
        x = torch.cat([half, half])
        x[n // 2 :, 0] += step
        distances, indices = nearest_neighbors(x, engine=engine)
        partner = torch.arange(n).roll(n // 2)
        assert torch.equal(indices, partner)
        exact = (x - x[partner]).norm(dim=1)
        torch.testing.assert_close(distances, exact, rtol=1e-6, atol=0)


@settings(max_examples=40)
@given(
    n=st.integers(2, 2_500),
    m=st.integers(2, 2_500),
    d=st.integers(1, 24),
    k=st.integers(1, 12),
    scale=st.sampled_from([1e-12, 1.0, 1e6]),
    grid=st.booleans(),
    seed=st.integers(0, 99),
)
def test_products_and_trees_agree_with_subtraction(n, m, d, k, scale, grid, seed):
    """Any sizes, ties included: coordinates on a grid make many distances equal."""
    k = min(k, m)
    x, y = (normal(size, d, seed + i) for i, size in enumerate((n, m)))
    if grid:
        x, y = x.round(), y.round()
    x, y = x * scale, y * scale
    expected = nearest_neighbors(x, y, k=k, engine="dense").distances
    for engine in ("blocked", "kdtree"):
        found = nearest_neighbors(x, y, k=k, engine=engine).distances
        torch.testing.assert_close(found, expected, rtol=2e-6, atol=0)


def test_shortened_products_stay_exact():
    """bfloat16 factors, which a user may allow, make the ranking coarse and not wrong."""
    x = normal(4_000, 16)
    expected = nearest_neighbors(x, k=2, engine="dense").indices
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert product_error(x.dtype, 16, x.device) > 1e-2
        assert torch.equal(nearest_neighbors(x, k=2, engine="blocked").indices, expected)
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_error_bound_holds():
    """The expanded square of hostile points is off by less than the bound."""
    for offset in (0.0, 30.0, 1e3):
        x = normal(500, 40) + offset
        norms = x.square().sum(1)
        squares = torch.addmm(norms, x, x.T, alpha=-2) + norms[:, None]
        error = (squares.double() - distance_matrix(x, x).square()).abs()
        bound = product_error(x.dtype, 40, x.device) * (norms + norms.max())
        assert (error <= bound[:, None]).all()


@pytest.mark.parametrize("engine", ["dense", "blocked"])
def test_memory_stays_within_the_limit(engine):
    """The largest tensor of a search is no larger than the limit, and the answer the same."""
    x = normal(6_000, 8)
    limit = 2**20
    sizes = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                sizes.append(out.numel() * out.element_size())
            return out

    with Watch():
        found = nearest_neighbors(x, engine=engine, memory_limit=limit).indices
    assert max(sizes) <= limit
    assert torch.equal(found, nearest_neighbors(x, engine="kdtree").indices)


def test_knn_distances_in_another_set():
    x, y = normal(30, 4), normal(50, 4, seed=1)
    expected = distance_matrix(x, y).kthvalue(3, dim=1).values
    torch.testing.assert_close(knn_distances(x, y, k=3).double(), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("n", "d", "k"), [(2, 1, 1), (30, 3, 4), (30, 12, 29), (1700, 9, 3)])
def test_every_neighbour_is_the_sorted_matrix_of_distances(engine, n, d, k):
    x = normal(n, d, dtype=torch.float64) + 1e4  # where a matrix product loses digits
    full = distance_matrix(x, x).fill_diagonal_(torch.inf).sort(1)
    found = nearest_neighbors(x, k=k, every=True, engine=engine)
    torch.testing.assert_close(found.distances, full.values[:, :k], rtol=1e-12, atol=0)
    assert torch.equal(found.indices, full.indices[:, :k])


@pytest.mark.parametrize("engine", ENGINES)
def test_points_that_coincide_are_all_among_the_neighbours(engine):
    x = torch.zeros(6, 2)
    x[5] = 1
    for k in (1, 3, 5):
        distances, indices = nearest_neighbors(x, k=k, every=True, engine=engine)
        assert distances.shape == indices.shape == (6, k)
        assert (distances[:5, :4] == 0).all()
        assert (distances[5] == torch.tensor(2.0).sqrt()).all()
        assert (indices != torch.arange(6)[:, None]).all()
        assert all(len(set(row)) == k for row in indices.tolist())


@pytest.mark.parametrize("k", [1, 4])
def test_more_points_than_a_block_has_columns(monkeypatch, k):
    monkeypatch.setattr("eae_core.neighbors.products.TILE", {"cpu": 1_600})
    x, rows = normal(7_001, 6).round(decimals=2), torch.arange(6_900, 7_001)  # with ties
    expected = nearest_neighbors(x[rows], x, k=k, exclude=rows, engine="dense")
    found = nearest_neighbors(x[rows], x, k=k, exclude=rows, engine="blocked")
    torch.testing.assert_close(found.distances, expected.distances, rtol=1e-6, atol=0)
    assert (found.indices != rows).all()


# --- squares that vanish or overflow ------------------------------------------------------------


def exact(x: torch.Tensor, k: int) -> torch.Tensor:
    """Distance to the k-th neighbour by differences of exact numbers of Python."""
    rows = [[*map(float, row)] for row in x.tolist()]
    found = []
    for i, a in enumerate(rows):
        others = (math.dist(a, b) for j, b in enumerate(rows) if j != i)
        found.append(sorted(others)[k - 1])
    return torch.tensor(found, dtype=torch.float64)


def heavy_tails(n: int) -> torch.Tensor:
    """Uniform numbers to the power 100: what Gamma(0.01) has near zero, down to 1e-40."""
    uniform = torch.rand(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return uniform.pow(100).float().clamp(min=1e-43).unique(dim=0)


HOSTILE = {
    "a pair beside points of size 1": torch.tensor([[0.0], [1.0], [2e-25], [1e-25]]),
    "denormal numbers": torch.tensor([[0.0, 0.0], [3e-45, 0.0], [1e-44, 1e-44], [1.0, 0.5]]),
    "the largest numbers": torch.tensor([[3e38, 1.0], [-3e38, 1e-30], [3e38, 7.0], [0.0, 2.0]]),
    "large, small and between": torch.tensor([[3e38], [2.9e38], [1e-30], [3e-30], [1.0], [1e15]]),
    "float64 at 1e-200": torch.tensor([[0.0], [1.0], [2e-200], [1e-200]], dtype=torch.float64),
    "float64, both ends": torch.tensor(
        [[1e300], [1.1e300], [1e-300], [3e-300], [5e-324], [2.0], [1e100]], dtype=torch.float64
    ),
    "heavy tails": heavy_tails(150),
    "probabilities": (20 * normal(150, 3) + torch.tensor([90.0, 0, 0])).softmax(1),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", HOSTILE)
def test_neighbours_of_points_of_any_size(engine, name):
    x = HOSTILE[name]
    for k in (1, 2):
        expected = exact(x, k)
        found = nearest_neighbors(x, k=k, engine=engine).distances.double()
        infinite = expected > torch.finfo(x.dtype).max
        assert (found[infinite] == torch.inf).all()
        # Denormal numbers have few digits.
        few = torch.finfo(x.dtype).tiny * torch.finfo(x.dtype).eps
        torch.testing.assert_close(found[~infinite], expected[~infinite], rtol=2e-7, atol=few)


@pytest.mark.parametrize("far", [[[1.5e308], [-1.5e308]], [[1.7e308, 0.0], [0.0, 1.7e308]]])
def test_points_farther_apart_than_numbers_reach_are_refused(far):
    with pytest.raises(ValueError, match="farther apart than float64 can hold"):
        nearest_neighbors(torch.tensor(far, dtype=torch.float64))


# --- memory -------------------------------------------------------------------------------------

ENGINES_IN_LIMITS = ["dense", "blocked", "kdtree"]
LIMITS = [(20_000, 8, 1, 2**24), (15_000, 4, 3, 2**23)]  # n, d, k, bytes
# Each search in a process of its own, but forked from one that has loaded what it needs.
RESIDENT = """
import ctypes, os, sys
import torch
from eae_core.neighbors import nearest_neighbors

def status(field):
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return 1024 * int(line.split()[1])

torch.set_num_threads(1)  # a forked process has no other
for words in sys.argv[1:]:
    engine, n, d, k, limit = words.split()
    n, d, options = int(n), int(d), {"engine": engine, "k": int(k), "memory_limit": int(limit)}
    if os.fork():
        assert os.wait()[1] == 0
        continue
    nearest_neighbors(torch.randn(2000, d), **options)  # load libraries
    x = torch.randn(n, d)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")  # forget the peak
    before = status("VmRSS")
    result = nearest_neighbors(x, **options)
    print(status("VmHWM") - before - n * 12, flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def resident():
    """Bytes that each engine added at its peak, within each limit."""
    cases = [(engine, *limits) for engine in ENGINES_IN_LIMITS for limits in LIMITS]
    words = [" ".join(map(str, case)) for case in cases]
    command = [sys.executable, "-c", RESIDENT, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(zip(cases, map(int, run.stdout.split()), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak of a process")
@pytest.mark.parametrize("engine", ENGINES_IN_LIMITS)
@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_resident_memory_stays_within_the_limit(resident, engine, limits):
    assert 0 < resident[engine, *limits] < 1.5 * limits[-1]


def test_products_give_way_to_subtraction_and_auto_to_both_where_memory_is_short():
    x = normal(3_000, 3)
    expected = nearest_neighbors(x, engine="kdtree").indices
    for engine in ("blocked", "auto"):
        found = nearest_neighbors(x, engine=engine, memory_limit=2**15)
        assert torch.equal(found.indices, expected)
    with pytest.raises(ValueError, match=r"needs \d+ bytes"):
        nearest_neighbors(x, engine="kdtree", memory_limit=2**15)
