"""How long a chapter takes to read, and its head: one design for all chapters."""

from __future__ import annotations

import math
import re
from typing import Any

WORDS_A_MINUTE = 200
MINUTES_A_FIGURE = 0.25
MINUTES_A_LINE = 1 / 30  # of code in sight; folded code and folded solutions take no time

HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
ROWS = {key.lower(): key for key in ("Time to read", "Time to run", "Needs", "Builds on")}


def reading_minutes(cells: list[Any]) -> int:
    """Minutes that the cells of a folded notebook take: prose, figures and code in sight.

    >>> reading_minutes([{"cell_type": "markdown", "source": "word " * 590}])
    3
    """
    minutes = 0.0
    for cell in cells:
        if cell["cell_type"] == "markdown":
            minutes += len(in_sight(cell["source"]).split()) / WORDS_A_MINUTE
        elif cell["cell_type"] == "code":
            if not HIDDEN & set(cell["metadata"].get("tags", [])):
                minutes += MINUTES_A_LINE * len(cell["source"].splitlines())
            outputs = cell["outputs"]
            minutes += MINUTES_A_FIGURE * sum("image/png" in o.get("data", {}) for o in outputs)
    return max(1, math.ceil(minutes))


def in_sight(text: str) -> str:
    r"""The text without folded solutions, options of directives and labels.

    >>> in_sight("(a)=\n# One\n```{solution} ex\n:class: dropdown\nhidden\n```\nend").split()
    ['#', 'One', 'end']
    """
    shown = re.sub(r"(?ms)^(`{3,}|:{3,})\{solution.*?^\1\s*$", "", text)
    return re.sub(r"(?m)^(:[\w-]+:.*|\([\w-]+\)=|`{3,}.*|:{3,}.*)$", "", shown)


def spell_minutes(minutes: int) -> str:
    """Minutes in words.

    >>> spell_minutes(21), spell_minutes(60), spell_minutes(165)
    ('21 minutes', '1 hour', '2 hours 45 minutes')
    """
    hours, rest = divmod(minutes, 60)
    parts = [
        f"{n} {unit}{'s' if n > 1 else ''}" for n, unit in ((hours, "hour"), (rest, "minute")) if n
    ]
    return " ".join(parts)


def with_head(text: str, minutes: int) -> str:
    r"""The first text of a page, with its head in the book's design and the computed reading time.

    The head is a table that the page may have behind its title, in rows or in columns.

    >>> print(with_head("# One\n\nText.\n\n| Needs | none |\n|---|---|\n", 5))
    # One
    <BLANKLINE>
    ::::{div} chapter-head
    Time to read
    : 5 minutes
    <BLANKLINE>
    Needs
    : none
    <BLANKLINE>
    ::::
    <BLANKLINE>
    Text.
    """
    facts, rest = _take_table(text)
    facts["time to read"] = spell_minutes(minutes)
    entries = "".join(f"{name}\n: {facts[key]}\n\n" for key, name in ROWS.items() if facts.get(key))
    title = re.search(r"(?m)^# .*$", rest)
    end = title.end() if title else 0
    head = f"\n\n::::{{div}} chapter-head\n{entries}::::\n\n"
    return f"{rest[:end]}{head}{rest[end:].strip()}"


def _take_table(text: str) -> tuple[dict[str, str], str]:
    """The facts of the head's table by name in lower case, and the text without the table."""
    known = ROWS.keys()
    for found in re.finditer(r"(?m)(^\|.*\|[ ]*\n?){2,}", text):
        rows = [
            [cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in found[0].splitlines()
        ]
        rows = [row for row in rows if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
        if {cell.lower() for cell in rows[0]} <= known:
            facts = dict(zip((c.lower() for c in rows[0]), rows[1], strict=True))
        else:
            facts = {row[0].lower(): row[1] for row in rows if len(row) == 2}
        if facts.keys() & known:
            return facts, text[: found.start()] + text[found.end() :].lstrip("\n")
    return {}, text
