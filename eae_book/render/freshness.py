"""Is a committed page as new as what it shows? Its record remembers what the page was made from.

``refresh`` leaves two things in the record of a chapter, under the parameter ``page``: a digest of
the code that ran, and for each experiment whose records the chapter shows, how many there were and
a digest of their numbers. A page is out of date when the code has changed since, or when there are
other records today.
"""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from eae_book.records import input_files, read_record, recorded
from eae_book.runner.manifest import Chapter, Manifest

PAGE = "page"


def code_digest(notebook: Any) -> str:
    """Twelve hexadecimal digits that change with what the code cells do.

    Comments and layout do not count, and neither do imports: where a function lives says nothing
    about what it returns, and a module that is moved leaves the outputs as they are.

    Example:
        >>> cells = [{"cell_type": "code", "source": source} for source in ("a = 1", "a  # one")]
        >>> moved = {"cell_type": "code", "source": "from x import y"}
        >>> code_digest({"cells": cells}) == code_digest({"cells": [moved, *cells]})
        True
        >>> code_digest({"cells": cells}) == code_digest({"cells": cells[:1]})
        False
    """
    digest = hashlib.sha256()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            digest.update(_statements("".join(cell["source"])).encode())
    return digest.hexdigest()[:12]


def _statements(source: str) -> str:
    r"""The statements of a cell but its imports, in one layout; a cell that is no Python as it is.

    Example:
        >>> _statements("import x\nf( 1,2 )  # why")
        'f(1, 2)\n'
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # %magic
        return source
    kept = [each for each in statements if not isinstance(each, ast.Import | ast.ImportFrom)]
    return "".join(f"{ast.unparse(each)}\n" for each in kept)


def shown_records(results: Path, inputs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """How many records there are of each input today, and a digest of their numbers."""
    found: dict[str, dict[str, Any]] = {}
    for name in inputs:
        paths = [path for path in input_files(name, results) if path.suffix == ".json"]
        records = map(read_record, paths)
        numbers = {record.run: [record.metrics, record.curves] for record in records}
        text = json.dumps(numbers, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        found[name] = {"records": len(paths), "digest": digest}
    return found


def page_of(notebook: Any, chapter: Chapter, results: Path) -> dict[str, Any]:
    """What a page that is made now is made from, as its record keeps it."""
    inputs = shown_records(results, chapter.inputs)
    return {"code": code_digest(notebook), "inputs": inputs}


def outdated(page: dict[str, Any], today: dict[str, Any]) -> list[str]:
    """Why a page that was made from the one is not what the other would make; nothing if it is.

    Example:
        >>> then = {"code": "a", "inputs": {"models-cpu": {"records": 66, "digest": "b"}}}
        >>> now = {"code": "a", "inputs": {"models-cpu": {"records": 88, "digest": "c"}}}
        >>> outdated(then, now), outdated(now, now)
        (['it shows 66 records of models-cpu, there are 88'], [])
    """
    reasons = []
    if page.get("code") != today["code"]:
        reasons.append("its code cells have changed since its outputs were made")
    shown = page.get("inputs", {})
    for experiment, now in today["inputs"].items():
        then = shown.get(experiment, {"records": 0})
        if then["records"] != now["records"]:
            counts = f"{then['records']} records of {experiment}, there are {now['records']}"
            reasons.append(f"it shows {counts}")
        elif then != now:
            reasons.append(f"it shows older numbers of {experiment}")
    return reasons


def outdated_pages(manifest: Manifest, results: Path) -> dict[str, list[str]]:
    """The chapters whose committed outputs are older than their code or their records, and why."""
    from eae_book.render.runs_page import CHAPTERS
    from eae_book.runner.chapter import read_notebook

    made = recorded(CHAPTERS, results)
    found = {}
    for chapter in manifest.chapters:
        record = made.get(f"{chapter.id}-cpu".lower())
        page = record.parameters.get(PAGE, {}) if record else {}
        today = page_of(read_notebook(manifest.notebook(chapter)), chapter, results)
        reasons = outdated(page, today)
        if reasons:
            found[chapter.name] = reasons
    return found
