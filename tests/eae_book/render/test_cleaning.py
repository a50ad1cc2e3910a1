"""Executed notebooks made fit to commit."""

import base64
import copy
import io
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_notebook, new_output
from PIL import Image
from tiny_checkout import KERNELSPEC, code, markdown

from eae_book.render.cleaning import (
    clean,
    clean_outputs,
    hide_paths,
    machine_paths,
    smaller_png,
    warnings_of,
)
from eae_core.errors import CommandError

ROOT = Path("/home/someone/checkout")


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


@pytest.fixture
def source():
    """A chapter with old outputs."""
    cells = [markdown("# x"), code("n = 1", "parameters"), code("print(n)", "hide-input")]
    cells[2].outputs = [stream("old\n")]
    cells[2].execution_count = 7
    return new_notebook(cells=cells, metadata={"kernelspec": KERNELSPEC})


@pytest.fixture
def executed(source):
    """The same as Papermill leaves it."""
    notebook = copy.deepcopy(source)
    injected = code("# Parameters\nn = 2\n", "injected-parameters")
    notebook.cells.insert(2, injected)
    notebook.cells[3].outputs = [stream("2\n"), stream("50%\n", "stderr")]
    for count, cell in enumerate(notebook.cells):
        cell.metadata["papermill"] = {"duration": 1.5}
        if cell.cell_type == "code":
            cell.execution_count = count
            cell.metadata["execution"] = {"iopub.status.busy": "now"}
    notebook.metadata["papermill"] = {"output_path": "/home/someone"}
    notebook.metadata["widgets"] = {}
    return notebook


def test_only_outputs_and_counts_change(source, executed):
    cleaned = clean(source, executed, root=ROOT)
    nbformat.validate(cleaned)
    assert cleaned.cells[2].outputs == [stream("2\n")]
    assert [c.execution_count for c in cleaned.cells[1:]] == [1, 3]
    for before, after in zip(source.cells, cleaned.cells, strict=True):
        for key in ("id", "source", "metadata", "cell_type"):
            assert before[key] == after[key]
    assert cleaned.metadata == source.metadata
    assert source.cells[2].outputs == [stream("old\n")], "the source was changed"


def test_a_rendered_run_shows_what_it_replaced(source, executed):
    cleaned = clean(source, executed, root=ROOT, keep_injected=True)
    nbformat.validate(cleaned)
    assert cleaned.cells[2].source == "# In this run these values replace those above:\nn = 2\n"
    assert cleaned.cells[2].metadata == {"tags": ["injected-parameters"]}
    assert len(cleaned.cells) == 4


def test_another_chapter_is_not_mixed_in(source, executed):
    executed.cells[3].source = "print(n + 1)"
    with pytest.raises(CommandError, match=f"lacks the cell '{source.cells[2].id}'"):
        clean(source, executed, root=ROOT)


def test_paths_of_this_machine_are_hidden():
    text = f"{ROOT}/_runs/x {ROOT} {ROOT}s file://{ROOT}/a {sys.prefix}/lib x{ROOT}"
    hidden = hide_paths(text, root=ROOT)
    assert hidden.split()[:4] == ["_runs/x", ".", f"{ROOT}s", "file://a"]
    assert sys.prefix not in hidden
    assert tempfile.gettempdir() not in hide_paths(f"{tempfile.gettempdir()}/k_1.py:3", root=ROOT)


@pytest.mark.parametrize("root", ["/code", "/data"])
def test_a_checkout_in_a_folder_at_the_top(root):
    text = f"saved in {root}/_runs/x, {root}/other, the folder {root} and a {root}/b"
    hidden = f"saved in _runs/x, {root}/other, the folder {root} and a {root}/b"
    assert hide_paths(text, root=Path(root)) == hidden
    assert root not in machine_paths(Path(root))


def test_ordinary_text_that_resembles_a_path_stays():
    text = "a/home/someone/checkout and 3/4 of /usr/bin, /rooted, tmp/x"
    assert hide_paths(text, root=ROOT) == text


def test_texts_inside_rich_outputs_are_cleaned_and_pictures_kept():
    data = {"text/plain": f"<X at {ROOT}/y>", "text/html": [f"{ROOT}/", "z"], "image/svg": "<svg/>"}
    output = new_output("display_data", data=data, metadata={"execution": {}, "image/svg": {}})
    (cleaned,) = clean_outputs([output], root=ROOT)
    assert cleaned["data"] == {"text/plain": "<X at y>", "text/html": "z", "image/svg": "<svg/>"}
    assert cleaned["metadata"] == {"image/svg": {}}
    assert output["data"]["text/plain"].startswith("<X at /home"), "the original was changed"


def test_warnings_are_shown_once_before_they_are_cleaned_away(executed):
    executed.cells[3].outputs.append(stream("x.py:1: UserWarning: odd\n  f(x)\n" * 9, "stderr"))
    assert warnings_of(executed) == ["x.py:1: UserWarning: odd"]


def test_pictures_become_smaller_and_look_the_same():
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(0, 256, (64, 64, 1), np.uint8), 3, axis=2)  # greys
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    before = base64.b64encode(buffer.getvalue()).decode()
    after = smaller_png(before)
    assert len(after) < 0.7 * len(before)
    with Image.open(io.BytesIO(base64.b64decode(after))) as picture:
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - pixels).max() <= 8
    assert smaller_png(after) == after
