"""One training in several processes: Fabric's strategies, and layers that see the whole batch.

Each process holds the model and a share of every batch; the gradient is averaged, as
DistributedDataParallel does it. Whatever needs the batch (normalisation, the entropy, a
discrepancy) sees all shares, with gradient, so that the weights are those of one process with the
whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from eae_core.distributed import Group, gather_rows
from eae_core.models import Autoencoder
from eae_core.training.guards import TrainingError
from eae_core.training.options import LoopOptions

Result = TypeVar("Result")


def make_fabric(
    options: LoopOptions, device: torch.device, model: nn.Module, loggers: Any = None
) -> Fabric:
    """Fabric for these options, its processes started.

    Under torchrun the numbers of devices and machines are torchrun's, unless the options say them.
    """
    devices, nodes = options.devices, options.num_nodes
    if devices * nodes == 1 and "LOCAL_WORLD_SIZE" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    several = devices * nodes > 1
    if several and options.batch_size < devices * nodes:
        raise ValueError(
            f"batch_size {options.batch_size} is smaller than the number of processes that share "
            f"a batch, {devices * nodes}"
        )
    one = [device.index] if device.type == "cuda" else 1
    stages = getattr(type(model), "start_epoch", Autoencoder.start_epoch)
    unused = options.strategy.endswith("_true") or stages is not Autoencoder.start_epoch
    fabric = Fabric(
        accelerator=device.type,
        devices=devices if several else one,
        num_nodes=nodes,
        # Running moments are equal in all processes already. A model that trains in stages leaves
        # some of its parameters alone, which DDP has to be told.
        strategy=DDPStrategy(find_unused_parameters=unused) if several else "auto",
        precision=options.precision,
        loggers=loggers,
    )
    if several:
        fabric.launch()
    return fabric


def is_first_process() -> bool:
    """Whether this process does what is done once, also before the others are started."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank() == 0
    ranks = (os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK", "NODE_RANK"))
    return all(rank == "0" for rank in ranks)


def on_first(fabric: Fabric, job: Callable[[], Result]) -> Result:
    """Do a job in the first process alone; all get its result, or raise its error."""
    if fabric.world_size == 1:
        return job()
    result: tuple[Any, Exception | None] = (None, None)
    if fabric.is_global_zero:
        try:
            result = job(), None
        except Exception as error:  # passed on: else the others would wait for ever
            result = None, error
    value, failure = fabric.broadcast(result)
    if failure is not None:
        raise failure
    return cast(Result, value)


def is_lost_process(error: BaseException) -> bool:
    """Whether an error says that another process of this training is gone."""
    if not dist.is_available() or not dist.is_initialized():
        return False
    return isinstance(error, dist.DistError) or "gloo" in str(error)


class ProcessLost(TrainingError):  # noqa: N818 (it reads as what happened)
    """Another process of this training ended, by an error of its own or from outside."""


class _WholeBatchNorm:
    """Batch normalisation by the moments of all shares of a batch, with gradient."""

    def forward(self: Any, x: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            normalized: Tensor = super().forward(x)  # type: ignore[misc]
            return normalized
        others = [axis for axis in range(x.ndim) if axis != 1]
        with torch.autocast(x.device.type, enabled=False):
            y = x if x.dtype == torch.float64 else x.float()
            var, mean = torch.var_mean(y, others, correction=0)  # each (c,)
            size = y.new_tensor([y.numel() / y.shape[1]])
            rows, _ = gather_rows(torch.cat([size, mean, var])[None], "world")
            sizes, means, variances = rows.split([1, len(mean), len(var)], 1)  # (ranks, 1 or c)
            share = sizes / sizes.sum()
            mean = (share * means).sum(0)
            var = (share * (variances + (means - mean).square())).sum(0)
            self._remember(mean.detach(), var.detach(), sizes.sum())
            shape = [1, -1] + [1] * (x.ndim - 2)
            y = (y - mean.view(shape)) * (var + self.eps).rsqrt().view(shape)
            if self.affine:
                y = y * self.weight.view(shape) + self.bias.view(shape)
        scaled: Tensor = y.to(x.dtype)
        return scaled

    @torch.no_grad()
    def _remember(self: Any, mean: Tensor, var: Tensor, size: Tensor) -> None:
        if self.running_mean is None:
            return
        self.num_batches_tracked.add_(1)
        newest = self.momentum or 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), newest)
        self.running_var.lerp_((var * size / (size - 1)).to(self.running_var.dtype), newest)


_KINDS: dict[type[nn.Module], type[nn.Module]] = {
    kind: type(f"WholeBatch{kind.__name__[5:]}", (_WholeBatchNorm, kind), {})
    for kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
}


@contextmanager
def whole_batch(model: nn.Module, group: Group) -> Iterator[None]:
    """Within the block all that needs the batch sees the shares of a group; None: its own alone.

    Modules with an attribute ``group`` (constraints, models, terms of this package) get it;
    PyTorch's batch normalisations become ours, because its own synchronised one refuses the CPU.
    Parameters, buffers and their names stay.
    """
    grouped = [(module, module.group) for module in model.modules() if hasattr(module, "group")]
    kinds = {whole: kind for kind, whole in _KINDS.items()} if group is None else _KINDS
    normal = [(module, type(module)) for module in model.modules() if type(module) in kinds]
    try:
        for module, _ in grouped:
            module.group = group  # type: ignore[assignment]
        for module, kind in normal:
            module.__class__ = kinds[kind]
        yield
    finally:
        for module, before in grouped:
            module.group = before
        for module, kind in normal:
            module.__class__ = kind
