"""Every engine finds the same neighbours, those of the full distance matrix."""

import pytest
import torch

from eae_core.neighbors import choice, nearest_neighbors

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
    def choose(device, n, d, k=1):
        return choice.choose_engine(device, n, n, d, k)

    assert choose("cpu", 100_000, 2) == "kdtree"
    assert choose("cpu", 10_000, 64) == choose("cpu", 10_000, 16, 5) == "blocked"
    assert {choose("cuda", n, d) for n in (100, 10_000) for d in (2, 64)} <= {"dense", "blocked"}


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
        ({"x": torch.rand(5, 2), "engine": "ball"}, "there are auto"),
        ({"x": torch.rand(5, 2), "memory_limit": 0}, "memory_limit"),
        ({"x": torch.rand(5, 2).int()}, "float32 or float64"),
        ({"x": torch.rand(5, 2), "y": torch.rand(5, 2).double()}, "both alike"),
        ({"x": torch.rand(5, 2), "exclude": torch.arange(5)}, "it needs y"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(**arguments)
