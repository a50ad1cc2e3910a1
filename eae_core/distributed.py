"""Rows of every rank in one tensor, with gradient: what a loss over the whole batch needs."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function


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
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient, group=ctx.group)
        start = sum(ctx.counts[: ctx.rank])
        return gradient[start : start + ctx.counts[ctx.rank]], None, None, None


def gather_rows(rows: Tensor, group: dist.ProcessGroup) -> tuple[Tensor, int]:
    """All rows of a group's ranks, and where this rank's begin. Numbers of rows may differ.

    A plain ``all_gather`` stops the gradient at the other ranks' rows, and the loss then pulls each
    row by half of its forces. Here the gradient of a row is the sum of what all ranks ask of it.

    Args:
        rows: (n_r, ...) of this rank, n_r >= 0; the other dimensions are the same on all ranks.
        group: the process group, e.g. ``torch.distributed.group.WORLD``.

    Returns:
        (sum of n_r, ...) in the order of the ranks, and the index of this rank's first row.

    Raises:
        RuntimeError: torch.distributed is not initialised.
        ValueError: the other dimensions differ between ranks; every rank raises.

    Example:
        >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        >>> gather_rows(torch.ones(2, 3), dist.group.WORLD)[0].shape
        torch.Size([2, 3])
        >>> dist.destroy_process_group()
    """
    if not dist.is_initialized():
        raise RuntimeError(
            "a group needs torch.distributed: call init_process_group first (torchrun sets its "
            "variables), or leave group=None on one device"
        )
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    shapes = [torch.zeros(rows.ndim, dtype=torch.int64, device=rows.device) for _ in range(size)]
    dist.all_gather(shapes, torch.tensor(rows.shape, device=rows.device), group=group)
    listed = [tuple(shape.tolist()) for shape in shapes]
    if len({shape[1:] for shape in listed}) > 1:
        raise ValueError(f"ranks hold rows of different shapes: {listed}")
    counts = [shape[0] for shape in listed]
    gathered: Tensor = _GatherRows.apply(rows, counts, rank, group)  # type: ignore[no-untyped-call]
    return gathered, sum(counts[:rank])


def noise_like(x: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    """Standard normal noise of the shape of x (n, ...), by torch's global generator.

    With a group every rank, whose generators are in the same state, draws that of the whole batch
    and keeps that of its own rows: together they have what one process has.

    Example:
        >>> noise_like(torch.ones(2, 3), None).shape
        torch.Size([2, 3])
    """
    if group is None:
        return torch.randn_like(x)
    rows, start = gather_rows(x.detach(), group)
    return torch.randn_like(rows)[start : start + len(x)]
