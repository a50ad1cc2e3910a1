r"""The log-determinant of a large Jacobian from a few passes: stochastic Lanczos quadrature.

For random signs v, the mean of :math:`v^T \log(A)\, v` is the trace of the logarithm, which is the
log-determinant, and a recursion of m steps from v gives a Gauss quadrature of it. The recursion
is run on J and not on :math:`A = J^T J + s^2 I`, whose small eigenvalues rounding would swallow.
Where J has fewer rows than columns it is run on its transpose, and the d - D eigenvalues s^2 that
:math:`J J^T + s^2 I` lacks are added: no probe has to find them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp, vjp

from eae_book.decoder_memory import memory_of
from eae_core.entropy.decoder import Volumes, sampled_entropies
from eae_core.entropy.jacobian import Decode, checked_output, derivable, try_decoder
from eae_core.errors import check_integer
from eae_core.neighbors.engines import memory_to_use


@dataclass(frozen=True, eq=False)
class StochasticEntropy:
    """An estimate; entropies are in nats."""

    entropy: float  #: mean of the values
    standard_error: float  #: of the mean, over codes and probes, with the truncation
    values: Tensor  #: (samples,) float64: minus the log-density at each code's image
    truncation: float  #: how far the mean may lie from that of unlimited steps

    def __str__(self) -> str:
        return f"{self.entropy:.4g} +- {self.standard_error:.2g} nats"


def stochastic_decoder_entropy(
    decode: Decode,
    latent_dim: int,
    *,
    samples: int = 1000,
    scale: float = 1e-4,
    seed: int = 0,
    probes: int = 1,
    steps: int = 32,
    dtype: torch.dtype | None = None,
    memory_limit: int | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> StochasticEntropy:
    """:func:`~eae_core.decoder_entropy` for d in the hundreds, by :func:`quadrature_blocks`.

    Args:
        decode: as there, as for all that is not named here.
        latent_dim: d.
        samples: number of codes, which are those of the exact estimate.
        scale: s, above 0.
        seed: of the codes and the probes.
        probes: random directions a code.
        steps: of the recursion from each direction; each costs two passes.
        dtype: of the codes.
        memory_limit: bytes of working memory.
        device: where codes are handed to the decoder.
        progress: show a bar.

    Raises:
        TypeError, ValueError: as there; a scale that is not above 0, or a decoder that torch cannot
            differentiate forward.

    Example:
        >>> result = stochastic_decoder_entropy(lambda z: 2 * z, 3, samples=2000, steps=3)
        >>> truth = 3 * (0.5 * math.log(2 * math.pi * math.e) + math.log(2))
        >>> abs(result.entropy - truth) < 4 * result.standard_error
        True
    """
    if not 0 < scale < math.inf:
        raise ValueError(f"the stochastic estimate needs a finite scale above 0, got {scale!r}")
    probes, steps = check_integer("probes", probes), check_integer("steps", steps)

    def volumes(z: Tensor, generator: torch.Generator) -> Iterator[Volumes]:
        signs = 2.0 * torch.randint(2, (len(z), probes, latent_dim), generator=generator) - 1
        signs = signs.to(z.device, torch.float64)
        return quadrature_blocks(decode, z, signs, scale, steps, memory_limit)

    values, width = sampled_entropies(
        decode,
        latent_dim,
        volumes,
        samples=samples,
        seed=seed,
        dtype=dtype,
        device=device,
        progress=progress,
    )
    return StochasticEntropy(
        entropy=float(values.mean()),
        standard_error=math.hypot(float(values.std()) / math.sqrt(samples), width / samples),
        values=values,
        truncation=width / samples,
    )


def quadrature_blocks(
    decode: Decode,
    z: Tensor,
    signs: Tensor,
    scale: float,
    steps: int,
    memory_limit: int | None = None,
) -> Iterator[Volumes]:
    r"""Estimate :math:`\tfrac12\log\det(J^T J + s^2 I)` at each code, a block of codes at a time.

    The logarithm's even derivatives are negative and its odd ones positive, so the Gauss rule lies
    above what it approximates, and the Gauss-Radau rule with a node at s^2, the smallest eigenvalue
    possible, below. The value is the middle of the two, and beside it is half their distance, added
    up over the codes.

    Args:
        decode: as in :func:`eae_core.entropy.jacobian.jacobian_singular_values`.
        z: (n, d) codes.
        signs: (n, probes, d) of -1 and 1, in float64.
        scale: s, above 0.
        steps: of the recursion; more than d or D change nothing.
        memory_limit: bytes of working memory; None takes a share of what is free.

    Raises:
        TypeError, ValueError: as there.

    Source:
        Golub and Meurant (2010), *Matrices, Moments and Quadrature with Applications*, chapter 6;
        Ubaru, Chen and Saad (2017), *Fast estimation of tr(f(A)) via stochastic Lanczos
        quadrature*.

    Example:
        >>> z, signs = torch.zeros(1, 4), torch.ones(1, 1, 4, dtype=torch.float64)
        >>> (volume, _), = quadrature_blocks(lambda z: 3 * z, z, signs, 1e-4, 2)
        >>> round(float(volume[0]), 4)  # 4 log 3
        4.3944
    """
    probes, d = signs.shape[1:]
    trial = try_decoder(decode, z)
    if not trial.forward:
        raise ValueError(
            "torch has no forward derivative of this decoder, and the stochastic method goes both "
            "ways: decoder_entropy takes passes back alone"
        )
    least = min(d, trial.outputs)  # of rows and columns
    steps, lost = min(steps, least), d - least
    limit, memory = memory_to_use(z.device, memory_limit), memory_of(decode, z)
    # One pass back keeps all of the passes forward; two bases in float64 grow with the steps.
    each = probes * (2 * memory.total + (steps + 2) * 8 * (d + trial.outputs))
    if memory.constant + each > limit:
        need = memory.constant + each
        raise ValueError(f"memory_limit={limit} is too small: one code needs {need} bytes here")
    rows = (limit - memory.constant) // each
    for codes, start in zip(z.split(rows), signs.split(rows), strict=True):
        alpha, beta = _bidiagonalize(
            decode, codes.repeat_interleave(probes, 0), start.flatten(0, 1)[:, :least], steps
        )
        gauss = least * _rule(alpha, beta[:, :-1], scale)  # (rows * probes,)
        radau = least * _rule(alpha, beta, scale)
        low, high = (each.view(-1, probes).mean(1) for each in (radau, gauss))
        width = float((high - low).clamp_min(0).sum()) / 2  # below zero by rounding alone
        yield (low + high) / 2 + lost * math.log(scale), width


@torch.no_grad()
def _bidiagonalize(decode: Decode, z: Tensor, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Golub-Kahan from (n, least): diagonal and superdiagonal, (n, steps) each, in Krylov bases.

    Of J, or of its transpose where that has fewer columns.
    """
    with derivable():
        x, pull = vjp(decode, z)[:2]
        checked_output(x, len(z))

        def forward(v: Tensor) -> Tensor:  # J v
            moved: Tensor = jvp(decode, (z,), (v.to(z.dtype),))[1]
            return moved.flatten(1).double()

        def back(u: Tensor) -> Tensor:  # J^T u
            pulled: Tensor = pull(u.view(x.shape).to(x.dtype))[0]
            return pulled.double()

        to, fro = (forward, back) if start.shape[1] == z.shape[1] else (back, forward)
        v = start / start.norm(dim=1, keepdim=True)
        rights, lefts = [v], list[Tensor]()
        alpha, beta = list[Tensor](), list[Tensor]()
        for _ in range(steps):
            # There, then back; each orthogonal to all before it, twice, for rounding brings them
            # back.
            u, length = _next(to(v), lefts)
            lefts.append(u)
            alpha.append(length)
            v, length = _next(fro(u), rights)
            rights.append(v)
            beta.append(length)
        return torch.stack(alpha, 1), torch.stack(beta, 1)


