"""Every constraint: what it holds fixed, in which mode, with what gradient, and its law."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import normalize, softplus

from eae_book.constraints import CodeBox, CodeL1Norm, CodeSphere, CodeUnitMean, build_constraint
from eae_book.studies.sphere import sphere_knn_entropy
from eae_core import CodeBatchNorm, build_model, knn_entropy
from eae_core.constraints import CONSTRAINTS, CodeConstraint
from eae_core.entropy import gaussian_entropy_bound
from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.models import EAEOptions, rebuild_model

NAMES = ("batch_norm", "l1_norm", "unit_mean", "box", "sphere")
AVERAGING = ("batch_norm", "l1_norm", "unit_mean")


def codes(n: int = 200, d: int = 3, *, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 5 + 3 * torch.randn(n, d, generator=generator, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_batches_meet_the_constraint_to_rounding(dtype):
    rounding = 50 * torch.finfo(dtype).eps
    exact = {"atol": rounding, "rtol": 0.0}
    one, zero = torch.ones(3, dtype=dtype), torch.zeros(3, dtype=dtype)
    z = CodeL1Norm(3)(codes(dtype=dtype))
    torch.testing.assert_close(z.mean(0), zero, **exact)
    torch.testing.assert_close(z.abs().mean(0), one, **exact)
    z = CodeUnitMean(3)(codes(dtype=dtype))
    assert z.min() > 0
    torch.testing.assert_close(z.mean(0), one, **exact)
    z = CodeBox(3)(codes(dtype=dtype) / 5)
    assert z.abs().max() < 1
    z = CodeSphere(3)(codes(dtype=dtype))
    torch.testing.assert_close(z.norm(dim=1), torch.ones(200, dtype=dtype), **exact)


def test_values_by_hand():
    u = torch.tensor([[0.0, 1.0], [4.0, 2.0], [8.0, 6.0]], dtype=torch.float64)
    expected = torch.tensor([[-4.0, -2.0], [0.0, -1.0], [4.0, 3.0]], dtype=torch.float64)
    expected /= torch.tensor([8 / 3, 2.0], dtype=torch.float64)
    torch.testing.assert_close(CodeL1Norm(2)(u), expected)
    y = (1 + u.exp()).log()
    torch.testing.assert_close(CodeUnitMean(2)(u), y / y.mean(0))
    torch.testing.assert_close(CodeBox(2)(u), (u.exp() - (-u).exp()) / (u.exp() + (-u).exp()))
    torch.testing.assert_close(CodeSphere(2)(u), u / u.square().sum(1, keepdim=True).sqrt())


@pytest.mark.parametrize("name", AVERAGING)
def test_evaluation_uses_running_averages(name):
    layer = build_constraint(name, 3).double()
    z = codes()
    for _ in range(300):  # 0.9^300 < 1e-13: nothing is left of the start
        layer(z)
    layer.eval()
    found = layer(z[:1])
    if name == "l1_norm":
        expected = (z[:1] - z.mean(0)) / (z - z.mean(0)).abs().mean(0)
    elif name == "unit_mean":
        expected = softplus(z[:1]) / softplus(z).mean(0)
    else:
        expected = (z[:1] - z.mean(0)) / z.std(0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    layer(codes(seed=1))
    assert all(torch.equal(before[key], value) for key, value in layer.state_dict().items())


def test_running_averages_take_the_newest_batch_with_its_weight():
    layer = CodeL1Norm(3, momentum=0.25)
    z = codes(dtype=torch.float32)
    layer(z)
    torch.testing.assert_close(layer.running_center, 0.25 * z.mean(0))
    torch.testing.assert_close(layer.running_scale, 0.75 + 0.25 * (z - z.mean(0)).abs().mean(0))
    assert not layer.running_scale.requires_grad


@pytest.mark.parametrize("name", ["box", "sphere"])
def test_what_has_no_average_is_the_same_in_both_modes(name):
    layer, z = build_constraint(name, 3), codes()
    together = layer(z)
    assert not layer.state_dict()
    layer.eval()
    torch.testing.assert_close(layer(z[:1]), together[:1])


def test_batches_of_laplace_codes_need_no_correction():
    # Over batches of 20, E|u - mean| misses E|u| = 1 by less than a percent; without the term of
    # the centre's noise it would miss it by 1/20.
    generator = torch.Generator().manual_seed(0)
    u = CodeL1Norm(20_000).distribution.sample(
        20, generator=generator
    )  # 20,000 batches side by side
    layer = CodeL1Norm(20_000, momentum=1.0).double()
    layer(u)
    assert layer.running_scale.mean().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_gradient(name, mode):
    layer = build_constraint(name, 3).double()
    getattr(layer, mode)()
    u = (codes(6) / 3).requires_grad_()
    assert torch.autograd.gradcheck(layer, u)


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip(name):
    layer, twin = (build_constraint(name, 3).double() for _ in range(2))
    for seed in range(3):
        layer(codes(seed=seed))
    twin.load_state_dict(layer.state_dict())
    torch.testing.assert_close(twin.eval()(codes()), layer.eval()(codes()), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_no_parameters_and_at_least_single_precision(name):
    layer = build_constraint(name, 3)
    assert isinstance(layer, CodeConstraint)
    assert not list(layer.parameters())
    z = codes(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(z.bfloat16())
    assert found.dtype == torch.float32
    # What half precision loses is lost before the layer.
    torch.testing.assert_close(found, build_constraint(name, 3)(z.bfloat16().float()))
    assert build_constraint(name, 3).double()(codes()).dtype == torch.float64


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("how", ["trace", "export"])
@pytest.mark.parametrize("name", NAMES)
def test_an_export_keeps_the_number_of_rows_open(name, how):
    layer, example = build_constraint(name, 4).eval(), torch.randn(6, 4)
    if how == "trace":
        exported = torch.jit.trace(layer, example)
    else:
        rows = ({0: torch.export.Dim("rows")},)
        exported = torch.export.export(layer, (example,), dynamic_shapes=rows).module()
    z = torch.randn(10, 4)
    torch.testing.assert_close(exported(z), layer(z))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_half_precision_stays_one(name, dtype):
    layer = build_constraint(name, 4).to(dtype)
    z = codes(20, 4).to(dtype)
    for mode in (True, False):
        found = layer.train(mode)(z)
        assert found.dtype == dtype
        assert found.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_sizes_may_be_numbers_of_numpy(name):
    layer = build_constraint(name, np.int64(3))
    assert layer(codes(8)).shape == (8, 3)
    assert "3" in repr(layer)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_alone_pass_through(name):
    layer = build_constraint(name, 4).to("meta")
    assert layer(torch.empty(7, 4, device="meta")).shape == (7, 4)


@pytest.mark.parametrize("name", ["l1_norm", "unit_mean"])
@pytest.mark.parametrize("option", ["eps", "momentum"])
def test_options_of_another_type_are_told_what_to_be(name, option):
    for value in (None, "0.1", True):
        with pytest.raises(TypeError, match=f"{option} must be a number, got {value!r}"):
            CONSTRAINTS[name](2, **{option: value})


@pytest.mark.parametrize("name", ["l1_norm", "unit_mean", "sphere"])
def test_the_scale_of_the_raw_code_does_not_matter(name):
    z = codes()
    if name == "unit_mean":  # far to the left softplus is an exponential, and a shift is a factor
        u, moved = z - 28, z - 31
    else:
        u, moved = z, 7 * z
    layer = build_constraint(name, 3).double()
    torch.testing.assert_close(layer(moved), layer(u), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_degenerate_codes_stay_finite(name):
    layer = build_constraint(name, 3)
    u = torch.zeros(10, 3, requires_grad=True)
    z = layer(u)
    z.square().sum().backward()
    assert z.isfinite().all()
    assert u.grad.isfinite().all()
    huge = layer(torch.tensor([[-2e3, 0.0, 3e4], [1e3, -5e4, 0.0]]))
    assert huge.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_refuses_bad_codes(name):
    layer = build_constraint(name, 3)
    with pytest.raises(ValueError, match=r"n x 3.*\(5, 4\)"):
        layer(torch.rand(5, 4))
    with pytest.raises(ValueError, match="n x 3"):
        layer(torch.rand(5, 3, 2))
    if name in AVERAGING:
        with pytest.raises(ValueError, match="batch of"):
            layer(torch.rand(1, 3))
    assert layer.eval()(torch.rand(1, 3)).shape == (1, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build_constraint("unit_men", 2), ValueError, "did you mean 'unit_mean'"),
        (lambda: build_constraint("softmax", 2), ValueError, "possible: batch_norm, l1_norm"),
        (lambda: build_constraint("box", 0), ValueError, "at least 1"),
        (lambda: build_constraint("sphere", 1), ValueError, "at least 2.*'sphere'"),
        (lambda: CodeBox(2.0), TypeError, "integer"),
        (lambda: CodeL1Norm(2, eps=0.0), ValueError, "eps"),
        (lambda: CodeUnitMean(2, momentum=0.0), ValueError, "momentum"),
        (lambda: CodeL1Norm(2, momentum=1.5), ValueError, "momentum"),
        (lambda: EAEOptions(constraint="boxx"), ValueError, "did you mean 'box'"),
        (lambda: EAEOptions(coordinates="polar"), ValueError, "code, gaussian, got 'polar'"),
        (
            lambda: EAEOptions(constraint="sphere", coordinates="gaussian"),
            ValueError,
            "'sphere' must be one of code, got",
        ),
        (
            lambda: CodeSphere(2).entropy(torch.eye(2), coordinates="gaussian"),
            ValueError,
            "one of code",
        ),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- laws ---------------------------------------------------------------------------------------


def sample(name: str, d: int, n: int = 20_000) -> torch.Tensor:
    return build_constraint(name, d).distribution.sample(
        n, generator=torch.Generator().manual_seed(3)
    )


@pytest.mark.parametrize("name", NAMES)
def test_law_meets_its_own_constraint(name):
    z = sample(name, 2)
    noise = 5 / math.sqrt(len(z))  # five standard errors, none of which exceeds 1 / sqrt(n) times 1
    if name in ("batch_norm", "l1_norm"):
        assert z.mean(0).abs().max() < 1.5 * noise  # the Laplace law has a variance of 2
    if name == "batch_norm":
        assert (z.square().mean(0) - 1).abs().max() < 1.5 * noise
    elif name == "l1_norm":
        assert (z.abs().mean(0) - 1).abs().max() < noise
    elif name == "unit_mean":
        assert z.min() >= 0
        assert (z.mean(0) - 1).abs().max() < noise
    elif name == "box":
        assert z.abs().max() <= 1
    else:
        assert (z.norm(dim=1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [2, 5])
def test_sampler_moments_and_marginals(name, d):
    layer, z = build_constraint(name, d), sample(name, d)
    law, marginal = layer.distribution, layer.marginal
    assert z.shape == (20_000, d)
    assert law.dimension == d
    torch.testing.assert_close(z.mean(0), law.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(z.var(0), law.variance, atol=0, rtol=0.08)
    assert marginal.mean() == pytest.approx(law.mean[0].item(), abs=1e-12)
    assert marginal.var() == pytest.approx(law.variance[0].item(), abs=1e-12)
    for column in z.T:
        assert stats.kstest(column.numpy(), marginal.cdf).pvalue > 1e-4
    again = law.sample(20_000, generator=torch.Generator().manual_seed(3))
    assert torch.equal(again, z)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sphere"])
@pytest.mark.parametrize("d", [1, 3])
def test_entropy_of_the_law_is_that_of_its_marginals(name, d):
    layer = build_constraint(name, d)
    assert layer.distribution.entropy == pytest.approx(
        d * float(layer.marginal.entropy()), abs=1e-9
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_layer_estimates_the_entropy_of_its_law(name):
    # 20 samples of 2,000 points in the plane: the standard error is near 0.01 nats.
    layer = build_constraint(name, 2)
    parts = sample(name, 2, 40_000).split(2000)
    mean = sum(layer.entropy(part).item() for part in parts) / len(parts)
    assert mean == pytest.approx(layer.distribution.entropy, abs=0.1)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sphere"])
@pytest.mark.parametrize("d", [1, 8])
def test_in_gaussian_coordinates_the_law_is_standard_gaussian(name, d):
    layer, z = build_constraint(name, d), sample(name, d, 4000)
    u, log_stretch = layer.gaussian_coordinates(z)
    assert all(stats.kstest(column.numpy(), "norm").pvalue > 1e-4 for column in u.T)
    # The same in another way: scipy's quantiles, and the derivative by automatic differentiation.
    expected = stats.norm.ppf(layer.marginal.cdf(z.numpy()))
    torch.testing.assert_close(u, torch.as_tensor(expected), atol=1e-8, rtol=1e-6)
    z = z[:50].clone().requires_grad_()
    (slope,) = torch.autograd.grad(layer.gaussian_coordinates(z)[0].sum(), z)
    torch.testing.assert_close(log_stretch[:50], slope.log().sum(1))


@pytest.mark.parametrize("name", ["l1_norm", "unit_mean", "box"])
def test_in_gaussian_coordinates_the_bias_is_that_of_the_gaussian(name):
    # 40 samples of 100 points in 16 dimensions; one estimate has a standard deviation near 0.4.
    layer = build_constraint(name, 16)
    parts = sample(name, 16, 4000).split(100)
    found = [layer.entropy(z, coordinates="gaussian").item() for z in parts]
    bias = expected_gaussian_estimate(16, 100) - gaussian_entropy_bound(16)
    error = sum(found) / len(found) - layer.distribution.entropy - bias
    assert abs(error) < 4 * torch.tensor(found).std().item() / math.sqrt(len(found))


@pytest.mark.parametrize("name", ["unit_mean", "box"])
def test_in_gaussian_coordinates_corners_are_not_preferred(name):
    layer = build_constraint(name, 16)
    generator = torch.Generator().manual_seed(5)
    signs = torch.randn(100, 16, generator=generator, dtype=torch.float64).sign()
    u = 4 * signs + 0.3 * torch.randn(100, 16, generator=generator, dtype=torch.float64)
    corners, law = layer.double()(u), sample(name, 16, 100)
    assert layer.entropy(corners) > layer.entropy(law)
    own, other = (layer.entropy(z, coordinates="gaussian") for z in (corners, law))
    assert other > own + 1


@pytest.mark.parametrize("name", ["batch_norm", "l1_norm", "unit_mean", "box"])
def test_gradient_in_gaussian_coordinates(name):
    layer = build_constraint(name, 3).double()
    u = (codes(6) / 3 - 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: layer.entropy(layer(u), coordinates="gaussian"), u)


def test_gaussian_coordinates_are_finite_out_to_where_precision_ends():
    z = torch.tensor([[-1.0], [1.0], [1 - 2**-24], [0.0]])
    u, log_stretch = CodeBox(1).gaussian_coordinates(z)
    assert u.isfinite().all()
    assert log_stretch.isfinite().all()
    assert u[1].item() == -u[0].item() > 5
    far = torch.tensor([[600.0], [1e-30], [0.0]])
    assert CodeUnitMean(1).gaussian_coordinates(far)[0].isfinite().all()
    sides, _ = CodeL1Norm(1).gaussian_coordinates(torch.tensor([[-50.0], [50.0], [0.0]]))
    assert sides.flatten().tolist() == [-sides[1].item(), sides[1].item(), 0.0]


def alternatives(name: str) -> list[torch.Tensor]:
    """Codes of other shapes that meet the constraint."""
    generator = torch.Generator().manual_seed(4)
    normal = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
    flat = torch.rand(4000, 2, generator=generator, dtype=torch.float64)
    layer = build_constraint(name, 2).double()
    return [layer(u) for u in (normal, 6 * flat, normal**3, normal * torch.tensor([1.0, 0.3]))]


@pytest.mark.parametrize("name", ["l1_norm", "unit_mean", "box"])
def test_no_other_code_has_a_larger_entropy(name):
    layer = build_constraint(name, 2)
    best = layer.distribution.entropy
    for z in alternatives(name):
        assert layer.entropy(z).item() < best + 0.05


def test_the_sphere_measures_on_the_sphere():
    z = CodeSphere(3)(codes())
    assert CodeSphere(3).entropy(z, 2).item() == sphere_knn_entropy(z, 2).item()
    assert CodeBox(3).entropy(z, 2).item() == knn_entropy(z, 2).item()


# --- in a model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_eae_takes_a_constraint_by_name(name):
    options = EAEOptions(entropy_weight=0.5, constraint=name)
    model = build_model("eae", (1, 32, 32), 4, width=2, options=options)
    x = torch.rand(20, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    terms = model.loss(x)
    z = model.encode(x)
    assert terms["entropy"].item() == pytest.approx(model.code_norm.entropy(z).item(), abs=1e-3)
    terms["loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.code_distribution.name == build_constraint(name, 4).distribution.name
    assert rebuild_model(model.config).options == options


def test_files_from_before_the_option_are_files_of_the_same_model():
    model = build_model("eae", (1, 32, 32), 4, width=2)
    before = {**model.config, "options": {"entropy_weight": 1.0, "k": 1}}
    again = rebuild_model(before)
    assert isinstance(again.code_norm, CodeBatchNorm)
    assert again.config == model.config


def test_eae_takes_coordinates_by_name():
    options = EAEOptions(constraint="unit_mean", coordinates="gaussian")
    model = build_model("eae", (1, 32, 32), 4, width=2, options=options)
    x = torch.rand(20, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = model.code_norm.entropy(model.encode(x), coordinates="gaussian")
    assert model.loss(x)["entropy"].item() == pytest.approx(expected.item(), abs=1e-3)
    assert rebuild_model(model.config).options == options


def test_the_sphere_of_a_plain_normalisation():
    z = codes()
    torch.testing.assert_close(CodeSphere(3)(z), normalize(z, dim=1), rtol=0, atol=0)


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1e20, 1e37])
def test_codes_of_any_length_have_a_direction(size):
    u = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    expected = CodeSphere(3)(u)
    sized = (u * size).requires_grad_()
    z = CodeSphere(3)(sized)
    torch.testing.assert_close(z, expected, rtol=0, atol=1e-6)
    (gradient,) = torch.autograd.grad(z[:, 0].sum(), sized)
    u.requires_grad_()
    (plain,) = torch.autograd.grad(CodeSphere(3)(u)[:, 0].sum(), u)
    torch.testing.assert_close(gradient * size, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_codes_must_be_floats(name):
    layer = build_constraint(name, 2)
    for codes in (torch.ones(4, 2, dtype=torch.int64), torch.ones(4, 2, dtype=torch.complex64)):
        with pytest.raises(TypeError, match="floating point"):
            layer(codes)
    with pytest.raises(TypeError, match=r"torch\.Tensor"):
        layer([[0.0, 1.0]])
