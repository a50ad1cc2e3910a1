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


@pytest.mark.parametrize("buffers", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("codes", [torch.float16, torch.float32, torch.float64])
def test_any_precision_of_codes_beside_any_of_the_buffers(buffers, codes):
    layer, reference = CodeBatchNorm(3).to(buffers), torch.nn.BatchNorm1d(3, affine=False).double()
    u = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).to(codes) + 2
    wide = torch.float64 if codes == torch.float64 else torch.float32
    for _ in range(2):
        z = layer(u)
        torch.testing.assert_close(z.double(), reference(u.double()), rtol=0, atol=1e-5)
    assert z.dtype == wide
    assert layer.running_var.dtype == buffers
    assert layer.num_batches_tracked == 2
    torch.testing.assert_close(
        layer.running_var.double(), reference.running_var, rtol=2e-3, atol=2e-3
    )
    layer.eval(), reference.eval()
    torch.testing.assert_close(layer(u).double(), reference(u.double()), rtol=0, atol=1e-2)


def test_gradient_of_double_codes():
    u = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(CodeBatchNorm(2), (u.requires_grad_(),))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: CodeBatchNorm(2.5), TypeError, "integer"),
        (lambda: CodeBatchNorm(True), TypeError, "integer"),
        (lambda: CodeBatchNorm(2, eps=-1.0), ValueError, "eps"),
        (lambda: CodeBatchNorm(2, eps=float("nan")), ValueError, "eps"),
        (lambda: CodeBatchNorm(2, momentum=0.0), ValueError, "momentum"),
        (lambda: CodeBatchNorm(2, momentum=2.0), ValueError, "momentum"),
        (lambda: CodeBatchNorm(2)(torch.ones(4, 2, dtype=torch.int64)), TypeError, "int64"),
        (lambda: CodeBatchNorm(2)(torch.ones(4, 2, dtype=torch.complex64)), TypeError, "complex"),
        (lambda: CodeBatchNorm(2)([[0.0, 1.0]]), TypeError, "got list"),
    ],
)
def test_refuses_what_would_be_rounded_or_ignored(build, error, message):
    with pytest.raises(error, match=message):
        build()
