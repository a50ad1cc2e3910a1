"""The generated page "Runs and hardware": what was computed, where, when and in how much time.

Jupyter Book's own table of execution times is empty when the book does not execute the notebooks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from eae_book.runner.manifest import Chapter
from eae_core.cli.tables import spell_bytes, spell_seconds
from eae_core.errors import printable

if TYPE_CHECKING:
    from eae_book.records import Record

CHAPTERS = "chapters"
"""The experiment under which runs of chapters are recorded."""

INTRODUCTION = """\
(runs-and-hardware)=
# Runs and hardware

Where the numbers and figures of this copy of the book come from.
This page is written anew whenever the book is built.
"""


FILTER = """\
```{raw} html
<div id="runs-filter" class="explorable-bar"></div>
<script src="../_static/runs.js"></script>
```
"""


def runs_page(
    chapters: Sequence[tuple[Chapter, Record | None]], experiments: Sequence[Record] = ()
) -> str:
    """The page's Markdown.

    Args:
        chapters: Each chapter with the record of the run that is shown, if there is one.
        experiments: Recorded full-size results, which chapters quote.
    """
    recorded = [record for _, record in chapters if record is not None]
    parts = [INTRODUCTION, "## Chapters\n", _chapter_table(chapters)]
    if recorded:
        parts += ["## Versions\n", _version_table(recorded)]
    if experiments:
        parts += [
            "## Recorded results\n",
            "Runs too long to repeat for each copy; chapters say where they use them.\n",
            FILTER,
            f":::{{div}} runs-table\n{_experiment_table(experiments)}:::\n",
        ]
    return "\n".join(parts)


def _chapter_table(chapters: Sequence[tuple[Chapter, Record | None]]) -> str:
    rows = []
    for chapter, record in chapters:
        link = f"[{chapter.id} {markdown_text(chapter.title)}](../notebooks/{chapter.name}.ipynb)"
        if record is None:
            rows.append([link, "not recorded", ""])
            continue
        profile = record.run.removeprefix(f"{chapter.id}-".lower())
        rows.append([f"{link}<br>`{profile}`", *_measured(record)])
    return f":::{{div}} runs-table\n{_table(['chapter and profile', *MEASURED], rows)}:::\n"


def _experiment_table(experiments: Sequence[Record]) -> str:
    """Three columns, so that nothing is out of sight on a phone."""
    rows = []
    for record in experiments:
        of = [str(record.parameters.get(key) or "") for key in ("dataset", "model")]
        names = ", ".join(markdown_text(name) for name in of if name)
        shown = f"`{record.experiment}` `{record.run}`" + (f"<br>{names}" if names else "")
        rows.append([shown, *_measured(record)])
    return _table(["experiment and run", *MEASURED], rows)


MEASURED = ["time, memory", "device, date"]


def _measured(record: Record) -> list[str]:
    # Unbreakable spaces and hyphens: a number stays on the line of its unit, a date on one line.
    spent = [spell_seconds(record.seconds), spell_bytes(record.peak_memory_bytes)]
    date = markdown_text(record.created[:10]).replace("-", "\u2011")
    return [
        "<br>".join(spent).replace(" ", "\u00a0"),
        f"{markdown_text(record.device)}<br>{date}",
    ]


def _version_table(records: Iterable[Record]) -> str:
    """One row a package; runs with other versions are shown beside each other."""
    versions: dict[str, list[str]] = {}
    for record in records:
        for package, version in record.versions.items():
            found = versions.setdefault(package, [])
            if version not in found:
                found.append(version)
    rows = [
        [markdown_text(package), markdown_text(", ".join(found))]
        for package, found in versions.items()
    ]
    return _table(["package", "version"], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown_text(text: str) -> str:
    r"""A text of a record or a title as plain text of a page: no markup, no control characters.

    >>> markdown_text("<b>2.13</b> | x")
    '\\<b\\>2.13\\</b\\> \\| x'
    """
    return re.sub(r"([\\|\[\]<>*_`$&#{}~!@])", r"\\\1", " ".join(printable(text).split()))
