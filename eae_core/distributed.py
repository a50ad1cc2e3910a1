"""Rows of every rank in one tensor, with gradient: what a loss over the whole batch needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

#: ranks that hold a batch together: a process group, or all of them, looked up when it is used
Group: TypeAlias = "dist.ProcessGroup | Literal['world'] | None"

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_MOST_AXES = 6  # of what is gathered


class _GatherRows(Function):
    """Forward: the rows of all ranks, in their order. Backward: the gradient of this rank's rows.

    Every rank's loss depends on every row, so the gradient of a row is the sum over ranks.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], rank: int, group: Any) -> Tensor:
        ctx.counts, ctx.rank, ctx.group = counts, rank, group
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded, group=group)
        return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = _SumRows.apply(gradients[0], ctx.counts, ctx.rank, ctx.group)  # type: ignore[no-untyped-call]
        return gradient, None, None, None


class _SumRows(Function):
    """The other way: the sum over ranks of what each has for this rank's rows.

    A function of its own, so that a gradient penalty can differentiate the gradient again.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], rank: int, group: Any) -> Tensor:
        ctx.counts, ctx.rank, ctx.group = counts, rank, group
        total = rows.contiguous().clone()
        dist.all_reduce(total, group=group)
        start = sum(counts[:rank])
        return total[start : start + counts[rank]].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = _GatherRows.apply(gradients[0], ctx.counts, ctx.rank, ctx.group)  # type: ignore[no-untyped-call]
        return gradient, None, None, None


def process_group(group: Group) -> dist.ProcessGroup:
    """The process group that ``"world"`` or a group stands for, now.

    Anything else is a TypeError, and without an initialised torch.distributed a RuntimeError.
    """
    if isinstance(group, str) and group != "world":
        raise TypeError(f"group must be a process group or 'world', got {group!r}")
    if not dist.is_initialized():
        raise RuntimeError(
            "a group needs torch.distributed: call init_process_group first (torchrun sets its "
            "variables), or leave group=None on one device"
        )
    found = dist.group.WORLD if group == "world" else group
    if found is None:
        raise TypeError("group must be a process group or 'world', got None")
    return found


def gather_rows(rows: Tensor, group: Group) -> tuple[Tensor, int]:
    """All rows of a group's ranks, and where this rank's begin. Numbers of rows may differ.

    A plain ``all_gather`` stops the gradient at the other ranks' rows. Here the gradient of a row
    is the sum of what all ranks ask of it.

    Args:
        rows: (n_r, ...) of this rank, n_r >= 0; the other dimensions and the dtype are the same on
            all ranks.
        group: the process group, or ``"world"``.

    Returns:
        (sum of n_r, ...) in the order of the ranks, and the index of this rank's first row.

    Raises:
        RuntimeError: torch.distributed is not initialised.
        TypeError, ValueError: some rank holds no tensor of floats, shapes or dtypes differ, or only
            some ask for a gradient; every rank raises.
    """
    group = process_group(group)
    rank, counts = dist.get_rank(group), [shape[0] for _, shape in _kinds(rows, group)]
    gathered: Tensor = _GatherRows.apply(rows, counts, rank, group)  # type: ignore[no-untyped-call]
    return gathered, sum(counts[:rank])


def rows_in_turn(rows: Tensor, group: Group) -> Iterator[tuple[int, Tensor]]:
    """The rows of each rank with its number, this rank's own first; without gradient.

    They go around a ring, so that no rank holds more than three shares of them at a time. Arguments
    and errors are those of :func:`gather_rows`; a rank without rows may hold any empty tensor.
    """
    group = process_group(group)
    kinds = _kinds(rows, group, empty_fit=True)
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    dtype, shape = max(kinds, key=lambda kind: kind[1][0])  # of the most rows
    share = torch.zeros(shape, dtype=_DTYPES[dtype], device=rows.device)
    if len(rows):
        share[: len(rows)] = rows.detach()
    before, after = (dist.get_global_rank(group, (rank + step) % size) for step in (-1, 1))
    for step in range(size):
        owner = (rank + step) % size
        yield owner, share[: kinds[owner][1][0]]
        if step + 1 < size:
            following = torch.empty_like(share)
            sent = dist.P2POp(dist.isend, share, before, group)
            received = dist.P2POp(dist.irecv, following, after, group)
            for work in dist.batch_isend_irecv([sent, received]):
                work.wait()
            share = following


def _kinds(
    rows: Tensor, group: dist.ProcessGroup, *, empty_fit: bool = False
) -> list[tuple[int, tuple[int, ...]]]:
    """Dtype, as a number, and shape of the rows of each rank, once all know that they fit."""
    # The same number of whole numbers on every rank, whatever it holds: else the ranks would hang.
    head = [-1] * (_MOST_AXES + 2)
    if isinstance(rows, Tensor) and rows.dtype in _DTYPES and 1 <= rows.ndim <= _MOST_AXES:
        wanted = int(rows.requires_grad and torch.is_grad_enabled())
        head[: 2 + rows.ndim] = [_DTYPES.index(rows.dtype), wanted, *rows.shape]
    on_gpu = dist.get_backend(group) == "nccl"
    device = rows.device if isinstance(rows, Tensor) else torch.device("cuda" if on_gpu else "cpu")
    mine = torch.tensor(head, device=device)
    heads = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(heads, mine, group=group)
    listed = [each.tolist() for each in heads]
    if wrong := [str(rank) for rank, each in enumerate(listed) if each[0] < 0]:
        raise TypeError(
            f"rows must be a tensor of floats with 1 to {_MOST_AXES} axes on every rank; on rank "
            f"{', '.join(wrong)} they are not"
        )
    kinds = [(each[0], tuple(size for size in each[2:] if size >= 0)) for each in listed]
    compared = [(dtype, shape[1:]) for dtype, shape in kinds if shape[0] or not empty_fit]
    if len(set(compared)) > 1:
        held = [(str(_DTYPES[dtype]), shape) for dtype, shape in kinds]
        raise ValueError(f"ranks hold rows of different shapes or dtypes: {held}")
    if len({each[1] for each in listed}) > 1:
        needs = [bool(each[1]) for each in listed]
        raise ValueError(f"some ranks ask for a gradient and others do not: {needs}")
    return kinds


def noise_like(x: Tensor, group: Group) -> Tensor:
    """Standard normal noise of the shape of x (n, ...), by torch's global generator.

    With a group every rank, whose generators are in the same state, draws that of the whole batch
    and keeps that of its own rows: together they have what one process has.
    """
    if group is None:
        return torch.randn_like(x)
    rows, start = gather_rows(x.detach(), group)
    return torch.randn_like(rows)[start : start + len(x)]
