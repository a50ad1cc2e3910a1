"""Tables of results: HTML by pandas, the best emphasised, the same as text where there is no page.

A chapter ends a cell with :func:`table`. The page shows a table that scrolls inside its column,
with its first column fixed; a notebook on a terminal shows the same numbers as text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

Best = Literal["min", "max"]
WORDS = "words"  # the class of cells whose text may be broken into lines


class Table:
    """A finished table; its text and its HTML hold the same cells."""

    def __init__(
        self, frame: pd.DataFrame, caption: str, bold: pd.DataFrame, words: pd.DataFrame
    ) -> None:
        self.frame, self.caption, self.bold, self.words = frame, caption, bold, words

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.frame.to_string()}" if self.caption else str(self.frame)

    def _repr_html_(self) -> str:
        # Named by its cells: tables of a page share no rules, and a rerun gives the same HTML.
        name = hashlib.sha256(repr(self).encode()).hexdigest()[:8]
        styler = self.frame.style.set_table_attributes('class="book-table"').set_uuid(name)
        styler = styler.format(escape="html").format_index(escape="html")
        styler = styler.apply(lambda _: self.bold, axis=None).set_td_classes(self.words)
        left = [
            "text-align: left" if (self.words[name] == WORDS).any() else "" for name in self.frame
        ]
        styler = styler.apply_index(lambda _: left, axis="columns")
        if self.caption:
            styler = styler.set_caption(self.caption)
        return f'<div class="book-table-scroll" tabindex="0">{styler.to_html()}</div>'


def table(
    rows: Sequence[Mapping[str, Any]] | pd.DataFrame,
    *,
    caption: str = "",
    first: str | None = None,
    digits: int | Mapping[str, int] = 2,
    best: Mapping[str, Best] | None = None,
    within: Mapping[str, float] | None = None,
    sort: str | None = None,
) -> Table:
    """A table from rows of named cells.

    Args:
        rows: one mapping a row, all with the same keys, or a data frame.
        caption: one sentence, shown above.
        first: the column that names the rows and stays in sight; the first by default.
        digits: after the point, of all columns or by column. Whole numbers stay whole.
        best: column to whether its smallest or largest number is emphasised.
        within: column to the spread (of seeds, say) within which others are as good as the best.
        sort: column to sort by, smallest first.

    Raises:
        ValueError: no rows, or a column that is not there.

    Example:
        >>> rows = [{"model": "AE", "distance": 37.04}, {"model": "EAE", "distance": 29.71}]
        >>> print(table(rows, caption="Two models.", digits=1, best={"distance": "min"}))
        Two models.
              distance
        model
        AE        37.0
        EAE       29.7
    """
    frame = (
        pd.DataFrame(rows).astype(object)
        if isinstance(rows, pd.DataFrame)
        else pd.DataFrame(list(rows), dtype=object)
    )
    if frame.empty:
        raise ValueError("a table needs at least one row")
    first = str(frame.columns[0]) if first is None else first
    asked = [first, *(best or {}), *(within or {}), *([sort] if sort else [])]
    if odd := [name for name in asked if name not in frame.columns]:
        raise ValueError(f"no column {odd[0]!r}; there are {', '.join(map(str, frame.columns))}")
    if sort:
        frame = frame.sort_values(sort, kind="stable")
    frame = frame.set_index(first)
    bold = pd.DataFrame("", index=range(len(frame)), columns=frame.columns)
    for name, which in (best or {}).items():
        numbers = pd.to_numeric(frame[name], errors="coerce").reset_index(drop=True)
        margin = (within or {}).get(name, 0.0)
        low, high = numbers.min() + margin, numbers.max() - margin
        good = numbers <= low if which == "min" else numbers >= high
        bold.loc[good.to_numpy(), name] = "font-weight: bold"
    shown = frame.copy().astype(object)
    for name in frame.columns:
        places = digits if isinstance(digits, int) else digits.get(name, 2)
        shown[name] = [_spell(value, places) for value in frame[name]]
    bold.index = shown.index
    words = frame.map(lambda value: WORDS if isinstance(value, str) else "")
    return Table(shown, caption, bold, words)


def _spell(value: Any, places: int) -> str:
    """A cell in words: whole numbers with commas, others with so many places, gaps as a dash."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return str(value)
    if isinstance(value, int) or (hasattr(value, "dtype") and value.dtype.kind in "iu"):
        return f"{int(value):,}"
    return f"{float(value):,.{places}f}"
