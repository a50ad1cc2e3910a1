"""Running moments computed anew over the data, for weights that just stopped moving.

A running moment follows the training with a memory of ten batches: after few steps it still holds
its starting value, and after many it lags behind the weights. One pass over the data without an
update gives the moments of the weights as they are, as ``torch.optim.swa_utils.update_bn`` does it
for averaged weights; here for every layer of this package with a running average as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

FEW_STEPS = 100  # 0.9^100: until then some 1e-5 of the starting values are left


def averaging_layers(model: nn.Module) -> dict[str, Any]:
    """The layers with running averages, by name.

    Example:
        >>> list(averaging_layers(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))))
        ['1']
    """
    return {
        name: layer
        for name, layer in model.named_modules()
        if hasattr(layer, "momentum")
        and any(buffer.startswith("running_") for buffer, _ in layer.named_buffers(recurse=False))
    }


@torch.no_grad()
def recompute_moments(model: Any, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Replace all running averages by the means over these batches; return what they were.

    Args:
        model: with ``loss(x)``, in training mode.
        batches: x, each of the same size.
    """
    layers = averaging_layers(model)
    before = {
        f"{name}.{buffer}".removeprefix("."): value.clone()
        for name, layer in layers.items()
        for buffer, value in layer.named_buffers(recurse=False)
    }
    momenta = {name: layer.momentum for name, layer in layers.items()}
    try:
        for number, x in enumerate(batches, start=1):
            for layer in layers.values():
                layer.momentum = 1 / number  # so the running average is that of all so far
            model.loss(x)
    finally:
        for name, layer in layers.items():
            layer.momentum = momenta[name]
    return before
