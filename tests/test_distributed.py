"""Ranks together score one batch as one process does: value, gradient and moments."""

import os
import pickle
from functools import cache

import pytest
import torch
import torch.distributed as dist
from rank_processes import rank_context

from eae_core import CodeBatchNorm, knn_entropy
from eae_core.distributed import gather_rows
from eae_core.entropy import DuplicatePointsError, KnnEntropy

D = 3
# Jobs, and how many rows each rank holds in each.
ASKED = {
    "score": [[10, 10], [13, 4], [6, 0, 9, 5]],
    "collect": [[10, 10], [13, 1], [6, 0, 9, 5]],
    "refuse": [[5, 5]],
}


def codes(n: int) -> torch.Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def encoder() -> torch.nn.Linear:
    torch.manual_seed(1)
    return torch.nn.Linear(D, D, dtype=torch.float64)


def work(rank: int, size: int, folder: str) -> None:
    """All that is asked of so many ranks, one after the other: starting them takes longest."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = dist.FileStore(f"{folder}/store", size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    jobs = {"score": score, "collect": collect, "refuse": refuse}
    results = {}
    try:
        for job, all_counts in ASKED.items():
            for counts in (counts for counts in all_counts if len(counts) == size):
                rows = codes(sum(counts)).split(counts)[rank]
                results[job, str(counts)] = jobs[job](rows, rank)
    finally:
        dist.destroy_process_group()
    with open(f"{folder}/{rank}", "wb") as file:
        pickle.dump(results, file)


def score(rows, rank):
    """Each rank's part of the loss through a shared encoder, and of the encoder's gradient."""
    group = dist.group.WORLD
    network, norm = encoder(), CodeBatchNorm(D, group=group).double()
    part = knn_entropy(norm(network(rows)), 2, group=group)
    part.backward()
    z = norm(network(rows)).detach()
    local = knn_entropy(z, 2, reduction="none", group=group)
    return {
        "sum": knn_entropy(z, 2, reduction="sum", group=group).item(),
        "part": part.item(),
        "gradient": network.weight.grad,
        "local": local,
        "variance": norm.running_var,
    }


def refuse(rows, rank):
    bad = {
        "another d": rows[:, : D - rank],
        "another dtype": rows.float() if rank else rows,
        "another number of axes": rows[:, 0] if rank else rows,
        "no tensor on one rank": None if rank else rows,
        "whole numbers on one rank": rows.long() if rank else rows,
        "a gradient on one rank": rows.clone().requires_grad_(rank == 1),
        "one row in all": rows[: 1 - rank],
        "NaN on one rank": rows * (float("nan") if rank else 1),
        "duplicates on one rank": torch.cat([rows, rows[:1]]) if rank else rows,
    }
    messages = {}
    for name, z in bad.items():
        with pytest.raises((ValueError, TypeError)) as caught:
            knn_entropy(z, group=dist.group.WORLD)
        messages[name] = str(caught.value)
    return messages


def collect(rows, rank):
    """What each rank says of a data set that they hold together."""
    found = {}
    for name, dtype, k in (("float64", torch.float64, 1), ("float32", torch.float32, 3)):
        metric = KnnEntropy(k, group="world")
        for batch in rows.to(dtype).split(4):
            metric.update(batch)
        found[name] = metric.compute().item()
        found[f"{name}, again"] = metric.compute().item()
    doubled = KnnEntropy(group="world")
    doubled.update(torch.cat([rows, codes(1)]))  # on every rank, and in the rows of the first
    with pytest.raises(DuplicatePointsError) as caught:
        doubled.compute()
    found["duplicates"] = str(caught.value)
    floored = KnnEntropy(zero="floor", floor=0.5, correction="log", group="world")
    floored.update(torch.cat([rows, codes(1)]))
    found["floor"] = floored.compute().item()
    few = KnnEntropy(1000, group="world")
    few.update(rows)
    with pytest.raises(ValueError, match="1..n-1") as refused:  # noqa: RUF043
        few.compute()
    found["k"] = str(refused.value)
    return found


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each rank found in a job, when so many rows lay on each."""

    @cache
    def run(size: int) -> list[dict]:
        folder, context = tmp_path_factory.mktemp("ranks"), rank_context()
        processes = [
            context.Process(target=work, args=(rank, size, str(folder))) for rank in range(size)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
            assert process.exitcode == 0
        return [pickle.loads((folder / str(rank)).read_bytes()) for rank in range(size)]

    return lambda job, counts: [found[job, str(counts)] for found in run(len(counts))]


@pytest.mark.slow
@pytest.mark.parametrize("counts", ASKED["score"], ids=str)
def test_ranks_agree_with_one_process(counts, together):
    parts = together("score", counts)
    network, norm = encoder(), CodeBatchNorm(D).double()
    whole = knn_entropy(norm(network(codes(sum(counts)))), 2)
    whole.backward()
    mean = sum(part["part"] for part in parts) / len(counts)
    assert mean == pytest.approx(whole.item(), abs=1e-12)
    averaged = sum(part["gradient"] for part in parts) / len(counts)  # as DDP does
    torch.testing.assert_close(averaged, network.weight.grad, rtol=1e-9, atol=1e-12)
    local = torch.cat([part["local"] for part in parts])
    assert local.mean().item() == pytest.approx(whole.item(), abs=1e-12)
    total = sum(part["sum"] for part in parts) / len(counts)
    assert total == pytest.approx(sum(counts) * whole.item(), abs=1e-10)
    again = CodeBatchNorm(D).double()
    for _ in range(2):
        again(network(codes(sum(counts))))
    for part in parts:
        torch.testing.assert_close(part["variance"], again.running_var)


@pytest.mark.slow
def test_ranks_refuse_together(together):
    """What is wrong on one rank is an error on each: none is left waiting for another."""
    first, second = together("refuse", ASKED["refuse"][0])
    assert first == second
    assert "different shapes" in first["another d"]
    assert "n = 1 points" in first["one row in all"]
    assert "on rank 1 they are not" in first["no tensor on one rank"]
    assert "on rank 1 they are not" in first["whole numbers on one rank"]
    assert "ask for a gradient" in first["a gradient on one rank"]
    assert "5 of 10 rows of z hold NaN" in first["NaN on one rank"]
    assert "2 of 11 points coincide" in first["duplicates on one rank"]


@pytest.mark.slow
@pytest.mark.parametrize("counts", ASKED["collect"], ids=str)
def test_a_data_set_that_ranks_hold_together(counts, together):
    whole, (first, *others) = codes(sum(counts)), together("collect", counts)
    assert others == [first] * len(others)
    assert first["float64"] == first["float64, again"]
    assert first["float64"] == pytest.approx(knn_entropy(whole).item(), abs=1e-12)
    assert first["float32"] == pytest.approx(knn_entropy(whole.float(), 3).item(), abs=1e-5)
    doubled = torch.cat([whole, *[codes(1)] * len(counts)])
    with pytest.raises(DuplicatePointsError) as caught:
        knn_entropy(doubled)
    assert first["duplicates"] == str(caught.value)
    expected = knn_entropy(doubled, zero="floor", floor=0.5, correction="log")
    assert first["floor"] == pytest.approx(expected.item(), abs=1e-12)
    assert f"n = {sum(counts)} points" in first["k"]


def test_a_group_needs_torch_distributed():
    with pytest.raises(RuntimeError, match="init_process_group"):
        gather_rows(torch.ones(2, 2), None)
