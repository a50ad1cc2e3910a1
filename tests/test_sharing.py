"""Which tests go to one process together."""

import pytest
from sharing import scope


@pytest.mark.parametrize("file", ["test_book", "test_packaging", "training/test_parallel"])
def test_what_is_made_once_stays_in_one_process(file):
    tests = [f"tests/{file}.py::test_{which}" for which in ("one", "other[notebooks/01_first]")]
    assert {scope(test) for test in tests} == {f"tests/{file}.py"}


def test_chapters_go_one_by_one():
    tests = [f"tests/test_chapters.py::test_a_chapter_runs[{chapter}]" for chapter in ("01", "02")]
    assert [scope(test) for test in tests] == tests


def test_files_without_long_tests_stay_whole():
    for file in ("tests/test_files.py", "eae_core/files.py"):
        assert scope(f"{file}::one") == file
