"""Singular values of a decoder's Jacobian at many codes, block by block.

A decoder has few inputs and many outputs, so its Jacobian is cheapest column by column: d tangents
are pushed forward together, for a block of codes at a time. Where torch has no forward derivative
of a decoder, one pass back for each output does the same. Rounding decides how small a singular
value can be told from zero, so they are taken in float64 whatever the decoder computes in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.func import jacfwd, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

Decode = Callable[[Tensor], Tensor]

#: of Jacobians in float64 at a time; fewer are slower, and tangents on their way through a
#: convolutional decoder take tens of times as much
BLOCK_BYTES = {"cpu": 2**21, "cuda": 2**24}
#: singular values up to this many rounding errors of the Jacobian's norm are zero as far as it can
#: tell: those of dimensions that are lost lie below 1.2 in all networks and dtypes that were tried,
#: others of bfloat16 above 2.5, of float32 above 1e5
ROUNDING_ERRORS = 2.0
COMPARED = 8  # codes of which each is decoded beside two sets of others


def jacobian_singular_values(decode: Decode, z: Tensor) -> Tensor:
    """All d singular values (n, d) of the Jacobian at each code, the largest first, in float64.

    Where the output has fewer than d numbers, the missing ones are zero.

    Args:
        decode: maps (n, d) to (n, ...), each row by itself; call it in evaluation mode.
        z: (n, d) codes, in the dtype and on the device that the decoder computes in.

    Raises:
        TypeError, ValueError: codes that are no (n, d) floats; an output that is no finite floats
            for each code by itself; no derivative, or one that is zero at all codes, as behind
            ``detach`` or ``round``.

    Example:
        >>> decode = torch.nn.Linear(2, 3, bias=False)
        >>> _ = torch.nn.init.eye_(decode.weight)
        >>> jacobian_singular_values(decode, torch.zeros(1, 2))
        tensor([[1., 1.]], dtype=torch.float64)
    """
    return torch.cat(list(singular_value_blocks(decode, z, try_decoder(decode, z))))


@dataclass(frozen=True)
class Trial:
    """What one code tells of a decoder."""

    forward: bool  #: whether torch has a forward derivative of it
    outputs: int  #: D
    precision: float  #: relative, of the coarser of code and output


def try_decoder(decode: Decode, z: Tensor) -> Trial:
    """Check a decoder of codes z (n, d), and how it can be differentiated."""
    if z.ndim != 2 or not z.is_floating_point() or z.numel() == 0:
        raise ValueError(f"codes must be floats of shape (n, d), got {z.dtype} {tuple(z.shape)}")
    load_forward_mode()
    x = refuse_mixed_rows(decode, z)
    try:
        _push(decode, z[:1])
        forward = True
    except (NotImplementedError, RuntimeError):  # it ran without a derivative just now
        forward = False
    return Trial(forward, x.shape[1], max(torch.finfo(each.dtype).eps for each in (z, x)))


def singular_value_blocks(decode: Decode, z: Tensor, trial: Trial) -> Iterator[Tensor]:
    """:func:`jacobian_singular_values`, a block of codes at a time."""
    size = BLOCK_BYTES.get(z.device.type, BLOCK_BYTES["cpu"])
    rows = size // (8 * trial.outputs * z.shape[1])
    moved = False
    for part in z.split(min(max(rows, 1), 1000)):
        with torch.no_grad():
            jacobian = _push(decode, part) if trial.forward else _pull(decode, part)  # (n, D, d)
        if not jacobian.isfinite().all():
            raise ValueError("the decoder's derivative is NaN or infinite at some codes")
        values = _singular_values(jacobian)
        moved = moved or bool(values.any())
        yield values
    if not moved:
        raise ValueError(
            "the Jacobian is zero at all codes: the output does not follow the code, or through "
            "something that derivatives do not pass, such as detach, round or argmax"
        )


def without_rounding(values: Tensor, precision: float) -> Tensor:
    """Singular values (n, d), zero where rounding of the Jacobian cannot tell them from it."""
    smallest = ROUNDING_ERRORS * precision * torch.linalg.vector_norm(values, dim=1, keepdim=True)
    return values.where(values > smallest, 0.0)


def refuse_mixed_rows(decode: Decode, z: Tensor) -> Tensor:
    """The output (rows, D) of some rows, if they come out the same in another place and company."""
    rows = z[:COMPARED]
    beside = torch.cat([1 - z[:1], rows.flip(0), z[-1:]])
    with torch.no_grad():
        first = checked_output(decode(rows), len(rows))
        second = checked_output(decode(beside), len(beside))[1:-1].flip(0)
    sizes = first.abs().amax(1).clamp_min(1e-30)
    if ((first - second).abs().amax(1) > torch.finfo(first.dtype).eps ** 0.5 * sizes).any():
        raise ValueError(
            "a row of the output changes with the rows beside it or from call to call: put the "
            "decoder into evaluation mode, for batch normalisation and dropout mix or draw, and "
            "let it take codes (n, d) as n codes, not as a sequence of n"
        )
    return first


def checked_output(x: object, rows: int) -> Tensor:
    """What a decoder returned, as (rows, D), or an error that says what is wrong with it."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"the decoder must return a tensor of floats, got {kind}")
    if x.ndim < 1 or len(x) != rows or x.numel() == 0:
        raise ValueError(
            f"the decoder made {tuple(x.shape)} of {rows} codes: the first size must be {rows}"
        )
    if not x.isfinite().all():
        bad = int((~x.isfinite().reshape(rows, -1).all(1)).sum())
        raise ValueError(f"the decoder's output is NaN or infinite at {bad} of {rows} codes")
    return x.reshape(rows, -1)


