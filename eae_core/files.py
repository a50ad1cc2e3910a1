"""Files that are either whole or absent, and that one process writes at a time."""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LONGEST_WRITE = 3600.0  # seconds without a byte written, after which a temporary file is a leftover


class LockedError(OSError):
    """Another process writes here."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Whoever reads ``path`` meanwhile sees the old file or the new one, never a part. If the block
    fails, the old file stays; what a killed process left behind is removed by a later one.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path, idle=LONGEST_WRITE)
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode  # as the user's umask has it; some writers narrow it
        yield temporary
        with suppress(OSError):  # some shares have modes of their own
            temporary.chmod(mode)
        _flush(temporary)  # before the name points to it
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        with suppress(OSError):  # after a move nothing is left to remove
            temporary.unlink()


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write JSON that a reader can read too, whole or not at all; OSError as `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def remove_leftovers(path: Path, *, idle: float = 0.0) -> None:
    """Remove temporary files of ``path`` that nobody wrote to for so many seconds."""
    for left in path.parent.glob(f".{glob.escape(path.name[:200])}.*.part"):
        with suppress(OSError):  # another process was faster
            if time.time() - left.stat().st_mtime >= idle:
                left.unlink()


def check_writable(folder: str | Path, *, room: int = 0) -> None:
    """Make a folder, write to it and remove what was written, before hours of work end there.

    Raises:
        OSError: it cannot be made or written to, or less than ``room`` bytes are free.
    """
    folder = Path(folder)
    probe = folder / f".probe-{secrets.token_hex(4)}"
    try:
        with replacing(probe) as temporary:
            temporary.write_bytes(b"x")
        probe.unlink()
        if (free := shutil.disk_usage(folder).free) < room:
            reason = f"{room / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB free"
            raise OSError(errno.ENOSPC, reason)
    except OSError as error:
        raise _explained(error.__cause__ or error, folder) from error


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Within the block no other process gets this lock; a process that dies gives it up.

    It is the operating system's own (``flock``), on a hidden file beside ``path`` that names its
    owner. Without such locks (on Windows, on some shares) nothing is protected.

    Raises:
        LockedError: another process has it; says which, on which machine and since when.
        OSError: the folder cannot be made or written to.
    """
    path = Path(path)
    lock = path.with_name(f".{path.name[:200]}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _take(lock, path)
    except LockedError:
        raise
    except OSError as error:
        raise _explained(error, path) from error
    with file:
        now = time.strftime("%Y-%m-%d %H:%M")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()} since {now}")
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()


def _take(lock: Path, path: Path) -> IO[str]:
    """The lock file, opened and locked."""
    while True:
        file = lock.open("a+")
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                return file  # a share without locks
            file.seek(0)
            owner = file.read() or "another process"
            file.close()
            raise LockedError(
                f"{path} is being written by {owner}: wait for it, end it, or name another place"
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()  # its last owner removed it in between


def expanded(path: str | Path) -> Path:
    """The path with ``~`` as a home; ValueError if that of a user whom nobody here knows."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path} begins with the home of a user whom nobody here knows") from error


@contextmanager
def read_as_numpy(path: str | Path) -> Iterator[None]:
    """Within the block every way in which NumPy fails on a file is a ValueError that names it.

    A file that cannot be read is an OSError. ``numpy.load`` must be given ``allow_pickle=False``.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            raise ValueError("it is no ordinary file")
        yield
    except (OSError, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise ValueError(f"{path} declares more numbers than the memory holds: {error}") from error
    except Exception as error:  # its readers of headers and of zip files have errors of their own
        pickle = "pickle" in str(error)
        said = "it is none, or a pickle, which could run code" if pickle else str(error)
        raise ValueError(f"{path} holds no array of numbers written by NumPy: {said}") from error


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # shares that have no such call
                raise


def _explained(error: BaseException, path: Path) -> OSError:
    # With an errno, OSError makes the subclass (PermissionError, NotADirectoryError, ...) itself.
    number, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or error
    message = f"cannot write {path} ({reason}): choose a place that is writable and has room"
    return OSError(number, message) if number else OSError(message)
