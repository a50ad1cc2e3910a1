"""Errors of the command lines, and what every message needs: near names, printable text."""

from __future__ import annotations

import difflib
import operator
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any


class CommandError(Exception):
    """Something that was started failed; the command line exits with status 1."""


class UsageError(CommandError):
    """The request itself is wrong, so nothing was run; the command line exits with status 2."""


@contextmanager
def refusing() -> Iterator[None]:
    """Within the block an impossible value and a file that cannot be used are a `UsageError`."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def nearest(word: object, options: Iterable[str], *, count: int = 3) -> str:
    """Which valid names are close to `word`, or all of them if none is.

    >>> nearest("latent_dims", ["latent_dim", "epochs"])
    "did you mean 'latent_dim'?"
    >>> nearest("xyz", ["latent_dim", "epochs"])
    'possible: latent_dim, epochs'
    """
    names = list(dict.fromkeys(options))
    if not names:
        return "there are none"

    def folded(name: object) -> str:
        return str(name).casefold().replace("-", "_")

    known = {folded(name): name for name in reversed(names)}
    if close := difflib.get_close_matches(folded(word), list(known), n=count, cutoff=0.6):
        return f"did you mean {' or '.join(repr(known[name]) for name in close)}?"
    return f"possible: {', '.join(names)}"


def printable(text: str) -> str:
    r"""Text of a file or of an environment with its control characters spelled out.

    >>> printable("a \x1b[31mred\x1b[0m name")
    'a \\x1b[31mred\\x1b[0m name'
    """

    def shown(character: str) -> str:
        if character in "\n\t" or unicodedata.category(character)[0] != "C":
            return character
        return character.encode("unicode_escape").decode("ascii")

    return "".join(map(shown, text))


def require(modules: Sequence[str], *, extra: str) -> None:
    """Raise `UsageError`, naming the extra to install, if one of `modules` is missing."""
    if missing := [name for name in modules if find_spec(name) is None]:
        raise UsageError(
            f"this needs {', '.join(missing)}, which is not installed; "
            f'run  pip install -e ".[{extra}]"  in the checkout'
        )


def check_integer(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """The value as an int, NumPy's too; ValueError with its name if it is none of this range."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {allowed}, got {value!r}")
    return number
