"""Ranks that hold beyond the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """Where a model stands among others, as far as its seeds can tell."""

    mean: float
    low: float  #: of its seeds
    high: float
    seeds: int
    best: int  #: its rank if every comparison that the seeds leave open went its way
    worst: int  #: and if none did

    @property
    def span(self) -> str:
        """The ranks that are possible, such as ``"2 to 4"``."""
        return str(self.best) if self.best == self.worst else f"{self.best} to {self.worst}"


def rank_models(values: Mapping[str, Sequence[float]]) -> dict[str, Rank]:
    """Rank models by a number of which less is better, the lowest mean first.

    Two models are told apart if all seeds of one lie below all seeds of the other, and each has two
    seeds at least. For two seeds each that happens by chance in one case of three, for three seeds
    each in one of ten, if the two are equal: it is a modest standard, and fewer seeds meet none.

    Args:
        values: one number a seed, by model.

    Raises:
        ValueError: a model without a number, or a number that is not finite.

    Example:
        >>> ranks = rank_models({"a": [3.0, 3.1], "b": [1.0, 1.5], "c": [1.4, 1.2]})
        >>> {name: rank.span for name, rank in ranks.items()}
        {'b': '1 to 2', 'c': '1 to 2', 'a': '3'}
    """
    for name, numbers in values.items():
        if not numbers or not all(map(math.isfinite, numbers)):
            raise ValueError(f"{name} needs finite numbers, one a seed, got {list(numbers)}")

    def below(a: str, b: str) -> bool:
        enough = min(len(values[a]), len(values[b])) >= 2
        return enough and max(values[a]) < min(values[b])

    ranks = {
        name: Rank(
            mean=math.fsum(numbers) / len(numbers),
            low=min(numbers),
            high=max(numbers),
            seeds=len(numbers),
            best=1 + sum(below(other, name) for other in values),
            worst=len(values) - sum(below(name, other) for other in values),
        )
        for name, numbers in values.items()
    }
    return dict(sorted(ranks.items(), key=lambda item: item[1].mean))
