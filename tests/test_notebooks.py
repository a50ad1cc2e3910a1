"""The structure of every committed notebook, without running any."""

import ast
import inspect
import json
import re
import sys
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
import yaml

from eae_book.records import input_files
from eae_book.render.cleaning import path_pattern
from eae_book.render.staging import toc_documents
from eae_book.runner.manifest import load_manifest
from eae_book.runner.parameters import parameters_cell, read_parameters, resolve
from eae_core.data import DATASETS

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = load_manifest(ROOT / "notebooks" / "manifest.yml")
CHAPTERS = {chapter.name: chapter for chapter in MANIFEST.chapters}
FIGURE_CALL = re.compile(r"\bplt\.show\(\)|\.savefig\(")
LABEL = re.compile(r"^\(ch-[a-z0-9-]+\)=\n+# \S")
PACKAGES = ("eae_core", "eae_book")
LONGEST_CELL, LARGEST_FILE = 25, 1_000_000


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    return CHAPTERS[request.param]


@pytest.fixture
def notebook(chapter):
    return nbformat.read(MANIFEST.notebook(chapter), as_version=nbformat.NO_CONVERT)


@pytest.fixture
def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def outputs(cells, kind=None):
    return [o for cell in cells for o in cell.outputs if kind in (None, o.output_type)]


