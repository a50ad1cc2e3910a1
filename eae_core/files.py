"""Files that are either whole or absent: write to a neighbour, then move it into place."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Whoever reads ``path`` meanwhile sees the old file or the new one, never a part. If the block
    fails, the old file stays and the temporary one is removed.

    Raises:
        OSError: the folder cannot be made or written to, or the disk is full.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "greeting.txt"
        >>> with replacing(path) as temporary:
        ...     _ = temporary.write_text("hello")
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('hello', 1)
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode  # as the user's umask has it; some writers narrow it
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # on the disk before the name points to it
        temporary.replace(path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        # After a move nothing is left to remove; a folder that never was has nothing either.
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def check_writable(folder: str | Path) -> None:
    """Make the folder and write a nameless file into it, so that hours of work do not end in one.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        raise _explained(error, folder) from error


def _explained(error: OSError, path: Path) -> OSError:
    # With an errno, OSError makes the subclass (PermissionError, NotADirectoryError, ...) itself.
    reason = error.strerror or str(error)
    message = f"cannot write {path} ({reason}): choose a place that is writable and has room"
    return OSError(error.errno, message) if error.errno else OSError(message)
