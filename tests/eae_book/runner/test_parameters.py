"""Parameters: read from the cell, refused before anything runs."""

import nbformat
import pytest
from tiny_checkout import PARAMETERS, code, entry, markdown, write_manifest

from eae_book.runner.manifest import load_manifest
from eae_book.runner.parameters import (
    parameters_cell,
    parse_assignments,
    read_parameters,
    resolve,
)
from eae_core.errors import UsageError

DEFAULTS = read_parameters(PARAMETERS)


@pytest.fixture
def chapter(tmp_path):
    def chapter(**profiles):
        profiles = {"quick": {}, "cpu": {}, "paper": {}} | profiles
        path = write_manifest(tmp_path, entry(profiles=profiles))
        return load_manifest(path).chapters[0]

    return chapter


def test_literals_keep_their_types():
    assert DEFAULTS == {"epochs": 3, "rate": 0.5, "name": "digits", "flag": True}
    assert [type(value) for value in DEFAULTS.values()] == [int, float, str, bool]
    assert read_parameters("x: float = -1e-3\n\n# a comment\ny = 1_000") == {"x": -1e-3, "y": 1000}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1 + 1", "'x = 1 \\+ 1' is not a literal"),
        ("x = other", "is not a literal"),
        ("x = None", "must be an int, float, str or bool"),
        ("x: int", "must be an int, float, str or bool"),
        ("x = [1]", "must be an int, float, str or bool"),
        ("x = 2j", "must be an int, float, str or bool"),
        ("x, y = 1, 2", "may only assign literals to names"),
        ("x = y = 1", "may only assign literals to names"),
        ("x += 1", "may only assign literals to names"),
        ("import os", "may only assign literals to names"),
        ("x = 1\nx = 2", "assigns 'x' twice"),
        ("x = ", "is not Python"),
    ],
)
def test_a_parameters_cell_holds_nothing_but_literals(source, message):
    with pytest.raises(UsageError, match=message):
        read_parameters(source)


def test_there_is_exactly_one_parameters_cell():
    cells = [markdown("x"), code("a = 1", "parameters"), code("b = 1", "other")]
    assert parameters_cell(nbformat.v4.new_notebook(cells=cells))["source"] == "a = 1"
    with pytest.raises(UsageError, match="here are 0"):
        parameters_cell(nbformat.v4.new_notebook(cells=cells[:1]))
    with pytest.raises(UsageError, match="here are 2"):
        parameters_cell(nbformat.v4.new_notebook(cells=[cells[1], code("", "parameters")]))


def test_assignments_are_split_at_the_first_equals_sign():
    assert parse_assignments(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("text", ["a", "=1", "a b=1", "1a=2", "-p"])
def test_an_assignment_has_a_name_and_a_value(text):
    with pytest.raises(UsageError, match="name=value"):
        parse_assignments([text])


def test_a_parameter_given_twice_is_an_error():
    with pytest.raises(UsageError, match=r"'a' is given twice \(1 and 2\)"):
        parse_assignments(["a=1", "b=2", "a=2"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("epochs=-7", -7),
        ("epochs=1_000", 1000),
        ("rate=2", 2.0),
        ("rate=1e-4", 1e-4),
        ("flag=false", False),
        ("flag=True", True),
        ("name=3", "3"),
        ("name=", ""),
    ],
)
def test_texts_become_values_of_the_default_type(chapter, text, value):
    chosen = resolve(chapter(), DEFAULTS, profile="cpu", assignments=parse_assignments([text]))
    (found,) = chosen.values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs=0.5", "epochs must be a whole number .its default is 3., not 0.5"),
        ("epochs=true", "epochs must be a whole number"),
        ("epochs=1e3", "epochs must be a whole number"),
        ("rate=fast", "rate must be a finite number .its default is 0.5., not 'fast'"),
        ("rate=nan", "rate must be a finite number"),
        ("rate=1e999", "rate must be a finite number"),
        ("flag=1", "flag must be true or false"),
        ("flag=yes", "flag must be true or false"),
        ("epoch=1", "no parameter 'epoch'; did you mean 'epochs'"),
        ("zzz=1", "no parameter 'zzz'; possible: epochs, rate, name, flag"),
    ],
)
def test_wrong_values_and_names_are_refused(chapter, text, message):
    with pytest.raises(UsageError, match=f"chapter 01: .*{message}"):
        resolve(chapter(), DEFAULTS, profile="cpu", assignments=parse_assignments([text]))


def test_a_number_too_large_for_a_float_is_refused(chapter):
    with pytest.raises(UsageError, match="rate must be a finite number"):
        resolve(chapter(), DEFAULTS, profile="cpu", assignments={"rate": "1" + 400 * "0"})


def test_the_command_line_wins_over_the_profile(chapter):
    quick = {"epochs": 1, "rate": 2}
    chosen = resolve(chapter(quick=quick), DEFAULTS, profile="quick", assignments={"epochs": "5"})
    assert chosen == {"epochs": 5, "rate": 2.0}
    assert resolve(chapter(quick=quick), DEFAULTS, profile="cpu") == {}


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"epoch": 1}, "the profile 'paper' of chapter 01 .* no parameter 'epoch'; did you mean"),
        ({"flag": 1}, "the profile 'paper' of chapter 01 .*: flag must be true or false"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"name": 3}, "name must be text"),
    ],
)
def test_every_profile_is_checked_whichever_runs(chapter, profile, message):
    with pytest.raises(UsageError, match=message):
        resolve(chapter(paper=profile), DEFAULTS, profile="quick")


def test_an_unknown_profile_is_answered_with_the_nearest(chapter):
    with pytest.raises(UsageError, match="no profile 'quik'; did you mean 'quick'"):
        resolve(chapter(), DEFAULTS, profile="quik")
