"""Golden numbers: what each part gives for fixed input, kept in golden.json under its revision.

A part's numbers may change only together with its revision (see :mod:`eae_book.revisions`), because
records hold by revisions alone. Each measure feeds one part with fixed input and keeps away from
the others, so that what fails names what changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from eae_book.revisions import revisions_of
from eae_core.files import replacing

KEPT = Path(__file__).with_name("golden.json")
RENEW = "python workflow/renew_golden.py"
DIGITS = 8  # significant ones of a kept number

# Relative to the largest number of a list. Measured against AVX-512 and one thread: two threads,
# AVX2, and no vector instructions at all (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA, MKL_CBWR).
# Numbers differed by up to 7e-6, those of the trained classifier, which took eight steps of Adam,
# by 9e-4. Another release of torch may order a sum otherwise, which is rounding of the same size.
# A sign, a factor or a missing term moves a number by a hundred times more.
TOLERANCE = 1e-4
LOOSE = 1e-2

Numbers = dict[str, list[float] | str]


@dataclass(frozen=True)
class Golden:
    """A measure, and the parts whose revisions its numbers stand under."""

    name: str
    parts: tuple[str, ...]
    measure: Callable[[], Numbers]
    tolerance: float = TOLERANCE

    @property
    def revisions(self) -> dict[str, int]:
        """Today's, of all its parts."""
        return revisions_of(self.parts)


GOLDENS: dict[str, Golden] = {}


def golden(
    name: str, *parts: str, tolerance: float = TOLERANCE
) -> Callable[[Callable[[], Numbers]], Callable[[], Numbers]]:
    """Register a measure of the part of this name, or of these parts together."""

    def register(measure: Callable[[], Numbers]) -> Callable[[], Numbers]:
        GOLDENS[name] = Golden(name, parts or (name,), measure, tolerance)
        return measure

    return register


def looked_at(*tensors: Tensor) -> list[float]:
    """Mean, standard deviation and a weighted sum of each tensor, which sees the order."""
    numbers = []
    for tensor in tensors:
        x = tensor.detach().double().flatten()
        weights = x.new_tensor(range(len(x))).add(1).sin()
        numbers += [x.mean().item(), x.std(correction=0).item(), (weights @ x).item() / len(x)]
    return numbers


def complaint(part: Golden, kept: Mapping[str, Any] | None, found: Numbers) -> str:
    """What is wrong with these numbers, and what to do; empty if nothing is."""
    if kept is None:
        return f"{part.name} has no golden numbers yet: run  {RENEW}"
    if part.revisions != kept["revisions"]:
        return (
            f"{part.name} has revisions {part.revisions}, its golden numbers are of "
            f"{kept['revisions']}: run  {RENEW}"
        )
    moved = differences(kept["numbers"], found, part.tolerance)
    if not moved:
        return ""
    return (
        f"the numbers of {part.name} moved, but no revision of {', '.join(part.parts)} did:\n"
        + "\n".join(moved[:6])
        + "\nIf you did not mean that, undo it. If you did, raise the revision beside the code, "
        f"with a line of history that says what changed, and run  {RENEW}\n"
        "Records made with the old revision are stale from then on."
    )


def differences(kept: Mapping[str, Any], found: Numbers, tolerance: float) -> list[str]:
    """A line for each number that is not what was kept."""
    lines = [f"  {name}: kept, not found any more" for name in kept.keys() - found.keys()]
    lines += [f"  {name}: not kept yet" for name in found.keys() - kept.keys()]
    for name in sorted(kept.keys() & found.keys()):
        old, new = kept[name], found[name]
        if isinstance(old, str) or isinstance(new, str):
            if old != new:
                lines.append(f"  {name}: {old} was kept, found is {new}")
        elif not spread(old, new) <= tolerance:  # not a number is a difference too
            lines.append(f"  {name}: {_short(old)} was kept, found is {_short(new)}")
    return lines


def spread(old: Sequence[float], new: Sequence[float]) -> float:
    """The largest difference of a number, relative to itself or to 1 % of the largest."""
    if len(old) != len(new):
        return float("inf")
    floor = 0.01 * max(map(abs, old), default=0.0) or 1.0
    pairs = zip(old, new, strict=True)
    return max((abs(a - b) / max(abs(a), floor) for a, b in pairs), default=0.0)


def read_kept() -> dict[str, Any]:
    """The golden numbers by name; none if there is no file."""
    entries: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    return entries


def write_kept(entries: Mapping[str, Any]) -> None:
    """Keep golden numbers, one list a line."""
    blocks = []
    for name, entry in sorted(entries.items()):
        revisions = json.dumps(entry["revisions"])
        lines = [f"   {json.dumps(key)}: {json.dumps(n)}" for key, n in entry["numbers"].items()]
        numbers = "{\n" + ",\n".join(lines) + "\n  }"
        blocks.append(f' "{name}": {{\n  "revisions": {revisions},\n  "numbers": {numbers}\n }}')
    with replacing(KEPT) as temporary:
        temporary.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


def rounded(numbers: Numbers) -> Numbers:
    """As they are kept."""
    return {
        name: value if isinstance(value, str) else [float(f"{x:.{DIGITS}g}") for x in value]
        for name, value in numbers.items()
    }


def _short(value: Sequence[float] | str) -> str:
    return value if isinstance(value, str) else ", ".join(f"{x:.6g}" for x in value)
