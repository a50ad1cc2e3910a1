"""Files that are whole or absent."""

import errno
import os
from pathlib import Path

import pytest

from eae_core.files import check_writable, replacing


def test_a_new_file_takes_the_place_of_the_old_one_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half_written():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise failure

    with pytest.raises(failure):
        half_written()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_says_which_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(OSError, match=r"cannot write .*a\.txt \(No space left") as caught,
        replacing(path) as temporary,
    ):
        temporary.write_text("new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    blocker = tmp_path / "results"
    blocker.write_text("a file")
    with pytest.raises(FileExistsError, match=r"cannot write .*results"):
        check_writable(blocker)
    with (
        pytest.raises(OSError, match=r"cannot write .*a\.txt .*choose a place"),
        replacing(blocker / "deeper" / "a.txt"),
    ):
        pytest.fail("the block must not run")


def test_a_folder_without_permission_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # root may write everywhere
    with pytest.raises(PermissionError, match=r"cannot write .* \(Permission denied\)"):
        check_writable(tmp_path)


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    check_writable(Path(tmp_path) / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_the_file_may_be_read_by_whom_the_umask_lets_read_it(tmp_path):
    (tmp_path / "plain.txt").write_text("x")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.unlink()  # as a writer does that makes a private file of its own
        temporary.touch(mode=0o600)
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert modes["a.txt"] == modes["plain.txt"]
