"""Chapters keep the numbers of their files, wherever the table of contents puts them.

A Sphinx extension: notebook `notebooks/06_slug` is Chapter 6, and its figures are 6.1, 6.2, ...;
a page whose name begins with no number has none.
"""

from __future__ import annotations

import re
from typing import Any

Number = tuple[str, ...]


def number_of(page: str) -> Number | None:
    """The number in a page's name.

    >>> number_of("notebooks/06_slug"), number_of("notebooks/04b_more"), number_of("book/api")
    (('6',), ('4b',), None)
    """
    found = re.match(r"0*([1-9]\d*[a-z]?)_", page.rpartition("/")[2])
    return (found[1],) if found else None


def renumber(env: Any) -> None:
    """Put the numbers of the files into Sphinx's tables of sections, titles and contents."""
    for page, sections in env.toc_secnumbers.items():
        number = number_of(page)
        env.toc_secnumbers[page] = {
            anchor: None if number is None or old is None else number + tuple(old[1:])
            for anchor, old in sections.items()
        }
        for node in (env.titles[page], *env.tocs[page].findall(_has_number)):
            old = node.attributes.pop("secnumber", None)
            if number is not None and old is not None:
                node["secnumber"] = [*number, *old[1:]]


def _has_number(node: Any) -> bool:
    return "secnumber" in getattr(node, "attributes", {})


def setup(app: Any) -> dict[str, bool]:
    """Renumber whenever Sphinx has numbered, and before it numbers figures."""
    from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as Collector

    plain: Any = Collector.assign_section_numbers

    def by_file(self: Any, env: Any) -> Any:
        changed = plain(self, env)
        renumber(env)
        return changed

    Collector.assign_section_numbers = by_file  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
