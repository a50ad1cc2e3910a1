"""What all terms share: the whole batch in full precision, directions, quantiles, pairs."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from inspect import signature
from typing import Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar, cast, get_args

import torch
import torch.distributed as dist
from scipy import special
from torch import Tensor, nn

from eae_core.distributed import Group, gather_rows, process_group
from eae_core.entropy.samples import check_sample, no_autocast
from eae_core.neighbors import Engine
from eae_core.neighbors.search import lengths

BatchReduction = Literal["mean", "sum"]
Options = ParamSpec("Options")
Formula: TypeAlias = Callable[Concatenate[Tensor, Options], Tensor]  # of codes z (n, d)
Key = ParamSpec("Key")
Result = TypeVar("Result")

#: what :func:`term` adds to the arguments that a docstring names
ARGUMENTS = """\
        z: (n, d) codes, more than one; a ValueError or TypeError if they are no finite floats.
        reduction: "mean", or "sum" for n times that: a term is no mean over rows, but beside an
            error that is summed over the batch its weight then means what it means beside a mean.
        group: ranks that hold the batch together.
"""


def term(formula: Formula[Options]) -> Formula[Options]:
    """Make a term of a formula: it is given the codes of all ranks, and may leave the sum to this.

    The whole batch comes in float32 or better, with more rows than ``k`` where there is such an
    option; ``reduction="sum"`` multiplies what comes back.
    """

    @wraps(formula)
    def of_the_batch(z: Tensor, *args: Options.args, **options: Options.kwargs) -> Tensor:
        reduction, group = options.get("reduction", "mean"), cast(Group, options.get("group"))
        if reduction not in get_args(BatchReduction):
            raise ValueError(f"reduction must be one of mean, sum, got {reduction!r}")
        z = whole_batch(z, group=group, least=cast(int, options.get("k", 1)) + 1)
        value = formula(z, *args, **options)
        return value * len(z) if reduction == "sum" else value

    before, returns, after = (formula.__doc__ or "").partition("    Returns:\n")
    if returns:
        listed = before if "    Args:\n" in before else f"{before}    Args:\n"
        of_the_batch.__doc__ = f"{listed.rstrip()}\n{ARGUMENTS}\n{returns}{after}"
    return full_precision(cast(Formula[Options], of_the_batch))


def full_precision(term: Formula[Options]) -> Formula[Options]:
    """Let a term compute outside autocast, whatever the network does, and end in a number.

    Squares of codes may leave the range of their dtype: the term is then refused, where looking at
    it keeps no GPU waiting and no graph open.
    """

    @wraps(term)
    def precise(z: Tensor, *args: Options.args, **options: Options.kwargs) -> Tensor:
        with no_autocast(z.device if isinstance(z, Tensor) else torch.device("cpu")):
            value = term(z, *args, **options)
        if values_are_looked_at(z) and not value.isfinite().all():
            farthest = float(z.detach().abs().max())
            raise ValueError(
                f"{term.__name__} is not finite: codes reach {farthest:g}, too far for "
                f"{value.dtype}; scale them down, or give them in float64"
            )
        return value

    return cast(Formula[Options], precise)


def values_are_looked_at(z: object) -> bool:
    """Whether numbers may be looked at here: on a CPU, and while torch.compile does not look on."""
    on_cpu = isinstance(z, Tensor) and z.device.type == "cpu"
    return on_cpu and not torch.compiler.is_compiling()


def whole_batch(z: Tensor, *, group: Group = None, least: int = 2) -> Tensor:
    """The batch (n, d), of all ranks of a group, in float32 or better, with gradient.

    With a group each rank holds all rows and computes the whole term: the value is that of one
    process, and so is a gradient averaged over the ranks, as DistributedDataParallel does it.
    NaN and infinity are looked for on a CPU only, where that does not keep a GPU waiting.
    """
    if group is not None and isinstance(z, Tensor) and z.is_floating_point():
        z, _ = gather_rows(z if z.dtype == torch.float64 else z.float(), group)
    z = check_sample(z, values=values_are_looked_at(z))
    if len(z) < least:
        raise ValueError(
            f"z has {len(z)} rows and this term needs at least {least}: use a larger batch, "
            "or group= where other ranks hold the rest of it"
        )
    return z


class Regularizer(nn.Module):
    """A term as a module: its options, held; :func:`as_module` makes them."""

    def __init__(self, name: str, term: Callable[..., Tensor], options: dict[str, Any]) -> None:
        super().__init__()
        self.group: Group = options.pop("group")
        self.name, self.term, self.options = name, term, options

    def forward(self, z: Tensor) -> Tensor:
        """The term of codes z (n, d)."""
        return self.term(z, group=self.group, **self.options)

    def _get_name(self) -> str:
        return self.name

    def extra_repr(self) -> str:
        """The options that are set."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


def as_module(name: str, term: Formula[Options]) -> Callable[Options, Regularizer]:
    """What builds modules of a term, from the options that the term has itself."""
    known = signature(term)
    options = list(known.parameters.values())[1:]
    known = known.replace(parameters=options, return_annotation=Regularizer)

    def build(*args: Options.args, **options: Options.kwargs) -> Regularizer:
        bound = known.bind(*args, **options)
        bound.apply_defaults()
        return Regularizer(name, term, dict(bound.arguments))

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f":func:`{term.__name__}` as a module of codes z (n, d)."
    build.__signature__ = known  # type: ignore[attr-defined]
    return build


