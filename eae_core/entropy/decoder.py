r"""The differential entropy of what a decoder draws, measured on its own surface.

A decoder g spreads N(0, I) in d dimensions over a surface of D numbers. Where it stretches the
code by the volume :math:`\sqrt{\det J^T J}`, the density on the surface is that of the code divided
by it, and the entropy is the mean of minus its logarithm.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from eae_core.entropy.jacobian import (
    Decode,
    jacobian_singular_values,
    singular_value_blocks,
    try_decoder,
    without_rounding,
)
from eae_core.errors import check_integer
from eae_core.hardware import resolve_device

REVISION = 1  # 1: as first recorded; see eae_book.revisions

CHUNK = 2**20  # numbers of the codes that are drawn together
#: logarithms of volumes (n,) at a block of codes, in float64, and a number to be added up
Volumes: TypeAlias = tuple[Tensor, float]


class RankDeficientWarning(UserWarning):
    """At some codes the volume is that of the noise, because the decoder's own is zero."""


class RankDeficientError(ValueError):
    """Without noise the entropy is minus infinity."""


@dataclass(frozen=True, eq=False)
class DecoderEntropy:
    """An estimate; entropies are in nats."""

    entropy: float  #: mean of the values
    standard_error: float  #: of the mean, over codes
    values: Tensor  #: (samples,) float64: minus the log-density at each code's image
    scale: float  #: s
    latent_dim: int  #: d
    rank_deficient: int  #: codes at which the Jacobian's rank is below d, as far as rounding tells

    def __str__(self) -> str:
        return f"{self.entropy:.4g} +- {self.standard_error:.2g} nats"