def test_manifest_files_and_table_of_contents_name_the_same_chapters():
    files = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert files == sorted(CHAPTERS)
    toc = toc_documents(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    assert sorted(Path(p).name for p in toc if p.startswith("notebooks/")) == sorted(CHAPTERS)


def test_what_a_chapter_needs_exists(chapter):
    assert set(chapter.needs) <= set(DATASETS)
    assert all(input_files(name) for name in chapter.inputs)


def test_the_file_is_small_and_as_nbformat_writes_it(chapter, notebook):
    path = MANIFEST.notebook(chapter)
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < LARGEST_FILE
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    nbformat.validate(notebook)
    assert text == nbformat.writes(notebook) + "\n", "renew it with: python -m eae_book refresh"


def test_the_kernel_is_the_running_python(notebook):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    assert notebook.metadata.kernelspec == kernel
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert "version" not in notebook.metadata.get("language_info", {})


def test_the_first_cell_is_a_title_with_a_label(notebook):
    assert notebook.cells[0].cell_type == "markdown"
    assert LABEL.match(notebook.cells[0].source)
    titles = [
        line
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in re.sub(r"(?s)```.*?```", "", cell.source).splitlines()
        if line.startswith("# ")
    ]
    assert len(titles) == 1


def test_there_is_one_parameters_cell_and_every_profile_fits_it(chapter, notebook):
    cell = parameters_cell(notebook)
    defaults = read_parameters(cell.source)
    assert defaults
    for profile in chapter.profiles:
        resolve(chapter, defaults, profile=profile)
    first = min(i for i, c in enumerate(notebook.cells) if "parameters" in tags(c))
    imports = [c for c in notebook.cells[:first] if c.cell_type == "code"]
    assert len(imports) == 1, "one imports cell, then the parameters cell"


def test_every_parameter_has_a_comment(notebook):
    for line in parameters_cell(notebook).source.splitlines():
        if re.match(r"\w+(: \w+)? = ", line):
            assert re.search(r"  # \S", line), line


def test_every_parameter_is_used(notebook, code_cells):
    defaults = read_parameters(parameters_cell(notebook).source)
    others = "\n".join(cell.source for cell in code_cells if "parameters" not in tags(cell))
    used = {node.id for node in ast.walk(ast.parse(others)) if isinstance(node, ast.Name)}
    assert set(defaults) <= used


def only_imports(source):
    """Whether a cell imports, and makes at most two calls such as use_book_style()."""
    others = [n for n in ast.parse(source).body if not isinstance(n, ast.Import | ast.ImportFrom)]
    return len(others) <= 2 and all(isinstance(node, ast.Expr) for node in others)


def test_cells_are_short_and_have_an_id_of_their_own(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and not only_imports(cell.source):
            assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source
    identifiers = [cell.id for cell in notebook.cells]
    assert len(set(identifiers)) == len(identifiers)


def test_every_code_cell_was_run_in_order_and_none_failed(code_cells):
    assert [cell.execution_count for cell in code_cells] == list(range(1, len(code_cells) + 1))
    assert outputs(code_cells, "error") == []


def test_outputs_hold_no_stderr_and_no_failed_check(code_cells):
    streams = outputs(code_cells, "stream")
    assert [o.text for o in streams if o.name == "stderr"] == []
    assert [o.text for o in streams if "fails:" in o.text] == []


def test_every_figure_has_caption_name_and_alt_text(code_cells):
    names = []
    for cell in code_cells:
        pictures = [o for o in outputs([cell]) if "image/png" in o.get("data", {})]
        if not pictures and not FIGURE_CALL.search(cell.source):
            assert "figure" not in cell.metadata.get("mystnb", {}), "a caption without a figure"
            continue
        assert len(cell.outputs) == len(pictures) == 1, "a figure cell makes one picture, no text"
        settings = cell.metadata["mystnb"]
        names.append(settings["figure"]["name"])
        assert re.fullmatch(r"fig-[a-z0-9-]+", names[-1])
        assert len(settings["figure"]["caption"].split()) >= 4
        assert len(settings["image"]["alt"].split()) >= 4
        assert settings["image"]["alt"] != settings["figure"]["caption"]
    assert len(names) == len(set(names)) <= 12


def test_figure_names_are_unique_in_the_book():
    names = [
        cell.metadata.mystnb.figure.name
        for chapter in MANIFEST.chapters
        for cell in nbformat.read(MANIFEST.notebook(chapter), as_version=4).cells
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert len(names) == len(set(names))


def test_claims_are_all_that_their_cells_print(code_cells):
    claims = [cell for cell in code_cells if re.search(r"\bcheck(_close)?\(", cell.source)]
    assert claims, "a chapter checks its claims"
    for cell in claims:
        lines = "".join(o.text for o in outputs([cell], "stream")).splitlines()
        assert lines
        assert all(line.startswith("holds: ") for line in lines), lines
        assert {o.output_type for o in cell.outputs} == {"stream"}


def test_nothing_names_the_machine_or_the_moment(code_cells, notebook):
    for output in outputs(code_cells):
        output.get("data", {}).pop("image/png", None)  # any letters may stand there
    text = json.dumps(notebook)
    here = [path_pattern(str(ROOT)), path_pattern(sys.prefix)]
    for path in [*here, "/(home|Users)/[A-Za-z]", "/(root|tmp)/"]:
        assert re.search(path, text) is None, path
    metadata = json.dumps([notebook.metadata, *(cell.metadata for cell in notebook.cells)])
    for word in ("papermill", "execution", "iopub", "widgets", "ExecuteTime"):
        assert word not in metadata
    assert all("injected-parameters" not in tags(cell) for cell in code_cells)


def called_names(cells):
    """Calls in the cells, with what is called: names of both packages, or what hangs on them."""
    known = {}
    for cell in cells:
        tree = ast.parse(cell.source)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in PACKAGES:
                module = import_module(node.module)
                for alias in node.names:  # an AttributeError names what is gone
                    known[alias.asname or alias.name] = named(module, alias.name)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                known.pop(node.name, None)  # a chapter's own, under the same name
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                known.pop(node.id, None)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (found := resolved(node.func, known)) is not None:
                yield node, found


def named(module, name):
    """What `from module import name` gives: a submodule need not have been imported before."""
    return (
        getattr(module, name)
        if hasattr(module, name)
        else import_module(f"{module.__name__}.{name}")
    )


def resolved(node, known):
    """What an expression `name` or `name.attribute` means, if the name is a package's."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        owner = known.get(node.value.id)
        if inspect.ismodule(owner):
            return getattr(owner, node.attr)
    return None


def test_calls_fit_the_signatures_of_what_is_called(code_cells):
    """A chapter that no longer fits the packages is found without running it."""
    seen = 0
    for call, function in called_names(code_cells):
        starred = any(isinstance(each, ast.Starred) for each in call.args)
        if starred or any(keyword.arg is None for keyword in call.keywords):
            continue
        signature = inspect.signature(function)
        try:
            signature.bind(*call.args, **{each.arg: each.value for each in call.keywords})
        except TypeError as error:
            pytest.fail(f"{ast.unparse(call)}: {error}")
        seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    "source",
    [
        "from eae_core import knn_entropy as h\nh(z, neighbours=3)",
        "from eae_core import knn_entropy\nknn_entropy()",
        "from eae_core import entropy\nentropy.gone(z)",
        "from eae_book.checks import gone",
    ],
)
def test_a_call_that_does_not_fit_is_found(source):
    cells = [nbformat.v4.new_code_cell(source)]
    with pytest.raises((pytest.fail.Exception, AttributeError, ImportError)):
        test_calls_fit_the_signatures_of_what_is_called(cells)
