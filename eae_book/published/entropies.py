"""The entropies of decoders that Struminsky et al. print, to stand beside ours.

Each is in nats and from one run. Table 1 has something behind "+-" and calls it a standard
deviation of the density estimate among samples; the others have nothing.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_TABLE = Path(__file__).with_name("entropies.csv")

Bound = Literal["", "encoder diagonal", "encoder full", "decoder diagonal", "decoder full"]


@dataclass(frozen=True)
class PublishedEntropy:
    """One number of the tables 1 to 4."""

    table: int  #: 1 to 4
    subject: str  #: "half_sphere", or the data set: "mnist" or "fashion_mnist"
    model: str  #: as :func:`eae_book.gans.generators.build_generator` has it; "" in table 1
    scale: float  #: s
    classes: int | None  #: how many classes it was trained on: all ten but in table 3
    #: "" for the entropy itself; for the upper bounds of table 4 where the mean of the posterior
    #: comes from (a fitted encoder, or the code that the decoder was given) and its covariance
    bound: Bound
    value: float  #: nats
    spread: float | None  #: what stands behind "+-"
    source: str = "struminsky"  #: key of the bibliography


@cache
def published_entropies(table: int | None = None) -> tuple[PublishedEntropy, ...]:
    """Every number of the tables 1 to 4 of Struminsky et al., or those of one table.

    Args:
        table: 1 the half-sphere at four scales, 2 four models on two data sets, 3 a VAE on growing
            sets of digits, 4 upper bounds by fitted encoders; None for all.

    Raises:
        ValueError: there is no such table.

    Source:
        Struminsky, Figurnov and Vetrov, *Entropy Estimates for Generative Models*. Table 4 repeats
        two entropies of table 2 without their decimals.

    Example:
        >>> [p.value for p in published_entropies(1)]
        [1.916, 1.8428, 1.8388, 1.8379]
    """
    if table not in (None, 1, 2, 3, 4):
        raise ValueError(f"there are tables 1 to 4, got {table!r}")
    with _TABLE.open(encoding="utf-8", newline="") as file:
        rows = [_read(row) for row in csv.DictReader(file)]
    return tuple(row for row in rows if table in (None, row.table))


def _read(row: dict[str, str]) -> PublishedEntropy:
    bound: Bound = row["bound"]  # type: ignore[assignment]  # a test compares them
    return PublishedEntropy(
        table=int(row["table"]),
        subject=row["subject"],
        model=row["model"],
        scale=float(row["scale"]),
        classes=int(row["classes"]) if row["classes"] else None,
        bound=bound,
        value=float(row["value"]),
        spread=float(row["spread"]) if row["spread"] else None,
    )
