"""Texts in columns, and durations and sizes in words."""

from __future__ import annotations

from collections.abc import Sequence

from eae_core.errors import printable


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print texts in columns, the first row as their head; control characters are spelled out."""
    plain = [[printable(cell).replace("\n", "\\n") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*plain, strict=True)]
    for row in plain:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def spell_seconds(seconds: float) -> str:
    """A duration in words, or "-" where none was measured.

    >>> spell_seconds(4.21), spell_seconds(75), spell_seconds(8040), spell_seconds(0)
    ('4.2 s', '1 min 15 s', '2 h 14 min', '-')
    """
    if seconds <= 0:
        return "-"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def spell_bytes(count: int) -> str:
    """A size in words, or "-" where none was measured.

    >>> spell_bytes(734_003_200), spell_bytes(5_368_709_120), spell_bytes(0)
    ('700 MiB', '5.0 GiB', '-')
    """
    if count <= 0:
        return "-"
    mebibytes = count / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"
