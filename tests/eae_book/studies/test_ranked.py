"""All neighbours up to the k-th, by either route."""

import pytest
import torch

from eae_book.studies import ranked
from eae_book.studies.ranked import ranked_neighbors


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("block", [7, 2**22])
@pytest.mark.parametrize("few", [0, 100], ids=["subtraction", "tree"])
@pytest.mark.parametrize(("n", "d", "k"), [(2, 1, 1), (30, 3, 4), (30, 12, 29)])
def test_is_the_sorted_matrix_of_distances(monkeypatch, n, d, k, few, block):
    monkeypatch.setattr(ranked, "FEW_DIMENSIONS", few)
    monkeypatch.setattr(ranked, "BLOCK", block)
    z = normal(n, d) + 1e4  # far from the origin, where a matrix product loses digits
    full = (z[:, None] - z).square().sum(-1).fill_diagonal_(torch.inf).sort(1)
    distances, indices = ranked_neighbors(z, k)
    torch.testing.assert_close(distances, full.values[:, :k].sqrt(), rtol=1e-12, atol=0)
    assert torch.equal(indices, full.indices[:, :k])


@pytest.mark.parametrize("few", [0, 100], ids=["subtraction", "tree"])
def test_points_that_coincide_find_each_other_and_not_themselves(monkeypatch, few):
    monkeypatch.setattr(ranked, "FEW_DIMENSIONS", few)
    z = torch.zeros(6, 2)
    z[5] = 1
    for k in (1, 3, 5):
        distances, indices = ranked_neighbors(z, k)
        assert distances.shape == indices.shape == (6, k)
        assert (distances[:5, :4] == 0).all()
        assert (distances[5] == 2**0.5).all()
        assert (indices != torch.arange(6)[:, None]).all()
        assert all(len(set(row)) == k for row in indices.tolist())
