"""Two ranks of unequal size score a batch as one process does: value and gradient of every term."""

import os
import pickle

import pytest
import torch
import torch.distributed as dist
from rank_processes import rank_context
from term_table import NAMES, SLICED, codes, terms

from eae_core.regularizers import RadialLoss, build_regularizer, calibrated, radial_loss

COUNTS, D = (9, 6), 3


def encoder() -> torch.nn.Linear:
    torch.manual_seed(1)
    return torch.nn.Linear(D, D, dtype=torch.float64)


def scored(rows: torch.Tensor, group: object, seed: int) -> dict:
    """Value of every term through an encoder, and the encoder's gradient."""
    options = {} if group is None else {"group": group}
    all_terms = terms(D)
    drawn = {f"{name} drawn": build_regularizer(name, slices=5, **options) for name in SLICED}
    drawn["calibrated"] = calibrated(radial_loss, batches=8, group=group)
    drawn["calibrated by its term's group"] = calibrated(RadialLoss(group=group), batches=8)
    both = calibrated(RadialLoss(), batches=8)  # as a training in several processes leaves it
    both.group = both.term.group = group
    drawn["calibrated and its term"] = both
    drawn["sum"] = RadialLoss(reduction="sum", group=group)
    results = {}
    for name, term in (all_terms | drawn).items():
        network = encoder()
        z = network(rows)
        torch.manual_seed(seed)
        value = term(z, **options) if name in all_terms else term(z)
        value.backward()
        results[name] = (value.item(), network.weight.grad)
    return results


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = dist.FileStore(f"{folder}/store", len(COUNTS))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=len(COUNTS))
    try:
        rows = codes(sum(COUNTS), D).split(COUNTS)[rank]
        found = scored(rows, dist.group.WORLD, seed=rank)  # ranks draw different directions
        with pytest.raises(ValueError, match="1 of 15 rows of z hold NaN"):
            build_regularizer("energy", group=dist.group.WORLD)(
                rows.index_fill(0, torch.tensor([0]), float("nan")) if rank else rows
            )
    finally:
        dist.destroy_process_group()
    with open(f"{folder}/{rank}", "wb") as file:
        pickle.dump(found, file)


@pytest.mark.slow
def test_two_ranks_are_one_process(tmp_path):
    context = rank_context()
    processes = [context.Process(target=work, args=(rank, str(tmp_path))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    parts = [pickle.loads((tmp_path / str(rank)).read_bytes()) for rank in range(2)]
    whole = scored(codes(sum(COUNTS), D), None, seed=0)  # the first rank's directions hold
    assert len(whole) == len(NAMES) + len(SLICED) + 4
    for name, (value, gradient) in whole.items():
        for part in parts:
            assert part[name][0] == pytest.approx(value, rel=1e-9, abs=1e-12), name
        averaged = sum(part[name][1] for part in parts) / 2  # as DDP does
        error = (averaged - gradient).norm() / gradient.norm()
        assert error < 1e-9, name