def constant(function: Callable[Key, Result]) -> Callable[Key, Result]:
    """Compute a function of sizes once for each, and let torch.compile take its result as given."""
    cached = lru_cache(maxsize=64)(function)

    def once(*key: Any) -> Result:
        return cached(*key)

    # What torch.compiler.assume_constant_result does, without its import of sympy and 400 modules.
    once._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return cast(Callable[Key, Result], once)


def project(z: Tensor, slices: int, directions: Tensor | None, group: Group) -> Tensor:
    """Projections (n, slices) of z (n, d) onto unit directions, drawn uniformly, or along others.

    They come from torch's global generator, and those of a group's first rank hold for all.
    Directions (d, slices) that are given may have any length above 0.

    Example:
        >>> project(torch.tensor([[3.0, 4.0]]), 1, torch.tensor([[0.0], [2.0]]), None)
        tensor([[4.]])
    """
    d = z.shape[1]
    if directions is None:
        if slices < 1:
            raise ValueError(f"slices must be at least 1, got {slices}")
        directions = torch.randn(d, slices, device=z.device, dtype=z.dtype)
        if group is not None:
            group = process_group(group)
            dist.broadcast(directions, dist.get_global_rank(group, 0), group=group)
    elif directions.ndim != 2 or len(directions) != d:
        raise ValueError(
            f"directions must be d x slices = {d} x slices for these codes, got shape "
            f"{tuple(directions.shape)}"
        )
    directions = directions.to(z)
    projections: Tensor = z @ (directions / directions.norm(dim=0))
    return projections


def quantiles(n: int, like: Tensor, *, offset: float = 0.5, chi: int = 0) -> Tensor:
    r"""Quantiles (n,) of N(0, 1), or of a chi distribution, at :math:`(i - a) / (n + 1 - 2a)`.

    The offset a is 1/2 for the middles of n cells of equal mass, 0 for :math:`i / (n + 1)`; chi
    counts degrees of freedom. Dtype and device are those of another tensor.

    Example:
        >>> quantiles(3, torch.ones(1))
        tensor([-0.9674,  0.0000,  0.9674])
        >>> quantiles(3, torch.ones(1), chi=2)  # sqrt(-2 log(1 - p))
        tensor([0.6039, 1.1774, 1.8930])
    """
    return _quantiles(n, offset, chi, like.dtype, like.device)


@constant
def _quantiles(n: int, offset: float, chi: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    share = (torch.arange(1, n + 1, dtype=torch.float64).numpy() - offset) / (n + 1 - 2 * offset)
    values = (2 * special.gammaincinv(chi / 2, share)) ** 0.5 if chi else special.ndtri(share)
    return torch.as_tensor(values).to(device=device, dtype=dtype)


def first_coordinate(d: int, like: Tensor) -> tuple[Tensor, Tensor]:
    r"""Nodes and weights of :math:`E f(\theta_1)` over uniform directions in R^d, for even f.

    A Gauss-Gegenbauer rule of 64 nodes, of which the positive half is returned: exact for
    polynomials up to degree 127.

    Example:
        >>> node, weight = first_coordinate(5, torch.ones(1))
        >>> (weight * node**2).sum()  # 1 / d
        tensor(0.2000)
    """
    return _gegenbauer(d, like.dtype, like.device)


@constant
def _gegenbauer(d: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    if d == 1:
        return torch.ones(1, dtype=dtype, device=device), torch.ones(1, dtype=dtype, device=device)
    node, weight = special.roots_gegenbauer(64, d / 2 - 1)
    half, share = node[node > 0], weight[node > 0] / weight[node > 0].sum()
    return torch.as_tensor(half).to(device, dtype), torch.as_tensor(share).to(device, dtype)


def traceable_engine() -> Engine:
    """The engine of a neighbour search: the fastest, or while torch.compile looks, one in torch."""
    return "blocked" if torch.compiler.is_compiling() else "auto"


def widest(z: Tensor) -> Tensor:
    """Codes in float64, where the device has it: squares of float32 neither overflow nor vanish."""
    return z if z.device.type == "mps" else z.double()


def pair_squares(z: Tensor) -> Tensor:
    """Squared distances (n, n) of all pairs, in the dtype of z (n, d).

    Good to rounding, in float64, of the squares of the distances from the median: codes of float32
    keep their digits wherever they lie, also beside a few that lie elsewhere.
    """
    wide = widest(z)
    wide = wide - wide.detach().median(0).values
    squares = wide.square().sum(1)  # (n,)
    found = (squares[:, None] + squares - 2 * (wide @ wide.T)).clamp(min=0)
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    return found.masked_fill(own, 0.0).to(z.dtype)


def unit_rows(z: Tensor) -> Tensor:
    """Directions (n, d) of codes z (n, d) of any length; those of zeros are zeros.

    Example:
        >>> unit_rows(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    length = lengths(z)[:, None]
    zero = length == 0
    wide = z.to(length.dtype).masked_fill(zero, 0.0)
    return (wide / length.masked_fill(zero, 1.0)).to(z.dtype)
