"""Executed notebooks made fit to show and to commit.

Small pictures, no timings, no paths of this machine, no progress bars. The source notebook gives
everything but the outputs, so cell ids, tags and the parameters cell stay as they were written.
"""

from __future__ import annotations

import base64
import copy
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from eae_book.photos import PHOTOS
from eae_core.errors import CommandError

INJECTED = "injected-parameters"
TOP = ("_runs", "book", "data", "eae_book", "eae_core", "notebooks")
"""Folders of a checkout that outputs may speak of."""


def clean(source: Any, executed: Any, *, root: Path, keep_injected: bool = False) -> Any:
    """The source notebook with the outputs of its executed copy, cleaned.

    Args:
        source: The chapter as committed (an nbformat notebook).
        executed: The same chapter as Papermill left it.
        root: The checkout, whose path is taken out of the outputs.
        keep_injected: Show the cell that replaced parameters, as a rendered run should.

    Raises:
        CommandError: If the two are not the same chapter.
    """
    cells = {cell["id"]: cell for cell in executed["cells"]}
    notebook = copy.deepcopy(source)
    for cell in notebook["cells"]:
        if cell["id"] not in cells or cells[cell["id"]]["source"] != cell["source"]:
            raise CommandError(f"the executed notebook lacks the cell {cell['id']!r}; run it again")
        if cell["cell_type"] == "code":
            ran = cells[cell["id"]]
            cell["execution_count"] = ran["execution_count"]
            cell["outputs"] = clean_outputs(ran["outputs"], root=root)
    if keep_injected:
        _insert_injected(notebook, executed)
    return notebook


def _insert_injected(notebook: Any, executed: Any) -> None:
    """Put Papermill's cell of replaced parameters behind the cell it follows."""
    ids = [cell["id"] for cell in notebook["cells"]]
    for before, cell in zip(executed["cells"], executed["cells"][1:], strict=False):
        if INJECTED in cell["metadata"].get("tags", []):
            injected = copy.deepcopy(cell)
            injected["metadata"] = {"tags": [INJECTED]}
            injected["source"] = injected["source"].replace(
                "# Parameters", "# In this run these values replace those above:", 1
            )
            notebook["cells"].insert(ids.index(before["id"]) + 1, injected)
            return


def clean_outputs(outputs: Iterable[Any], *, root: Path) -> list[Any]:
    """Outputs without stderr and timings, their texts without this machine's paths."""
    kept = []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stderr":
            continue  # progress bars and timings are written there
        output = copy.deepcopy(output)
        if "text" in output:
            output["text"] = hide_paths(_joined(output["text"]), root=root)
        data = output.get("data", {})
        for mime, content in data.items():
            if mime.startswith("text/"):
                data[mime] = hide_paths(_joined(content), root=root)
            elif mime == "image/png":
                data[mime] = smaller_png(_joined(content))
        output.get("metadata", {}).pop("execution", None)
        kept.append(output)
    return kept


def smaller_png(encoded: str) -> str:
    """The same picture in base64, in 256 colours if that is smaller: the eye sees no difference.

    What it says of the places of its images is kept.
    """
    info = PngInfo()
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        if PHOTOS in picture.info:
            info.add_text(PHOTOS, picture.info[PHOTOS])
        flat = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        flat.save(buffer, format="PNG", optimize=True, pnginfo=info)
    small = base64.b64encode(buffer.getvalue()).decode()
    return min(small, encoded.replace("\n", ""), key=len)


def warnings_of(executed: Any) -> list[str]:
    """Lines of stderr that name a warning, each once: they are cleaned away and shown elsewhere."""
    found = (
        line.strip()
        for cell in executed["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream" and output["name"] == "stderr"
        for line in _joined(output["text"]).splitlines()
        if re.search(r"\b\w*Warning\b", line)
    )
    return list(dict.fromkeys(found))


def machine_paths(root: Path) -> list[str]:
    """Absolute paths that name this machine, the longest first.

    A folder at the top, such as /code, /data or /root, names none: ordinary text holds such words.

    >>> any(len(Path(path).parts) == 2 for path in machine_paths(Path("/code")))
    False
    """
    paths = {str(root), str(root.resolve()), sys.prefix, sys.base_prefix, os.path.expanduser("~")}
    found = {path for path in paths if len(Path(path).parts) > 2}
    return sorted(found - {"/usr/local"}, key=len, reverse=True)


def hide_paths(text: str, *, root: Path) -> str:
    """Paths inside the checkout become relative to it, this machine's other paths `...`.

    >>> hide_paths("saved in /home/me/book/_runs/x", root=Path("/home/me/book"))
    'saved in _runs/x'
    """
    roots = {str(root), str(root.resolve())}
    top = "|".join(map(re.escape, TOP))
    for path in sorted({*machine_paths(root), *roots, tempfile.gettempdir()}, key=len)[::-1]:
        if path not in roots:
            text = re.sub(path_pattern(path), "...", text)
        elif len(Path(path).parts) > 2:
            text = re.sub(f"{path_pattern(path)}/", "", text)
            text = re.sub(path_pattern(path), ".", text)
        else:
            text = re.sub(f"{path_pattern(path)}/(?=({top})\\b)", "", text)
    return text


def path_pattern(path: str) -> str:
    """A regular expression for this path, but not for one that merely contains its letters."""
    return rf"(?<![\w.]){re.escape(path)}(?![\w-])"


def _joined(text: Any) -> str:
    """Notebook files may keep a text as a list of lines."""
    return text if isinstance(text, str) else "".join(text)
