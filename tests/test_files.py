"""Files that are whole or absent."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eae_core import files
from eae_core.files import LockedError, check_writable, locked, remove_leftovers, replacing


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
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)  # root may write everywhere
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


def refusing(number):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_share_that_refuses_chmod_is_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "chmod", refusing(errno.EPERM))
    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
    check_writable(tmp_path)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_share_that_refuses_to_move_is_found_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", refusing(errno.EPERM))
    with pytest.raises(PermissionError, match=rf"cannot write {tmp_path} \(Operation not perm"):
        check_writable(tmp_path)
    assert os.listdir(tmp_path) == []


def test_too_little_room_is_found_before_the_work(tmp_path):
    with pytest.raises(OSError, match=r"1,000,000,000,000 MB are needed and .* free") as caught:
        check_writable(tmp_path, room=10**18)
    assert caught.value.errno == errno.ENOSPC


def test_a_name_as_long_as_names_may_be_is_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".txt")
    with replacing(path) as temporary:
        temporary.write_text("x")
    with locked(path):
        pass
    assert os.listdir(tmp_path) == [path.name]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "a[1].txt"
    old, new, other = (
        tmp_path / name for name in (".a[1].txt.0.part", ".a[1].txt.1.part", ".b.part")
    )
    for file in (old, new, other):
        file.write_text("half of it")
    os.utime(old, (0, 0))
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert sorted(os.listdir(tmp_path)) == sorted([new.name, other.name, path.name])
    remove_leftovers(path)
    assert sorted(os.listdir(tmp_path)) == sorted([other.name, path.name])


HOLDER = """
import sys, time
from eae_core.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_owner_and_dies_with_it(tmp_path):
    path = tmp_path / "model"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(LockedError, match=rf"model is being written by process {holder.pid} on"),
            locked(path),
        ):
            pytest.fail("two hold one lock")
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=10)
        assert os.listdir(tmp_path) == [".model.lock"]  # stale
        with locked(path):
            assert str(os.getpid()) in (tmp_path / ".model.lock").read_text()
        assert os.listdir(tmp_path) == []
    finally:
        holder.kill()
        holder.communicate()


def test_where_there_are_no_locks_the_work_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(files.fcntl, "flock", refusing(errno.ENOLCK))
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        pass
    monkeypatch.setattr(files, "fcntl", None)
    with locked(tmp_path / "a"), locked(tmp_path / "a"):
        pass
