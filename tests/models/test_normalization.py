"""The constraint layer."""

import pytest
import torch

from eae_core import CodeBatchNorm


def codes(n: int = 200, d: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 5 + 3 * torch.randn(n, d, generator=generator)


def test_training_batches_get_mean_zero_and_variance_one():
    z = CodeBatchNorm(3)(codes())
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    # eps / variance of the input = 1e-5 / 9 is all that is missing from one.
    torch.testing.assert_close(z.var(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_evaluation_uses_running_moments():
    layer = CodeBatchNorm(3)
    z = codes()
    for _ in range(200):  # 0.9^200 < 1e-9: nothing is left of the start
        layer(z)
    layer.eval()
    one = layer(z[:1])
    torch.testing.assert_close(one, (z[:1] - z.mean(0)) / (z.var(0) + 1e-5).sqrt())


def test_has_no_parameters_and_stays_in_float32_under_autocast():
    layer = CodeBatchNorm(3)
    assert not list(layer.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(codes().bfloat16()).dtype == torch.float32
    assert CodeBatchNorm(3).double()(codes().double()).dtype == torch.float64


def test_refuses():
    with pytest.raises(ValueError, match="at least 1"):
        CodeBatchNorm(0)
    with pytest.raises(ValueError, match=r"n x 3.*\(5, 4\)"):
        CodeBatchNorm(3)(torch.rand(5, 4))
    with pytest.raises(ValueError, match="n x 3"):
        CodeBatchNorm(3)(torch.rand(5, 3, 2))
    with pytest.raises(ValueError, match="at least two"):
        CodeBatchNorm(3)(torch.rand(1, 3))
    assert CodeBatchNorm(3).eval()(torch.rand(1, 3)).shape == (1, 3)
