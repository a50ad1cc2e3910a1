"""The accumulating metric: equal to the whole at once, careful with memory, clear in refusal."""

import importlib
import importlib.util
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eae_core.entropy import DuplicatePointsError, KnnEntropy, knn_entropy


def normal(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=8), k=st.integers(1, 3))
def test_any_split_gives_the_estimate_of_the_whole(sizes, k):
    z = normal(sum(sizes) + 5, 3, seed=len(sizes))
    metric = KnnEntropy(k)
    for batch in z.split([*sizes, 5]):
        metric.update(batch)
    assert len(metric) == len(z)
    assert metric.compute().item() == knn_entropy(z, k).item()


def test_it_goes_on_after_compute_and_begins_again_after_reset():
    z = normal(60, 2)
    metric = KnnEntropy()
    metric.update(z[:30])
    assert metric.compute().item() == metric.compute().item() == knn_entropy(z[:30]).item()
    metric.update(z[30:])
    assert metric.compute().item() == knn_entropy(z).item()
    metric.reset()
    assert len(metric) == 0
    metric.update(normal(20, 5))  # another d is another data set
    assert metric.compute().item() == knn_entropy(normal(20, 5)).item()


def test_rows_are_copied():
    buffer = normal(50, 2)
    expected = knn_entropy(buffer)
    metric = KnnEntropy()
    metric.update(buffer)
    buffer.zero_()
    assert metric.compute().item() == expected.item()


def test_no_graph_is_kept():
    z = normal(20, 2).requires_grad_()
    metric = KnnEntropy()
    metric.update(z * 2)
    assert not metric.compute().requires_grad


def test_rows_are_kept_as_they_come_or_as_asked():
    z = normal(40, 2, dtype=torch.float64)
    as_given, smaller = KnnEntropy(), KnnEntropy(dtype=torch.float32)
    for metric in (as_given, smaller):
        for batch in z.split(15):
            metric.update(batch)
    assert as_given.compute().dtype == torch.float64
    assert smaller.compute().item() == knn_entropy(z.float()).item()
    half = KnnEntropy(dtype=torch.float16)
    half.update(z)
    assert half.compute().item() == knn_entropy(z.half()).item()


def test_rows_are_kept_where_asked():
    metric = KnnEntropy(device="cpu")
    metric.update(normal(10, 2))
    assert metric.compute().device == torch.device("cpu")
    assert metric.device == torch.device("cpu")


def test_options_reach_the_estimate():
    z = normal(40, 2)
    z[1] = z[0]
    plain = KnnEntropy()
    plain.update(z)
    with pytest.raises(DuplicatePointsError, match="2 of 40"):
        plain.compute()
    floored = KnnEntropy(zero="floor", floor=1e-3, correction="log", engine="kdtree")
    floored.update(z)
    expected = knn_entropy(z, zero="floor", floor=1e-3, correction="log", engine="kdtree")
    assert floored.compute().item() == expected.item()


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (torch.tensor([[0.0, math.nan]]), ValueError, "1 of 1 rows of batch 1 hold NaN"),
        (torch.rand(4, 3), ValueError, r"batch 1 has d = 3, earlier batches have d = 2.*reset"),
        (torch.rand(4, 2, dtype=torch.float64), ValueError, r"batch 1 is torch.float64.*dtype="),
        (torch.ones(4, 2, dtype=torch.int64), TypeError, "batch 1 must be floating"),
        (torch.rand(4), ValueError, "batch 1 must be n x d"),
        (torch.rand(4, 0), ValueError, "batch 1 is empty"),
        ([[0.0, 1.0]], TypeError, r"batch 1 must be a torch\.Tensor"),
    ],
)
def test_a_refused_batch_is_named_and_changes_nothing(batch, error, message):
    metric = KnnEntropy()
    metric.update(normal(10, 2))
    with pytest.raises(error, match=message):
        metric.update(batch)
    assert len(metric) == 10
    assert metric.compute().item() == knn_entropy(normal(10, 2)).item()


def test_a_value_that_the_kept_dtype_cannot_hold_is_refused_at_update():
    metric = KnnEntropy(dtype=torch.float16)
    with pytest.raises(ValueError, match="1 of 2 rows of batch 0 hold NaN or infinity"):
        metric.update(torch.tensor([[1e6], [1.0]]))


def test_compute_needs_enough_rows():
    metric = KnnEntropy(k=3)
    with pytest.raises(ValueError, match="no rows yet"):
        metric.compute()
    metric.update(torch.empty(0, 2))
    with pytest.raises(ValueError, match="no rows yet"):
        metric.compute()
    metric.update(normal(3, 2))
    with pytest.raises(ValueError, match=r"1\.\.n-1 = 2"):
        metric.compute()


def test_refuses_bad_options_at_once():
    with pytest.raises(TypeError, match=r"torch\.float32"):
        KnnEntropy(dtype=torch.int32)
    with pytest.raises(ValueError, match="floor > 0"):
        KnnEntropy(zero="floor")
    with pytest.raises(TypeError, match="integer"):
        KnnEntropy(k=1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "at least 1"),
        ({"correction": "none"}, "digamma, log"),
        ({"correction": "log", "k": 2}, "k = 1 only"),
        ({"engine": "tree"}, "there are auto"),
    ],
)
def test_options_are_refused_before_any_batch(options, message):
    with pytest.raises(ValueError, match=message):
        KnnEntropy(**options)


def test_the_remedy_is_code_that_runs():
    metric = KnnEntropy()
    with pytest.raises(TypeError, match=r"batch 0 must be floating .* try batch\.float\(\)"):
        metric.update(torch.ones(3, 2, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"try torch\.as_tensor\(batch\)"):
        metric.update([[0.0]])
    with pytest.raises(TypeError, match="floating"):  # no rows, and still of the wrong kind
        metric.update(torch.ones(0, 2, dtype=torch.int64))


needs_torchmetrics = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None, reason="of the test extra"
)


@needs_torchmetrics
def test_it_is_a_metric_of_torchmetrics():
    KnnEntropy().as_metric()  # also next to a torchvision that does not load as it is
    torchmetrics = importlib.import_module("torchmetrics")
    z = normal(60, 2)
    pair = torchmetrics.MetricCollection(
        {"k1": KnnEntropy().as_metric(), "k3": KnnEntropy(3, correction="digamma").as_metric()}
    )
    for batch in z.split(17):
        pair.update(batch)
    found = pair.compute()
    assert found["k1"].item() == knn_entropy(z).item()
    assert found["k3"].item() == knn_entropy(z, 3).item()
    copied = pickle.loads(pickle.dumps(pair["k3"]))
    assert copied.compute().item() == knn_entropy(z, 3).item()
    pair.reset()
    with pytest.raises(ValueError, match="batch 0 must be n x d"):
        pair.update(torch.rand(3))
    metric = KnnEntropy().as_metric()
    assert metric(z[:20]).item() == knn_entropy(z[:20]).item()  # the value of the batch alone
    metric(z[20:])
    assert metric.compute().item() == knn_entropy(z).item()


@needs_torchmetrics
def test_a_metric_gathers_the_rows_of_all_ranks():
    """What torchmetrics does with ranks, without ranks: lists are joined before compute."""
    z = normal(60, 2)
    metric = KnnEntropy(2).as_metric(
        dist_sync_fn=lambda rows, group: [rows, z[40:]], distributed_available_fn=lambda: True
    )
    metric.update(z[:40])
    assert metric.compute().item() == knn_entropy(z, 2).item()
