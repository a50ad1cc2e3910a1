"""The Frechet distance against closed forms."""

import pytest
import torch

from eae_core.evaluation.fid import (
    FeatureStatistics,
    frechet_distance,
    frechet_distance_of_statistics,
)
from eae_core.evaluation.fidelity import precision_recall
from eae_core.torchvision_compat import import_torchvision


def normal(n: int, p: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(n: int, p: int) -> torch.Tensor:
    """A sample whose mean is exactly 0 and whose covariance is exactly the identity."""
    z = normal(n, p)
    z = z - z.mean(0)
    return z @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T))).T


def test_of_a_set_and_itself_is_zero():
    a = normal(200, 10)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)


def test_diagonal_gaussians():
    """|m|^2 + sum (s - t)^2 for commuting covariances diag(s^2), diag(t^2)."""
    z = whitened(50, 3)
    s, t, m = (
        torch.tensor(v).double() for v in ([1.0, 2.0, 3.0], [2.0, 2.0, 0.5], [1.0, 0.0, -2.0])
    )
    expected = (m.square().sum() + (s - t).square().sum()).item()
    assert frechet_distance(z * s, z * t + m) == pytest.approx(expected, rel=1e-9)


def test_correlated_gaussians_against_a_matrix_root():
    a, b = normal(80, 4) @ normal(4, 4, 1), normal(90, 4, 2) @ normal(4, 4, 3)
    ca, cb = torch.cov(a.T), torch.cov(b.T)
    values = torch.linalg.eigvals(ca @ cb).real.clamp(min=0)  # the product's root has their roots
    trace = ca.trace() + cb.trace() - 2 * values.sqrt().sum()
    expected = ((a.mean(0) - b.mean(0)).square().sum() + trace).item()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-8)


def test_arrays_are_features_too():
    a, b = normal(50, 3), normal(60, 3, 1) + 1
    expected = frechet_distance(a, b)
    assert frechet_distance(a.numpy(), b.numpy()) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(a.tolist(), b) == pytest.approx(expected, rel=1e-12)
    assert precision_recall(a.numpy(), b.numpy()) == precision_recall(a, b)
    for wrong in (None, "features", object()):
        with pytest.raises(TypeError, match="must be a tensor or an array of numbers"):
            frechet_distance(wrong, a)


def test_singular_covariances_stay_finite():
    a = normal(5, 20)  # five points span four dimensions
    assert frechet_distance(a, a + 1) == pytest.approx(20, rel=1e-6)


class AsTheyAre(torch.nn.Module):
    """In place of a network, for a metric that insists on one."""

    num_features = 20

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize("n", [400, 15])  # also fewer than dimensions
def test_agrees_with_torchmetrics_and_torch_fidelity(n):
    import_torchvision("datasets")
    from torch_fidelity import metric_fid
    from torchmetrics.image.fid import FrechetInceptionDistance

    a, b = normal(n, 20) @ normal(20, 20, 1), 1 + normal(n + 7, 20, 2).relu()
    ours = frechet_distance(a, b)
    metric = FrechetInceptionDistance(AsTheyAre()).set_dtype(torch.float64)
    metric.update(a, real=True)
    metric.update(b, real=False)
    assert ours == pytest.approx(metric.compute().item(), rel=1e-5)
    statistics = [metric_fid.fid_features_to_statistics(x) for x in (a, b)]
    theirs = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    assert ours == pytest.approx(theirs[metric_fid.KEY_METRIC_FID], rel=1e-5)


def test_statistics_are_enough():
    a, b = normal(40, 6), 2 * normal(50, 6, 1)
    sa, sb = FeatureStatistics.of(a.float()), FeatureStatistics.of(b.float())
    assert sa.n == 40
    assert sa.covariance.dtype == torch.float64
    assert frechet_distance_of_statistics(sa, sb) == frechet_distance(a.float(), b.float())
    torch.testing.assert_close(sa.root @ sa.root, sa.covariance)
    with pytest.raises(ValueError, match="of 6 and of 2 dimensions"):
        frechet_distance_of_statistics(sa, FeatureStatistics.of(a[:, :2]))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.rand(5, 3), torch.rand(5, 4), "same p"),
        (torch.rand(5), torch.rand(5), "features must be n x d"),
        (torch.rand(1, 3), torch.rand(5, 3), "two rows"),
        (torch.full((5, 3), torch.nan), torch.rand(5, 3), "NaN"),
    ],
)
def test_refuses(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)
