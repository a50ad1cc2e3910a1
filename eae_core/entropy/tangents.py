"""Shorter ways for tangents through the layers that decoders are made of.

Torch's forward derivative of a layer is that of code and weights together: weights that stand still
get tangents of zeros, which are multiplied all the same, and what does not move is copied to the
size of what does. The layers here take tangents through one operation each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Along = Callable[[Tensor], Tensor]  # from the tangent of the input to that of the output


class ShortTangents(TorchFunctionMode):
    """Linear layers, convolutions, ReLU, and batch normalisation in evaluation mode.

    What is computed is the same, in less time. All other operations, and layers whose weights move
    with the code, are left to torch.

    Example:
        >>> layer, x = torch.nn.Linear(2, 1, bias=False), torch.zeros(1, 2)
        >>> _ = torch.nn.init.ones_(layer.weight)
        >>> with torch.no_grad(), ShortTangents():
        ...     torch.func.jvp(layer, (x,), (torch.ones(1, 2),))[1]
        tensor([[2.]])
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        rule = RULES.get(func)
        if rule is None or not (args or "input" in named):
            return func(*args, **named)
        x, rest = (args[0], args[1:]) if args else (named.pop("input"), ())
        primal, tangent = forward_ad.unpack_dual(x)
        if tangent is None or any(map(_moves, (*rest, *named.values()))):
            return func(x, *rest, **named)
        along = rule(primal, *rest, **named)
        if along is None:
            return func(x, *rest, **named)
        return forward_ad.make_dual(func(primal, *rest, **named), along(tangent))


def _moves(value: object) -> bool:
    return isinstance(value, Tensor) and forward_ad.unpack_dual(value).tangent is not None


def _linear(layer: Callable[..., Tensor]) -> Callable[..., Along]:
    """Without its bias, a linear layer is its own derivative."""

    def rule(x: Tensor, weight: Tensor, bias: object = None, *rest: Any, **named: Any) -> Along:
        return lambda tangent: layer(tangent, weight, None, *rest, **named)

    return rule


def _relu(x: Tensor, inplace: bool = False) -> Along | None:
    return None if inplace else lambda tangent: tangent * (x > 0).to(tangent.dtype)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Along | None:
    if training or running_var is None:
        return None
    slope = torch.rsqrt(running_var + eps)
    slope = slope if weight is None else slope * weight
    slope = slope.view(-1, *[1] * (x.ndim - 2))
    return lambda tangent: tangent * slope


RULES: Mapping[Callable[..., Any], Callable[..., Along | None]] = {
    F.linear: _linear(F.linear),
    F.conv2d: _linear(F.conv2d),
    F.conv_transpose2d: _linear(F.conv_transpose2d),
    F.batch_norm: _batch_norm,
    F.relu: _relu,
}
