"""What the environment gives: streams, signals, names; one sentence each and no traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_checkout import code, entry, write_manifest, write_notebook

import eae_core.cli
from eae_book.cli import main
from eae_book.runner.project import Project, find_project
from eae_core.errors import UsageError, printable

PROGRAM = f"{sys.executable} -m eae_book"


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
    import signal

    def interrupted(_arguments):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt

    assert verb(interrupted) == (130, "", "stopped\n")


def shell(command, root):
    words = command.format(program=PROGRAM, root=root)
    return subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="a shell, and /dev/full")
@pytest.mark.parametrize(
    ("command", "status", "err"),
    [
        ("{program} runs --root {root} >&-", 0, ""),
        ("{program} runs --root {root} > /dev/full", 1, "error: No space left on device\n"),
        ("{program} run 9 --root {root} 2>&- <&-", 2, ""),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii {program} runs --root {root}", 0, ""),
    ],
)
def test_streams_that_are_closed_full_or_of_few_letters(checkout, command, status, err):
    record = checkout.results / "demo" / "é.json"
    record.parent.mkdir(parents=True)
    result = shell(command, checkout.root)
    assert (result.returncode, result.stderr) == (status, err)


def test_names_that_no_file_can_have(checkout, capsys):
    root = ["--root", str(checkout.root)]
    odd = os.fsdecode(b"\xff")
    for words, line in {
        ("run", odd, *root): r"error: there is no chapter '\udcff'; possible: 01_first",
        ("run", "n" * 256, *root): "error: there is no chapter 'nnn",
        ("run", "01", "-p", f"name={odd}", *root): "error: the parameter 'name' must be text in",
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
