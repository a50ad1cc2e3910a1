"""What the environment gives: streams, signals, names; one sentence each and no traceback."""

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_checkout import code, entry, write_manifest, write_notebook

import eae_core.cli
from eae_book.cli import main
from eae_book.runner.project import Project, find_project
from eae_core.errors import UsageError, printable


@pytest.fixture
def checkout(tmp_path):
    write_manifest(tmp_path, entry())
    write_notebook(tmp_path, "01_first", code("print(epochs)"))
    return Project(tmp_path)


@pytest.fixture
def verb(monkeypatch, capsys):
    """Call the command line with a verb `runs` that does something else."""

    def verb(function):
        module = type("Module", (), {"runs": staticmethod(function)})
        monkeypatch.setattr(eae_core.cli, "import_module", lambda name: module)
        status = main(["runs"])
        return status, *capsys.readouterr()

    return verb


def raising(error):
    def function(_arguments):
        raise error

    return function


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (KeyboardInterrupt(), 130, "stopped"),
        (KeyboardInterrupt("stopped; it is kept"), 130, "stopped; it is kept"),
        (OSError(28, "No space left on device", "x/y"), 1, "error: No space left on device: x/y"),
        (PermissionError(13, "Permission denied"), 1, "error: Permission denied"),
        (OSError("cannot write a"), 1, "error: cannot write a"),
        (MemoryError("Unable to allocate 50 GiB"), 1, "error: there is not enough memory: Unable"),
        (UsageError("no \x1b[31mred\x1b[0m"), 2, r"error: no \x1b[31mred\x1b[0m"),
    ],
)
def test_what_ends_a_command_is_one_line(verb, error, status, line):
    found, out, err = verb(raising(error))
    assert (found, out) == (status, "")
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_an_import_that_ctrl_c_broke_is_not_taken_for_an_error(verb):
    def interrupted(_arguments):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    assert verb(interrupted) == (130, "", "stopped\n")


@pytest.mark.skipif(sys.platform != "linux", reason="a shell, and /dev/full")
@pytest.mark.parametrize(
    ("words", "status", "lines"),
    [
        ("--help >&-", 0, 0),
        ("run 9 --root nowhere >&- <&-", 2, 1),
        ("run 9 --root nowhere 2>&-", 2, 0),
        ("run 9 --root nowhere 2> /dev/full", 2, 0),
    ],
)
def test_streams_that_are_closed_or_full(words, status, lines):
    command = ["bash", "-c", f"{sys.executable} -m eae_book {words}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (status, lines), result.stderr


class Full(io.StringIO):
    """A stream on a full disk."""

    def __init__(self, number):
        super().__init__()
        self.fileno = lambda: number

    def flush(self):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_results_that_cannot_be_written_are_a_failure(verb, monkeypatch, tmp_path):
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", Full(file.fileno()))
        status, *_ = verb(lambda _: print("result") or 0)
    assert status == 1


def test_letters_that_a_terminal_lacks_are_spelled_out(verb, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert verb(lambda _: print("d → ∞ \udcff") or 0)[0] == 0
    assert stream.buffer.getvalue() == rb"d \u2192 \u221e \udcff" + os.linesep.encode()


def test_names_that_no_file_can_have(checkout, capsys):
    root = ["--root", str(checkout.root)]
    odd = os.fsdecode(b"\xff")
    for words, line in {
        ("run", odd, *root): r"error: there is no chapter '\udcff'; possible: 01_first",
        ("run", "n" * 256, *root): "error: there is no chapter 'nnn",
        ("run", "01", "-p", f"name={odd}", *root): "error: the parameter 'name' must be plain text",
        ("runs", "--root", "n" * 256): "error: cannot read ",
        ("runs", "--root", odd): "error: no notebooks/manifest.yml in ",
    }.items():
        assert main(words) == 2
        err = capsys.readouterr().err
        assert err.startswith(line)
        assert err.count("\n") == 1


def test_a_folder_of_another_user_is_not_taken_for_an_empty_one(checkout, monkeypatch):
    def refused(_path, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(UsageError, match=r"cannot read .*manifest\.yml: Permission denied"):
        find_project(checkout.root)


def test_text_is_printable_and_otherwise_as_it_was():
    text = "ä λ → 三 👍\n\ta\u00a0b"
    assert printable(text) == text
    assert printable("\x1b\r\x9b\u202e\udcff\x00") == r"\x1b\r\x9b\u202e\udcff\x00"
