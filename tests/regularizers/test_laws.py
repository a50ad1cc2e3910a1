"""What holds of every term: rotation, order, gradient, precision, compilation, errors."""

import copy

import pytest
import torch
from term_table import NAMES, SLICED, codes, directions, terms

from eae_core import regularizers as r
from eae_core.entropy import DuplicatePointsError
from eae_core.regularizers import REGULARIZERS, build_regularizer
from eae_core.regularizers.registry import regularizer_options

D = 6
REFUSING = ("knn_entropy", "entropy_radial", "koleo")  # duplicated codes
NOT_ROTATED = ("visreg", "covariance vicreg")  # they look at coordinates


@pytest.mark.parametrize("name", NAMES)
def test_order_does_not_matter(name):
    z = codes(40, D)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    term = terms(D)[name]
    torch.testing.assert_close(term(z[order]), term(z), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_ROTATED])
def test_rotation_does_not_matter(name):
    z = codes(40, D)
    rotation = torch.linalg.qr(codes(D, D, seed=2))[0]
    term, rotated = terms(D)[name], terms(D)[name]
    if name in SLICED:  # directions turn with the codes
        rotated.keywords["directions"] = rotation.T @ directions(D)
    torch.testing.assert_close(rotated(z @ rotation), term(z), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "visreg"])
def test_gradient(name):
    z = codes(12, 3).requires_grad_()
    assert torch.autograd.gradcheck(terms(3)[name], z)


def test_visreg_has_the_gradient_of_its_parts():
    """Its division by the deviation has no gradient, so it is held fixed here."""
    z = codes(12, 3).requires_grad_()
    deviation = z.detach().std(0, correction=0)

    def held(z):
        scale = (1 - z.std(0, correction=0)).square().mean()
        y = (z - z.mean(0)) / (deviation + 1e-4)
        quantiles = torch.special.ndtri(torch.arange(1, 13, dtype=torch.float64) / 13)
        w = directions(3) / directions(3).norm(dim=0)
        shape = ((y @ w).sort(dim=0).values - quantiles[:, None]).square().mean()
        return scale + shape + z.mean(0).square().mean()

    (expected,) = torch.autograd.grad(held(z), z)
    (found,) = torch.autograd.grad(terms(3)["visreg"](z), z)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_down_the_gradient_lowers_it(name):
    z = codes(40, D).requires_grad_()
    term = terms(D)[name]
    (gradient,) = torch.autograd.grad(term(z), z)
    step = 1e-4 / gradient.norm()
    assert term(z - step * gradient) < term(z)


