"""The constraint layer."""

import copy
import pickle

import pytest
import torch
import torch.distributed as dist

from eae_core import CodeBatchNorm, build_model


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
    wide = codes if codes == buffers else wide  # a layer of half precision rounds its result
    for _ in range(2):
        z = layer(u)
        rounding = 1e-5 if wide != torch.float16 else 2e-3
        torch.testing.assert_close(z.double(), reference(u.double()), rtol=0, atol=rounding)
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


@pytest.mark.filterwarnings("ignore")  # tracing itself is old, and warns of every check
def test_a_trace_keeps_the_number_of_rows_open():
    layer = CodeBatchNorm(4).eval()
    traced = torch.jit.trace(layer, torch.randn(6, 4))
    z = torch.randn(10, 4)
    assert torch.equal(traced(z), layer(z))


def test_it_takes_what_batch_norm_takes():
    layer = CodeBatchNorm(3, 1e-3, None)
    assert (layer.eps, layer.momentum) == (1e-3, None)
    assert (
        CodeBatchNorm(3, device="meta", dtype=torch.bfloat16).running_mean.dtype == torch.bfloat16
    )
    with pytest.raises(ValueError, match="eps must be finite and above 0, got 0"):
        CodeBatchNorm(3, eps=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_momentum_the_moments_are_plain_averages(dtype):
    z = torch.randn(3, 50, 2, dtype=dtype, generator=torch.Generator().manual_seed(0))
    layer = CodeBatchNorm(2, momentum=None)
    for batch in z:
        layer(batch)
    assert torch.allclose(layer.running_mean, z.mean((0, 1)).float(), atol=1e-6)
    assert torch.allclose(layer.running_var, z.var(1).mean(0).float(), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_layer_of_half_precision_gives_its_inputs_dtype(dtype):
    z = torch.randn(64, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    layer = CodeBatchNorm(3).to(dtype)
    assert layer(z).dtype == dtype
    assert CodeBatchNorm(3)(z).dtype == torch.float32  # as under autocast
    assert torch.allclose(layer(z).float(), CodeBatchNorm(3)(z), atol=0.02)


def test_update_bn_renews_its_moments():
    z = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) * 5 + 2
    model = torch.nn.Sequential(CodeBatchNorm(3))
    torch.optim.swa_utils.update_bn(z.split(50), model)
    assert torch.allclose(model[0].running_mean, z.mean(0), atol=1e-5)


def test_a_layer_with_a_group_is_copied_and_saved(tmp_path):
    layer = CodeBatchNorm(3, group="world")
    assert copy.deepcopy(layer).group == "world"
    torch.save(layer, tmp_path / "layer.pt")
    loaded = torch.load(tmp_path / "layer.pt", weights_only=False)
    assert loaded.group == "world"
    with pytest.raises(RuntimeError, match="call init_process_group first"):
        loaded.train()(torch.randn(4, 3))


def test_a_process_group_is_kept_by_a_copy_and_left_out_of_a_file():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        world = CodeBatchNorm(2, group=dist.group.WORLD)
        assert copy.deepcopy(world).group is dist.group.WORLD
        assert pickle.loads(pickle.dumps(world)).group == "world"
        part = CodeBatchNorm(2, group=dist.new_group([0]))
        with pytest.warns(UserWarning, match=r"set layer\.group again after loading"):
            assert pickle.loads(pickle.dumps(part)).group is None
        assert part(torch.randn(5, 2)).shape == (5, 2)
    finally:
        dist.destroy_process_group()


def test_convert_sync_batchnorm_is_refused_with_the_way_out():
    model = build_model("eae", (1, 32, 32), 2, width=1)
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    with pytest.raises(TypeError, match="convert_sync_batchnorm has replaced it"):
        converted.entropy(torch.randn(5, 2))
