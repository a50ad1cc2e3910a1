"""Any term in units of its own spread on Gaussian batches, so that weights mean the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from eae_core.distributed import Group
from eae_core.regularizers.common import whole_batch

Term = Callable[[Tensor], Tensor]


class Spread(NamedTuple):
    """What a term gives on batches from N(0, I)."""

    mean: float
    deviation: float


class Calibrated(nn.Module):
    r"""A term in units of its spread on Gaussian batches of the same n and d.

    .. math:: L'(z) = \frac{L(z) - \bar L_{n,d}}{s_{n,d}}

    0 for a Gaussian batch on average, 1 one standard deviation above. Mean and standard deviation
    are measured once for every n and d, on the CPU, from a seed of their own, without touching
    torch's global generator. Also called ``calibrated``, as a function of a term.

    Args:
        term: codes (n, d) to a scalar, e.g. ``sigreg_loss`` or ``SIGRegLoss(slices=64)``.
        batches: drawn for the measurement.
        batch_norm: standardise them exactly, as the codes of a batch-normalised network are.
        group: ranks that hold the batch together; by default the term's own, if it has one.

    Raises:
        ValueError: fewer than 2 batches.

    Example:
        >>> from eae_core.regularizers import calibrated, radial_loss
        >>> z = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
        >>> term = calibrated(radial_loss)
        >>> bool(term(z).abs() < 6), bool(term(torch.ones(100, 8)) > 6)
        (True, True)
    """

    def __init__(
        self, term: Term, *, batches: int = 256, batch_norm: bool = False, group: Group = None
    ) -> None:
        super().__init__()
        if batches < 2:
            raise ValueError(f"batches must be at least 2, got {batches}")
        self.term, self.batches, self.batch_norm = term, batches, batch_norm
        self.group: Group = getattr(term, "group", None) if group is None else group
        self.spreads: dict[tuple[int, int], Spread] = {}

    def spread(self, n: int, d: int) -> Spread:
        """Mean and standard deviation on Gaussian batches of n x d, measured at the first call.

        Raises:
            ValueError: the term does not vary from batch to batch.
        """
        if (n, d) not in self.spreads:
            drawn = []
            # Every rank draws the same; a term that draws directions takes the global generator.
            with _alone(self.term), torch.no_grad(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                for _ in range(self.batches):
                    z = torch.randn(n, d)
                    if self.batch_norm:
                        z = (z - z.mean(0)) / z.std(0, correction=0)
                    drawn.append(float(self.term(z)))
            values = torch.tensor(drawn, dtype=torch.float64)
            if not values.std() > 0:
                raise ValueError(
                    f"the term has the same value on all {self.batches} Gaussian batches of {n} x "
                    f"{d}, so it has no unit there; is it one that batch_norm=True holds fixed?"
                )
            self.spreads[n, d] = Spread(float(values.mean()), float(values.std()))
        return self.spreads[n, d]

    def forward(self, z: Tensor) -> Tensor:
        """The calibrated term of codes z (n, d), in standard deviations."""
        z = whole_batch(z, group=self.group)
        mean, deviation = self.spread(*z.shape)
        with _alone(self.term):  # it has the rows of all ranks already
            return (self.term(z) - mean) / deviation


calibrated = Calibrated


@contextmanager
def _alone(term: Term) -> Iterator[None]:
    """Within the block a term has no group, also one that a training has given it."""
    group = getattr(term, "group", None)
    if group is None:
        yield
        return
    term.group = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        term.group = group  # type: ignore[attr-defined]
