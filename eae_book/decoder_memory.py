"""How much memory a decoder and its forward derivative take for one code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from eae_core.entropy.jacobian import Decode, derivable


@dataclass(frozen=True)
class Memory:
    """Bytes of the tensors that one code and one tangent make."""

    total: int  #: of all that more codes make larger
    constant: int  #: of the largest that they do not, a weight


def memory_of(decode: Decode, z: Tensor) -> Memory:
    """Measured by one code and by two: what doubles with the codes is no weight."""
    seen = []
    for rows in (1, 2):
        some = z[:1].expand(rows, -1).contiguous()
        with torch.no_grad(), derivable(), _Sizes() as mode:
            jvp(decode, (some,), (torch.ones_like(some),))
        seen.append(mode.sizes)
    fixed = [size for size in seen[0] if 2 * size not in seen[1]]
    return Memory(sum(size for size in seen[0] if 2 * size in seen[1]), max(fixed, default=0))


class _Sizes(TorchDispatchMode):
    """Bytes of every tensor that an operation gives back."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sizes: list[int] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
        self.sizes += [tensor.numel() * tensor.element_size() for tensor in tensors]
        return result