@contextmanager
def derivable() -> Iterator[None]:
    """Attention by its formula: the faster kernels have no forward derivative."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@cache
def load_forward_mode() -> None:
    """Let torch compile what forward derivatives need, which warns of its own deprecation."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        jvp(torch.sin, (torch.zeros(1),), (torch.ones(1),))


def _push(decode: Decode, z: Tensor) -> Tensor:
    """(n, D, d): one shift of all codes, with its d unit tangents; codes are decoded once."""

    def shifted(shift: Tensor) -> tuple[Tensor, Tensor]:
        x = decode(z + shift)
        return x, x

    with derivable():
        jacobian, x = jacfwd(shifted, has_aux=True)(z.new_zeros(z.shape[1]))  # (n, ..., d)
    checked_output(x, len(z))
    return jacobian.reshape(len(z), -1, z.shape[1])  # type: ignore[no-any-return]


def _pull(decode: Decode, z: Tensor) -> Tensor:
    """(n, D, d): a pass back for each of the D outputs, of all codes together."""
    z = z.detach().clone().requires_grad_()
    with torch.enable_grad(), derivable():
        x = checked_output(decode(z), len(z))
        jacobian = z.new_zeros(len(z), x.shape[1], z.shape[1])
        if not x.requires_grad:
            return jacobian
        try:
            for row, output in enumerate(x.sum(0)):
                found = torch.autograd.grad(output, z, retain_graph=True, allow_unused=True)[0]
                if found is not None:
                    jacobian[:, row] = found
        except RuntimeError as error:
            raise ValueError(f"torch has no derivative of this decoder: {error}") from error
    return jacobian


def _singular_values(jacobian: Tensor) -> Tensor:
    """(n, d) in float64, of (n, D, d)."""
    if jacobian.dtype != torch.float64:
        return gram_singular_values(jacobian.double())
    values: Tensor = torch.linalg.svdvals(torch.linalg.qr(jacobian, mode="r").R)
    return nn.functional.pad(values, (0, jacobian.shape[2] - values.shape[1]))


def gram_singular_values(tall: Tensor) -> Tensor:
    """Roots of the eigenvalues of J^T J, of (n, D, d) in float64.

    What lies below 1e-8 of the largest one is lost. A Jacobian in float32 has nothing but rounding
    there, and this takes less time than a factorisation of J, on a GPU far less.
    """
    outputs, d = tall.shape[1:]
    gram = tall.mT @ tall if outputs >= d else tall @ tall.mT  # not more eigenvalues than there are
    squares: Tensor = torch.linalg.eigvalsh(gram)
    return nn.functional.pad(squares.clamp_min(0).sqrt().flip(1), (0, d - squares.shape[1]))
