"""What a reader may pass over is folded: imports, plotting code, and checks with their lines.

The committed notebooks keep everything in sight; only the rendered pages fold it.
"""

from __future__ import annotations

import ast
import html
import re
from typing import Any

from eae_book.checks import FAILS, HOLDS

HIDE = "hide-input"
SHOWN = {"parameters", "show-input"}  # cells with one of these tags stay open


def fold(notebook: Any) -> Any:
    """Fold a notebook (an nbformat node) in place, and return it."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        tags = cell["metadata"].setdefault("tags", [])
        if HIDE not in tags and not SHOWN & set(tags) and is_passed_over(cell):
            tags.append(HIDE)
        if HIDE in tags:
            shown = {"code_prompt_show": prompt(cell)}
            cell["metadata"]["mystnb"] = {**cell["metadata"].get("mystnb", {}), **shown}
        cell["outputs"] = with_badge(cell["outputs"])
        for output in cell["outputs"]:
            if "book-table" in (made := output.get("data", {}).get("text/html", "")):
                output["data"]["text/html"] = with_one_head(made)
    return notebook


def prompt(cell: Any) -> str:
    """What stands behind a fold, for the line that opens it."""
    if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
        return "Code of the figure"
    if only_imports(cell["source"]):
        return "Imports"
    if only_checks(cell):
        return "Code of the checks"
    tables = any("book-table" in o.get("data", {}).get("text/html", "") for o in cell["outputs"])
    return "Code of the table" if tables else "Code"


def with_one_head(made: str) -> str:
    """A table of pandas with the name of its rows in the head, which has a line of its own for it.

    >>> first = '<tr><th class="blank level0" >&nbsp;</th><th>error</th></tr>'
    >>> name = '<tr><th class="index_name level0" >model</th><th class="blank col0" ></th></tr>'
    >>> with_one_head(first + name)
    '<tr><th class="index_name level0" >model</th><th>error</th></tr>'
    """
    named = r'\s*<tr>\s*(<th class="index_name level0"\s*>.*?</th>).*?</tr>'
    line = re.search(named, made, re.DOTALL)
    blank = r'<th class="blank level0"\s*>&nbsp;</th>'
    if line is None or len(re.findall(blank, made)) != 1:
        return made
    name = line[1]
    return re.sub(blank, lambda _: name, made.replace(line[0], ""))


def is_passed_over(cell: Any) -> bool:
    """Whether a cell's code only imports, draws a figure, or checks claims."""
    draws = any("image/png" in output.get("data", {}) for output in cell["outputs"])
    return draws or only_imports(cell["source"]) or only_checks(cell)


def only_checks(cell: Any) -> bool:
    """Whether a cell prints lines of claims alone, and defines nothing that a reader may miss."""
    lines = [line for output in cell["outputs"] for line in _lines(output)]
    claims = bool(lines) and all(line.startswith((HOLDS, FAILS)) for line in lines)
    return claims and not re.search(r"(?m)^(def|class) ", cell["source"])


def only_imports(source: str) -> bool:
    r"""Whether code imports names and at most calls functions without a result.

    >>> only_imports("import math\nuse_book_style()"), only_imports("import math\nx = 1")
    (True, False)
    """
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a magic command
        return False
    kinds = (ast.Import, ast.ImportFrom)
    calls = all(isinstance(node, (*kinds, ast.Expr)) for node in body)
    return calls and any(isinstance(node, kinds) for node in body)


def with_badge(outputs: list[Any]) -> list[Any]:
    """The outputs of a cell without lines of claims, and one badge that counts and holds them."""
    kept, claims = [], []
    for output in outputs:
        lines = _lines(output)
        found = [line for line in lines if line.startswith((HOLDS, FAILS))]
        claims += found
        rest = [line for line in lines if line not in found]
        if found:
            output["text"] = "".join(f"{line}\n" for line in rest)
        if not found or any(map(str.strip, rest)):
            kept.append(output)
    return [*kept, _display(badge(claims), "\n".join(claims))] if claims else kept


def _lines(output: Any) -> list[str]:
    """The lines that an output printed."""
    if output["output_type"] != "stream" or output.get("name") != "stdout":
        return []
    text = output["text"] if isinstance(output["text"], str) else "".join(output["text"])
    return text.splitlines()


def badge(claims: list[str]) -> str:
    """The lines of claims behind a count, red and open where one fails.

    >>> badge(["holds: a: value 1, band [0, 2]"])
    '<details class="claims"><summary>1 check holds</summary><pre>a: value 1, ...</pre></details>'
    """
    failed = [line for line in claims if line.startswith(FAILS)]
    count = len(claims)
    if failed:
        words = f"{len(failed)} of {count} check{'s' if count > 1 else ''} fail"
        words += "s" if len(failed) == 1 else ""
    else:
        words = "1 check holds" if count == 1 else f"{count} checks hold"
    shown = html.escape("\n".join(line.removeprefix(HOLDS) for line in claims), quote=False)
    kind = 'class="claims claims-fail" open' if failed else 'class="claims"'
    return f"<details {kind}><summary>{words}</summary><pre>{shown}</pre></details>"


def _display(markup: str, text: str) -> Any:
    from nbformat.v4 import new_output

    return new_output("display_data", {"text/html": markup, "text/plain": text})
