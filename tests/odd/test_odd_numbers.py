"""What a caller may hand to an estimator, a metric or a layer: right, or refused in our words."""

import copy
import io
import math
import pickle
import traceback

import numpy as np
import pytest
import torch

from eae_book.constraints import CodeBox, CodeL1Norm, CodeSphere, CodeUnitMean
from eae_book.studies.gaussian_gap import gaussian_gap
from eae_core import CodeBatchNorm, evaluation
from eae_core import entropy as e
from eae_core.regularizers import REGULARIZERS, build_regularizer
from eae_core.regularizers.registry import regularizer_options

Z = torch.randn(40, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
F = Z.float()


def with_row(value):
    return torch.cat([Z, torch.full((1, 3), value, dtype=torch.float64)])


POINTS = {
    "no rows": torch.zeros(0, 3),
    "no columns": torch.zeros(3, 0),
    "nothing": torch.zeros(0, 0),
    "one": torch.zeros(1, 3),
    "one twice": torch.zeros(2, 3),
    "two": torch.tensor([[0.0, 0, 0], [1, 1, 1]]),
    "one axis": torch.ones(5),
    "three axes": torch.ones(4, 3, 2),
    "whole numbers": torch.arange(12).reshape(4, 3),
    "truth values": torch.ones(4, 3).bool(),
    "complex": F + 0j,
    "half": Z.half(),
    "bfloat16": Z.bfloat16(),
    "float8": F.to(torch.float8_e4m3fn),
    "infinity": with_row(math.inf),
    "nan": with_row(math.nan),
    "columns first": F.T.contiguous().T,
    "every other": torch.randn(80, 6, generator=torch.Generator().manual_seed(1))[::2, ::2],
    "expanded": F[:1].expand(10, 3),
    "a view with gradient": torch.randn(80, 3, requires_grad=True)[::2],
    "far from the origin": (1e3 * Z + 1e8).float(),
    "far in double": 1e-3 * Z + 1e8,
    "subnormal": (1e-42 * Z).float(),
    "a constant coordinate": F * torch.tensor([1.0, 1.0, 0.0]),
    "pairs that coincide": Z[torch.arange(40) // 2],
    "more dimensions than points": torch.randn(3, 50),
    "a parameter": torch.nn.Parameter(F),
    "negated": torch._neg_view(F),
    "sparse": F.to_sparse(),
    "without numbers": torch.randn(5, 3, device="meta"),
    "an array": Z.numpy(),
    "a list": [[1.0, 2.0]],
    "none": None,
}


def collected(z):
    metric = e.KnnEntropy()
    metric.update(z)
    return metric.compute()


def other(z):
    """Another sample of the same kind."""
    return (
        z + 1
        if isinstance(z, torch.Tensor)
        and z.layout == torch.strided
        and z.ndim == 2
        and (z.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64))
        else z
    )


FUNCTIONS = {
    "entropy": e.knn_entropy,
    "with a floor": lambda z: e.knn_entropy(z, 3, zero="floor", floor=1e-6),
    "divergence": lambda z: e.knn_kl_divergence(z, other(z)),
    "in batches": collected,
    "gap": gaussian_gap,
    "report": evaluation.gaussianity_report,
    "sliced": evaluation.sliced_wasserstein,
    "energy": evaluation.energy_distance,
    "frechet": lambda z: evaluation.frechet_distance(z, other(z)),
    "kernel": lambda z: evaluation.kernel_distance(z, other(z), subsets=2, subset_size=10),
    "precision": lambda z: evaluation.precision_recall(z, other(z), k=1),
    "gaussian": lambda z: evaluation.fit_density("gaussian", z).sample(5, seed=0),
}


def attempt(function, points):
    """What it returns; None where it refuses in words of this package."""
    try:
        return function(points)
    except (TypeError, ValueError) as error:
        if "/eae_" not in traceback.extract_tb(error.__traceback__)[-1].filename:
            raise
        return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_points_of_any_kind_are_taken_or_refused_in_our_words(function, points):
    value = attempt(FUNCTIONS[function], POINTS[points])
    assert not isinstance(value, torch.Tensor) or value.isfinite().all()


LAYERS = (CodeBatchNorm, CodeSphere, CodeL1Norm, CodeBox, CodeUnitMean)


@pytest.mark.parametrize("points", [name for name in POINTS if name != "without numbers"])
@pytest.mark.parametrize("layer", LAYERS)
def test_codes_of_any_kind_are_constrained_or_refused(layer, points):
    z = POINTS[points]
    d = z.shape[1] if isinstance(z, torch.Tensor) and z.ndim == 2 and z.shape[1] else 3
    code = attempt(layer(d), z)
    if code is None:
        return
    assert code.shape == z.shape
    if points not in ("nan", "infinity"):  # which training notices, layer by layer
        assert code.float().isfinite().all()


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_are_copied_and_kept_in_every_way(layer):
    made = layer(3)
    made(F)
    made.eval()
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    copies = (
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),
        torch.load(file, weights_only=False),
    )
    for copied in copies:
        assert torch.equal(copied(F), made(F))
    with torch.inference_mode():
        assert made(torch.ones(4, 3)).shape == (4, 3)
    assert made(torch.zeros(0, 3)).shape == (0, 3)
    assert torch.vmap(made)(torch.randn(2, 4, 3)).shape == (2, 4, 3)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_terms_are_copied_kept_and_differentiated_in_every_way(name):
    few = {"slices": 8} if "slices" in regularizer_options(name) else {}
    few |= {"batches": 8} if "batches" in regularizer_options(name) else {}
    term, results = build_regularizer(name, **few), []
    file = io.BytesIO()
    torch.save(term, file)
    file.seek(0)
    same = (term, pickle.loads(pickle.dumps(term)), torch.load(file, weights_only=False))
    for copied in same:
        torch.manual_seed(0)
        results.append(copied(F).item())
    torch.manual_seed(0)
    with torch.inference_mode():
        results.append(term(F.clone()).item())
    assert len(set(results)) == 1
    z = F.clone().requires_grad_()
    torch.manual_seed(0)
    (expected,) = torch.autograd.grad(term(z), z)
    torch.manual_seed(0)
    torch.testing.assert_close(torch.func.grad(term)(F), expected)


NEIGHBOURS = [True, 2.0, np.float64(2), "2", None, 0, -1, 40, 10**30, torch.tensor(2), np.True_]


@pytest.mark.parametrize("k", NEIGHBOURS, ids=repr)
def test_neighbours_that_are_none(k):
    with pytest.raises((TypeError, ValueError), match="k must"):
        e.knn_entropy(Z, k)


@pytest.mark.parametrize("floor", [0, -1, math.nan, math.inf, "a", True], ids=repr)
def test_floors_that_are_none(floor):
    with pytest.raises((TypeError, ValueError), match="floor"):
        e.knn_entropy(Z, zero="floor", floor=floor)


def test_second_derivatives_are_those_of_the_full_matrix():
    z = Z[:5]
    apart = ~torch.eye(5, dtype=torch.bool)

    def full(z):
        differences = (z[:, None] - z)[apart].reshape(5, 4, 3)
        return 3 * differences.square().sum(-1).min(1).values.log().mean() / 2

    found, expected = (torch.autograd.functional.hessian(f, z) for f in (e.knn_entropy, full))
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
