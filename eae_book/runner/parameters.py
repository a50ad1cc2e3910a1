"""The parameters of a chapter: read from its parameters cell, checked before anything runs.

Papermill only warns about a parameter that a notebook does not have, and passes a value of any
type. A run with a misspelt parameter would be a run of something else, so we refuse both.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eae_book.runner.manifest import Chapter, Value
from eae_core.errors import UsageError, nearest, printable

TAG = "parameters"


def parameters_cell(notebook: Any) -> Any:
    """The one code cell tagged `parameters`; `UsageError` if there is none, or more than one."""
    cells = [
        cell
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and TAG in cell.get("metadata", {}).get("tags", [])
    ]
    if len(cells) != 1:
        raise UsageError(f"a chapter has one code cell tagged {TAG!r}; here are {len(cells)}")
    return cells[0]


def read_parameters(source: str) -> dict[str, Value]:
    r"""The names and values that a parameters cell assigns.

    Each statement must assign one literal int, float, str or bool to one name.

    >>> read_parameters('epochs = 5  # passes\ndevice: str = "auto"\nrate = -1e-3')
    {'epochs': 5, 'device': 'auto', 'rate': -0.001}
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise UsageError(f"the parameters cell is not Python: {error}") from error
    parameters: dict[str, Value] = {}
    for statement in statements:
        name, value = _assignment(statement)
        if name in parameters:
            raise UsageError(f"the parameters cell assigns {name!r} twice")
        parameters[name] = value
    return parameters


def _assignment(statement: ast.stmt) -> tuple[str, Value]:
    """The name and the literal of one assignment."""
    target: ast.expr | None = None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    text = ast.unparse(statement)
    if not isinstance(target, ast.Name):
        raise UsageError(f"the parameters cell may only assign literals to names, not {text!r}")
    assert isinstance(statement, ast.Assign | ast.AnnAssign)
    try:
        value = ast.literal_eval(statement.value) if statement.value else None
    except (ValueError, TypeError) as error:
        raise UsageError(f"the parameter in {text!r} is not a literal") from error
    if not isinstance(value, bool | int | float | str):
        raise UsageError(f"the parameter in {text!r} must be an int, float, str or bool")
    return target.id, value


def parse_assignments(texts: Sequence[str]) -> dict[str, str]:
    """Split `name=value` texts from the command line; a repeated name is an error.

    >>> parse_assignments(["k=1", "dataset=mnist"])
    {'k': '1', 'dataset': 'mnist'}
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise UsageError(f"-p takes name=value, such as -p epochs=5, not {text!r}")
        if printable(value) != value:
            raise UsageError(f"the parameter {name!r} must be plain text in UTF-8, not {value!r}")
        if name in given:
            raise UsageError(f"the parameter {name!r} is given twice ({given[name]} and {value})")
        given[name] = value
    return given


def resolve(
    chapter: Chapter,
    defaults: Mapping[str, Value],
    *,
    profile: str,
    assignments: Mapping[str, str] | None = None,
) -> dict[str, Value]:
    """What a run replaces: the profile's values, and over them those of the command line.

    Every value is checked against the type of the default in the parameters cell (an int is
    accepted for a float). Raises `UsageError`, naming the nearest valid names.
    """
    if profile not in chapter.profiles:
        raise UsageError(
            f"chapter {chapter.id} has no profile {profile!r}; {nearest(profile, chapter.profiles)}"
        )
    for name, values in chapter.profiles.items():  # a typing slip in any profile is shown at once
        where = f"the profile {name!r} of chapter {chapter.id} in the manifest"
        _refuse_unknown(values, defaults, where=where)
        for parameter, value in values.items():
            _typed(parameter, value, defaults[parameter], where=where)
    where = f"chapter {chapter.id}"
    assignments = assignments or {}
    _refuse_unknown(assignments, defaults, where=where)
    chosen = {
        name: _typed(name, value, defaults[name], where=where)
        for name, value in chapter.profiles[profile].items()
    }
    for name, text in assignments.items():
        chosen[name] = _typed(name, _from_text(text, defaults[name]), defaults[name], where=where)
    return chosen


def _refuse_unknown(names: Iterable[str], known: Mapping[str, Value], *, where: str) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"{where}: there is no parameter {name!r}; {nearest(name, known)}")


def _from_text(text: str, default: Value) -> Value:
    """`text` as a value of the default's type, or unchanged where it is not one."""
    if isinstance(default, str):
        return text
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _typed(name: str, value: Value, default: Value, *, where: str) -> Value:
    """`value`, if it has the type of `default`."""
    expected = type(default)
    if expected is float and type(value) is int:
        value = float(value) if abs(value) < 2**1000 else math.inf
    if type(value) is not expected or (isinstance(value, float) and not math.isfinite(value)):
        kinds = {
            bool: "true or false",
            int: "a whole number",
            float: "a finite number",
            str: "text",
        }
        raise UsageError(
            f"{where}: {name} must be {kinds[expected]} (its default is {default!r}), not {value!r}"
        )
    if expected is int and (name == "seed" or name.endswith("_seed")):
        from eae_core.seeds import check_seed  # torch is imported late

        try:
            check_seed(int(value), name)
        except ValueError as error:
            raise UsageError(f"{where}: {error}") from error
    return value
