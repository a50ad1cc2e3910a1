"""The command line of the book: words, exit statuses, and what is printed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from tiny_checkout import code, run_folders, write_notebook

from eae_book.cli import main
from eae_book.cli.parser import PROGRAM, build_parser
from eae_book.records import read_record

COMMAND = [sys.executable, "-m", "eae_book"]


@pytest.mark.parametrize("words", [["run", "--help"], ["run", "9", "--root", "nowhere"]])
def test_help_and_refusals_are_quick_because_nothing_heavy_is_imported(words):
    program = (
        "import sys\nfrom eae_book.cli import main\n"
        f"try:\n    main({words})\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'numpy', 'matplotlib', 'papermill'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    assert done.returncode == 0


@pytest.mark.parametrize("verb", ["run", "book", "refresh", "runs", "train"])
def test_every_verb_shows_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    example = capsys.readouterr().out.split("example:\n")[1].splitlines()
    assert example
    for line in example:
        words = line.strip().removeprefix(f"{PROGRAM} ").split()
        assert words[0] == verb
        build_parser().parse_args(words)


@pytest.mark.parametrize(
    "words", [[], ["runn"], ["run"], ["book", "--profile"], ["train", "--judges"]]
)
def test_words_that_are_none_are_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "frist"], "no chapter 'frist'; did you mean 'first'"),
        (["run", "01", "--profile", "papre"], "no profile 'papre'"),
        (["run", "01", "-p", "epoch=2"], "no parameter 'epoch'"),
        (["run", "01", "-p", "epochs=x"], "epochs must be a whole number"),
        (["run", "01", "-p", "epochs=1", "-p", "epochs=2"], "'epochs' is given twice"),
        (["refresh", "frist"], "no chapter 'frist'"),
        (["book", "--profile", "papre"], "no profile 'papre'"),
        (["book", "--jobs", "0"], "--jobs must be at least 1, got 0"),
    ],
)
def test_a_wrong_request_runs_nothing(said, project, words, message):
    status, out, err = said(*words, "--root", project.root)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert not project.runs.exists()


def test_a_folder_that_is_no_checkout_is_named(said, tmp_path):
    status, _, err = said("run", "01", "--root", tmp_path)
    assert status == 2
    assert f"no notebooks/manifest.yml in {tmp_path}" in err


@pytest.mark.slow
def test_two_runs_at_once_and_one_that_fails(said, project):
    write_notebook(project.root, "01_first", code("print(epochs)"))
    nothing = subprocess.check_output([*COMMAND, "runs", "--root", project.root], text=True)
    assert nothing.startswith(f"no runs yet; start one with  {PROGRAM} run 01")
    words = [*COMMAND, "run", "first", "--root", project.root, "--profile", "quick"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    folders = run_folders(project)
    assert len(folders) == 2
    for folder in folders:
        assert read_record(folder / "record.json").run == "01-quick"
        assert any(f"_runs/{folder.name}/01_first.ipynb" in text for text in printed)

    write_notebook(project.root, "01_first", code("1 / 0"))
    status, out, err = said("run", "01", "--root", project.root)
    assert (status, out) == (1, "")
    assert "ZeroDivisionError: division by zero" in err
    status, out, _ = said("runs", "--root", project.root)
    assert status == 0
    first = [line.split()[0] for line in out.splitlines()]
    assert first == ["experiment", "chapters", "chapters", "-"]
    _, out, _ = said("runs", "--json", "--root", project.root)
    assert [run["state"] for run in json.loads(out)] == ["finished", "finished", "unfinished"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_keeps_what_ran(project):
    write_notebook(
        project.root, "01_first", code("print('before')"), code("import time; time.sleep(99)")
    )
    words = [*COMMAND, "run", "01", "--root", project.root]
    # Where the tests themselves run in the background, SIGINT is ignored, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    kept = wait_for(lambda: next(iter(project.runs.glob("*/01_first.ipynb")), None))
    wait_for(lambda: "before\\n" in kept.read_text())
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"the cells that ran are kept in {kept.relative_to(project.root)}" in err
    assert "Traceback" not in err
    assert "before\\n" in kept.read_text()
    assert not (kept.parent / "record.json").exists()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
    return found


def test_escape_codes_in_names_and_damaged_records_reach_no_terminal(said, project):
    for name in ("01-\x1b[31mred", "01-cpu-damaged"):
        (project.runs / name).mkdir(parents=True)
    (project.runs / "01-cpu-damaged" / "record.json").write_text('{"schema": 2, "\\u001b[31m": 0}')
    status, out, err = said("runs", "--root", project.root)
    assert status == 0
    assert "\x1b" not in out + err
    assert r"_runs/01-\x1b[31mred" in out
    assert err.startswith("warning: passed over: ")