def decoder_entropy(
    decode: Decode,
    latent_dim: int,
    *,
    samples: int = 1000,
    scale: float = 1e-4,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> DecoderEntropy:
    r"""Monte-Carlo estimate of the entropy of a decoder, in nats.

    .. math:: H = \mathbb E_z\Bigl[-\log p(z) + \tfrac12 \log\det\bigl(J^T J + s^2 I\bigr)\Bigr],
        \qquad z \sim \mathcal N(0, I)

    with J the (D, d) Jacobian at z. The entropy is one of a density on a d-dimensional surface: it
    can be negative, and it compares decoders of the same d.

    Args:
        decode: maps (n, d) to (n, ...), each row by itself. A module, or a method of one, is put
            into evaluation mode and back.
        latent_dim: d.
        samples: number of codes, at least 2.
        scale: s, at least 0; noise of this standard deviation keeps the logarithm finite. It counts
            alone for each singular value that rounding of the Jacobian cannot tell from zero.
        seed: of the codes, which are the same on every device and in every dtype.
        dtype: of the codes; None takes the module's, or torch's default.
        device: where codes are handed to the decoder.
        progress: show a bar.

    Raises:
        TypeError, ValueError: an impossible option, a module on another device, an output that is
            no finite floats for each code by itself, or one that derivatives do not reach.
        RankDeficientError: ``scale=0`` and a Jacobian that loses a dimension.

    Warns:
        RankDeficientWarning: codes at which the Jacobian loses a dimension, with their number.

    Source:
        Struminsky, Figurnov and Vetrov, *Entropy Estimates for Generative Models*, eq. 3, with its
        sign turned: as printed it is minus the entropy.

    Example:
        >>> result = decoder_entropy(lambda z: 2 * z, 3, samples=2000, dtype=torch.float64)
        >>> truth = 3 * (0.5 * math.log(2 * math.pi * math.e) + math.log(2))
        >>> abs(result.entropy - truth) < 4 * result.standard_error
        True
    """
    scale = _checked_scale(scale)

    def volumes(z: Tensor, _: torch.Generator) -> Iterator[Volumes]:
        trial = try_decoder(decode, z)
        for values in singular_value_blocks(decode, z, trial):
            kept = without_rounding(values, trial.precision)
            yield _log_volume(kept, scale), int((kept[:, -1] == 0).sum())

    values, deficient = sampled_entropies(
        decode,
        latent_dim,
        volumes,
        samples=samples,
        seed=seed,
        dtype=dtype,
        device=device,
        progress=progress,
    )
    if deficient:
        where = f"{deficient:.0f} of {samples} samples have a Jacobian that loses a dimension"
        if scale == 0:
            raise RankDeficientError(
                f"{where}, so the entropy is minus infinity: pass a scale above 0"
            )
        warnings.warn(
            f"{where}, as far as rounding can tell: each that is lost counts log({scale:g}), of "
            "the scale. A decoder in float64, with dtype=torch.float64, has less rounding",
            RankDeficientWarning,
            stacklevel=2,
        )
    return DecoderEntropy(
        entropy=float(values.mean()),
        standard_error=float(values.std()) / math.sqrt(samples),
        values=values,
        scale=scale,
        latent_dim=latent_dim,
        rank_deficient=int(deficient),
    )


def sampled_entropies(
    decode: Decode,
    latent_dim: int,
    volumes: Callable[[Tensor, torch.Generator], Iterable[Volumes]],
    *,
    samples: int,
    seed: int,
    dtype: torch.dtype | None,
    device: str | torch.device,
    progress: bool,
) -> Volumes:
    """Minus the log-density at the images of codes (samples,), however volumes are measured.

    Of codes (n, d) and the generator that drew them, ``volumes`` makes their volumes, block by
    block; what it counts beside them is added up.
    """
    latent_dim = check_integer("latent_dim", latent_dim)
    samples = check_integer("samples", samples, 2)
    place = resolve_device(device)
    generator = torch.Generator().manual_seed(seed)
    values: list[Tensor] = []
    counted = 0.0
    with evaluation_mode(decode) as module, _bar(samples, progress) as advance:
        dtype = _resolve_dtype(module, place, dtype)
        rows = max(CHUNK // latent_dim, 1)
        for start in range(0, samples, rows):
            n = min(rows, samples - start)
            # In float64 and on the CPU, so that all devices and dtypes see the same codes.
            z = torch.randn(n, latent_dim, generator=generator, dtype=torch.float64)
            z = z.to(place, dtype)
            left = -log_normal(z)
            for volume, count in volumes(z, generator):
                here, left = left.tensor_split([len(volume)])
                values.append((here + volume).cpu())
                counted += count
                advance(len(volume))
    return torch.cat(values), counted


def log_volume(decode: Decode, z: Tensor, *, scale: float = 1e-4) -> Tensor:
    r"""How far the decoder stretches volumes at each code, :math:`\tfrac12\log\det(J^T J + s^2 I)`.

    Options and errors are those of :func:`decoder_entropy`; the decoder is in evaluation mode
    already, and a scale of 0 gives minus infinity where the Jacobian loses a dimension.

    Args:
        decode: maps (n, d) to (n, ...).
        z: (n, d) codes, to (n,) in float64.
        scale: s.
    """
    return _log_volume(jacobian_singular_values(decode, z), _checked_scale(scale))


def log_normal(z: Tensor) -> Tensor:
    """(n,) log-density of N(0, I) at (n, d) codes, in float64."""
    return -0.5 * (z.double().square().sum(1) + z.shape[1] * math.log(2 * math.pi))


@contextmanager
def evaluation_mode(decode: Decode) -> Iterator[nn.Module | None]:
    """Put the module that ``decode`` is, or is a method of, into evaluation mode and back."""
    owner = decode if isinstance(decode, nn.Module) else getattr(decode, "__self__", None)
    module = owner if isinstance(owner, nn.Module) else None
    were = [(part, part.training) for part in module.modules()] if module is not None else []
    try:
        for part, _ in were:
            part.training = False
        yield module
    finally:
        for part, training in were:
            part.training = training


def _log_volume(singular_values: Tensor, scale: float) -> Tensor:
    # hypot, because the square of a small scale would vanish beside that of a singular value.
    return torch.hypot(singular_values, singular_values.new_tensor(scale)).log().sum(1)


def _resolve_dtype(
    module: nn.Module | None, place: torch.device, dtype: torch.dtype | None
) -> torch.dtype:
    floats = [p for p in module.parameters() if p.is_floating_point()] if module else []
    if floats and floats[0].device != place:
        raise ValueError(
            f"the decoder lies on {floats[0].device} and codes on {place}: pass "
            f"device={str(floats[0].device)!r} or move the decoder"
        )
    if dtype is None:
        return floats[0].dtype if floats else torch.get_default_dtype()
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"dtype must be one of floats, such as torch.float64, got {dtype!r}")
    return dtype


def _checked_scale(scale: object) -> float:
    if not isinstance(scale, (int, float, np.number)) or not 0 <= scale < math.inf:
        raise ValueError(f"scale must be a finite number of at least 0, got {scale!r}")
    return float(scale)


@contextmanager
def _bar(total: int, show: bool) -> Iterator[Callable[[int], object]]:
    if not show:
        yield lambda done: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, unit="code") as bar:
        yield bar.update
