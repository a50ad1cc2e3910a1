"""YAML that fails loudly."""

import pytest

from eae_book.runner.strict_yaml import read_yaml
from eae_core.errors import UsageError


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "file.yml"
        path.write_text(text)
        return read_yaml(path)

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 1e-3), ("-2E5", -2e5), ("1.5e3", 1500.0), ("3", 3), ("0.5", 0.5), ("true", True)],
)
def test_numbers_are_numbers(read, text, value):
    found = read(f"x: {text}")["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["1e", "e5", "v1e3", "010", "1:30", "1:30:00", "0x10", "0b1", "yes", "on", "2026-01-01"]
)
def test_other_text_stays_as_it_is_typed(read, text):
    assert read(f"x: {text}") == {"x": text}


def test_what_is_quoted_stays_text(read):
    assert read('x: "1e-3"') == {"x": "1e-3"}


def test_an_alias_may_repeat_and_not_multiply(read):
    assert read("a: &a [1, 2]\nb: *a\nc: [*a, *a]") == {"a": [1, 2], "b": [1, 2], "c": [[1, 2]] * 2}
    for text in ("a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]", "a: &a {x: [*a]}"):
        with pytest.raises(UsageError, match=r"the alias \*a stands inside an anchor"):
            read(text)
    with pytest.raises(UsageError, match="not valid YAML: maximum recursion"):
        read("[" * 5000)


def test_a_key_given_twice_is_an_error_with_its_line(read):
    with pytest.raises(UsageError, match=r"'x' stands here twice\n.*line 3"):
        read("x: 1\ny: 2\nx: 3\n")


def test_broken_files_are_named(read, tmp_path):
    with pytest.raises(UsageError, match=r"file\.yml is not valid YAML"):
        read("x: [1, 2")
    with pytest.raises(UsageError, match=r"cannot read .*absent\.yml: No such file"):
        read_yaml(tmp_path / "absent.yml")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UsageError, match=r"binary\.yml is not valid YAML"):
        read_yaml(tmp_path / "binary.yml")


def test_nothing_in_a_file_is_executed(read):
    with pytest.raises(UsageError, match="not valid YAML"):
        read("x: !!python/object/apply:os.getcwd []")