def _next(vector: Tensor, basis: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Unit vector and length of what is orthogonal to a basis; zeros where nothing is left."""
    size = vector.norm(dim=1)
    for _ in range(2):
        if basis:
            frame = torch.stack(basis, 2)  # (n, D, how many)
            vector = vector - (frame @ (frame.mT @ vector[:, :, None])).squeeze(2)
    length = vector.norm(dim=1)
    length = torch.where(length > 1e-14 * size, length, 0)
    return vector / length.clamp_min(torch.finfo(torch.float64).tiny)[:, None], length


def _rule(alpha: Tensor, beta: Tensor, scale: float) -> Tensor:
    """The quadrature of log sqrt(t + s^2) from (n, m) diagonals.

    With m - 1 numbers above the diagonal it is the Gauss rule. With m the matrix has one column
    more than rows, so that zero is among its singular values: the Gauss-Radau rule.
    """
    n, m = alpha.shape
    matrix = alpha.new_zeros(n, m, max(m, beta.shape[1] + 1))
    matrix.diagonal(dim1=1, dim2=2).copy_(alpha)
    matrix.diagonal(1, 1, 2)[:, : beta.shape[1]].copy_(beta)
    _, values, rows = torch.linalg.svd(matrix, full_matrices=True)  # rows: right singular vectors
    values = torch.nn.functional.pad(values, (0, matrix.shape[2] - m))
    nodes = torch.hypot(values, values.new_tensor(scale)).log()
    weights: Tensor = rows[:, :, 0].square()
    return (weights * nodes).sum(1)