@pytest.mark.parametrize("name", NAMES)
def test_autocast_does_not_reach_it(name):
    z, term = codes(40, D, dtype=torch.float32), terms(D)[name]
    outside = term(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = term(z)
        half = term(z.bfloat16())
    assert inside.dtype == half.dtype == torch.float32
    assert inside.item() == outside.item()
    assert half.item() == term(z.bfloat16().float()).item()


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_is_double_up_to_rounding(name):
    z = codes(40, D, dtype=torch.float32)
    double = terms(D)[name](z.double())
    torch.testing.assert_close(terms(D)[name](z).double(), double, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_module_is_its_function_and_holds_no_state(name):
    torch.manual_seed(0)
    few = {"slices": 8} if "slices" in regularizer_options(name) else {}
    few |= {"batches": 8} if "batches" in regularizer_options(name) else {}
    module = build_regularizer(name, **few)
    z = codes(40, D)
    torch.manual_seed(1)
    value = module(z)
    torch.manual_seed(1)
    assert getattr(r, f"{name}_loss")(z, **few).item() == value.item()
    assert not module.state_dict()
    copied = copy.deepcopy(module)
    torch.manual_seed(1)
    assert copied(z).item() == value.item()
    assert all(f"{option}={chosen!r}" in repr(module) for option, chosen in few.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_sum_is_so_many_times_the_mean(name):
    """So that beside an error summed over the batch a weight is what it is beside a mean."""
    z, term = codes(12, 3), terms(3)[name]
    torch.testing.assert_close(term(z, reduction="sum"), 12 * term(z, reduction="mean"))
    with pytest.raises(ValueError, match="reduction must be one of mean, sum"):
        term(z, reduction="batchmean")


@pytest.mark.parametrize("name", REGULARIZERS)
def test_a_module_has_the_reduction_of_its_function(name):
    few = {"batches": 8} if "batches" in regularizer_options(name) else {}
    z, values = codes(12, 3), []
    for reduction in ("mean", "sum"):
        torch.manual_seed(0)
        module = build_regularizer(name, reduction=reduction, **few)
        assert f"reduction={reduction!r}" in repr(module)
        values.append(module(z).item())
    assert values[1] == pytest.approx(12 * values[0], rel=1e-12)


def test_the_entropy_of_a_batch_has_a_term_for_each_row():
    z = codes(12, 3)
    local = r.knn_entropy_loss(z, reduction="none")
    assert local.shape == (12,)
    torch.testing.assert_close(local.mean(), r.knn_entropy_loss(z))


@pytest.mark.parametrize("name", ["sigreg", "visreg", "sliced_wasserstein"])
def test_directions_are_drawn_anew(name):
    module = build_regularizer(name, slices=8)
    z = codes(40, D)
    assert module(z).item() != module(z).item()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_torch_compile_has_one_graph(name):
    """aot_eager takes value and gradient apart as a compiler does, without needing one."""
    torch._dynamo.reset()
    term = terms(D)[name]
    compiled = torch.compile(term, fullgraph=True, backend="aot_eager", dynamic=False)
    z = codes(40, D, dtype=torch.float32).requires_grad_()
    expected, found = term(z), compiled(z)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, z)[0] for value in (expected, found)]
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("name", NAMES)
def test_impossible_codes(name):
    term = terms(D)[name]
    with pytest.raises(TypeError, match=r"torch\.as_tensor"):
        term([[0.0, 1.0]])
    with pytest.raises(TypeError, match=r"floating point.*\.float\(\)"):
        term(torch.ones(5, D, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"n x d, got shape \(5,\)"):
        term(torch.ones(5))
    with pytest.raises(ValueError, match=r"1 rows .* larger batch|NaN"):
        term(torch.ones(1, D))
    with pytest.raises(ValueError, match="3 of 5 rows of z hold NaN"):
        term(torch.tensor([[float("nan")] * D] * 3 + [[0.0] * D] * 2))


@pytest.mark.parametrize("name", REFUSING)
def test_duplicates_are_refused_or_floored(name):
    term = terms(D)[name]
    z = codes(20, D)
    z[3] = z[4]
    with pytest.raises(DuplicatePointsError, match=r"2 .*floor=1e-6"):
        term(z)
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(term(z, floor=1e-6), z)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(REFUSING)])
def test_duplicates_have_a_finite_gradient(name):
    z = codes(20, D)
    z[3] = z[4]
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(terms(D)[name](z), z)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: r.entropy_radial_loss(z, radial_weight=-1), "radial_weight must be finite"),
        (lambda z: r.koleo_loss(z, k=0), "k must be at least 1"),
        (lambda z: r.koleo_loss(z, k=20), "needs at least 21: use a larger batch"),
        (lambda z: r.knn_entropy_loss(z, k=20), "needs at least 21: use a larger batch"),
        (lambda z: r.koleo_loss(z, floor=0.0), "floor must be above 0"),
        (lambda z: r.sigreg_loss(z, knots=1), "knots must be at least 2"),
        (lambda z: r.sigreg_loss(z, slices=0), "slices must be at least 1"),
        (lambda z: r.sigreg_loss(z, directions=torch.ones(4, 2)), "directions must be d x slices"),
        (lambda z: r.visreg_loss(z, eps=0.0), "eps must be above 0"),
        (lambda z: r.wristband_loss(z, batches=1), "batches at least 2"),
        (lambda z: r.cramer_wold_loss(z, gamma=0.0), "gamma must be above 0"),
        (lambda z: r.cramer_wold_loss(z, form="fast"), "asymptotic, exact, got 'fast'"),
        (lambda z: r.cramer_wold_loss(z[:, :1]), 'form="exact" for d = 1'),
        (lambda z: r.mmd_loss(z, scales=(0.0,)), "scales must be above 0"),
        (lambda z: r.covariance_loss(z, form="full"), "log_det, vicreg, got 'full'"),
        (lambda z: r.covariance_loss(z[:D]), 'more than d rows, or form="vicreg"'),
        (lambda z: r.covariance_loss(z[:, :1].expand(-1, 2)), "some coordinates depend on others"),
    ],
)
def test_impossible_options(call, message):
    with pytest.raises(ValueError, match=message):
        call(codes(20, D))


def test_unknown_names_are_answered_with_what_there_is():
    with pytest.raises(ValueError, match="did you mean 'cramer_wold'"):
        build_regularizer("cramer-wolt")
    with pytest.raises(TypeError, match="has no option 'k'; it has slices"):
        build_regularizer("sigreg", k=3)


def test_the_room_imports_only_what_is_below_it():
    import ast
    from pathlib import Path

    allowed = ("torch", "scipy.special", "eae_core.entropy", "eae_core.neighbors")
    allowed += ("eae_core.distributed", "eae_core.errors", "eae_core.regularizers", "numpy")
    standard = {"math", "contextlib", "functools", "typing", "collections.abc", "inspect"}
    for path in Path(r.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom) and node.module == "scipy":
                names = [f"scipy.{alias.name}" for alias in node.names]
            for name in names:
                fine = name in standard or name == "__future__" or name.startswith(allowed)
                assert fine, f"{path.name} imports {name}"


@pytest.mark.parametrize("name", REGULARIZERS)
def test_its_help_names_every_option(name):
    """Those that all terms share are told once, and every docstring has them."""
    text = getattr(r, f"{name}_loss").__doc__
    options = ["z", *regularizer_options(name)]
    assert [option for option in options if f"    {option}: " not in text] == []
