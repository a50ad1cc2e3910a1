"""Which room may know which: floors of both packages, and what an import brings along."""

import ast
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPAT = "torchvision_compat"
CORE = [
    ("errors", "files", "hardware", "distributed", "neighbors", "provenance", COMPAT),
    ("entropy", "records", "seeds"),
    ("data", "constraints", "regularizers"),
    ("models",),
    ("training", "evaluation", "revisions"),
    ("cli",),
    ("__init__", "__main__"),
]
BOOK = [
    ("photos", "borrowed", "convergence", "decoder_memory"),
    (
        "checks",
        "plotting",
        "tables",
        "provenance",
        "published",
        "standins",
        "distributions",
    ),
    ("studies", "gans"),
    ("revisions", "constraints"),
    ("records",),
    ("runner", "sheets", "long_runs"),
    ("render",),
    ("cli",),
    ("__init__", "__main__"),
]
PACKAGES = {"eae_core": CORE, "eae_book": BOOK}
LIGHT = {*CORE[0], *CORE[1], *CORE[2]} - {"data", "records", COMPAT}


def imported(path):
    """Modules that a file imports, at the top or on first use; relative ones stay in its room."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(package):
    """Each file of a package with its room: the folder or the file below the package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path, path.relative_to(ROOT / package).parts[0].removesuffix(".py")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_knows_only_rooms_on_floors_below(package):
    floor = {room: number for number, each in enumerate(PACKAGES[package]) for room in each}
    found = {room for _, room in rooms(package)}
    assert found <= set(floor), "a new room needs a floor"
    known = 0
    for path, room in rooms(package):
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == package and parts[1] in floor and parts[1] != room:
                where = f"{path.relative_to(ROOT)} imports {name}"
                assert floor[parts[1]] < floor[room], where
                known += 1
    assert known > 10


def test_the_package_for_strangers_does_not_know_the_book():
    names = chain.from_iterable(imported(path) for path, _ in rooms("eae_core"))
    assert [name for name in names if name.split(".")[0] == "eae_book"] == []


def modules_known(package):
    """Each module of a package, with the modules of it that it imports, wherever in the file."""
    places = {}
    for path, _ in rooms(package):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        places[name.removesuffix(".__init__")] = path
    return {
        name: {known for each in imported(path) if (known := module_of(each, places)) != name}
        for name, path in places.items()
    }


def module_of(name, places):
    """The module that `from a.b import c` reads: a.b.c if that is one, else a.b."""
    while name and name not in places:
        name = name.rpartition(".")[0]
    return name


def circles(known):
    """Modules that import each other, directly or by way of others: what is left when those that
    import none of the rest are taken away, and those that none of the rest imports."""
    left = dict(known)
    while True:
        wanted = set().union(*left.values()) if left else set()
        ends = {name for name, others in left.items() if not others & left.keys()}
        ends |= left.keys() - wanted
        if not ends:
            return sorted(left)
        left = {name: others for name, others in left.items() if name not in ends}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_modules_know_each_other(package):
    """Not even inside a function: a module of a circle is understood only with all the others."""
    assert circles(modules_known(package)) == []


def test_a_circle_is_found():
    chain_only = {"a": {"b", ""}, "b": {"c"}, "c": set()}
    assert circles(chain_only) == []
    assert circles({**chain_only, "c": {"b"}, "d": {"a"}}) == ["b", "c"]


def loaded(program, *, after=""):
    """Names of modules that a program loads, after another one, in an interpreter of their own."""
    code = f"import sys\n{after}\nbefore = {{*sys.modules}}\n{program}\n"
    code += "print(*sorted(sys.modules.keys() - before))"
    command = [sys.executable, "-W", "error", "-c", code]
    return set(subprocess.check_output(command, cwd=ROOT, text=True).split())


def modules_of(package, chosen):
    """Dotted names of all modules in the rooms that a condition chooses."""
    files = (
        path.relative_to(ROOT).with_suffix("") for path, room in rooms(package) if chosen(room)
    )
    return [".".join(file.parts).removesuffix(".__init__") for file in files]


def test_the_whole_package_is_imported_without_the_book():
    modules = modules_of("eae_core", lambda room: room != "__main__")
    found = loaded("\n".join(f"import {name}" for name in modules))
    assert set(modules) <= found
    assert not [name for name in found if name.split(".")[0] == "eae_book"]


def test_the_lower_floors_bring_nothing_but_torch_numpy_and_special_functions():
    """What a stranger's own model needs; everything else would be a second to wait for."""
    light = modules_of("eae_core", lambda room: room in LIGHT)
    basis = "import torch, numpy, scipy.special\n"
    here = "from eae_core import CodeBatchNorm, knn_entropy\n"
    more = loaded(here + "\n".join(f"import {name}" for name in light), after=basis)
    known = {"eae_core", "torch", "numpy", *sys.stdlib_module_names}
    assert sorted(name for name in more if name.split(".")[0] not in known) == []


def test_the_estimator_and_the_constraint_wait_for_torch_and_numpy_alone():
    """Not even for SciPy, and next to a torchvision that cannot be imported."""
    broken = (
        "import importlib.abc\n"
        "class Broken(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.split('.')[0] in ('torchvision', 'scipy', 'torchmetrics'):\n"
        "            raise RuntimeError(f'operator {name}::nms does not exist')\n"
        "sys.meta_path.insert(0, Broken())\n"
    )
    here = (
        "from eae_core import CodeBatchNorm, KnnEntropy, knn_entropy, knn_kl_divergence\n"
        "z = CodeBatchNorm(3)(torch.randn(50, 3))\n"
        "assert knn_entropy(z, 2).isfinite()\n"
        "import eae_core\n"
        "assert eae_core.entropy.knn_entropy is knn_entropy\n"
    )
    more = loaded(broken + here, after="import torch, numpy")
    known = {"eae_core", "torch", "numpy", *sys.stdlib_module_names}
    assert sorted(name for name in more if name.split(".")[0] not in known) == []
