"""The errors of the suite: what went wrong, in words that say what is possible."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec


class CommandError(Exception):
    """Something that was started failed; the command line exits with status 1."""


class UsageError(CommandError):
    """The request itself is wrong, so nothing was run; the command line exits with status 2."""


def nearest(word: str, options: Iterable[str], *, count: int = 3) -> str:
    """Say which valid names are close to `word`, or list them all if none is.

    >>> nearest("latent_dims", ["latent_dim", "epochs"])
    "did you mean 'latent_dim'?"
    >>> nearest("xyz", ["latent_dim", "epochs"])
    'possible: latent_dim, epochs'
    >>> nearest("xyz", [])
    'there are none'
    """
    names = list(dict.fromkeys(options))
    if not names:
        return "there are none"
    folded = {name.casefold(): name for name in reversed(names)}
    close = difflib.get_close_matches(word.casefold(), list(folded), n=count, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(folded[name]) for name in close)}?"
    return f"possible: {', '.join(names)}"


def require(modules: Sequence[str], *, extra: str) -> None:
    """Raise `UsageError`, naming the extra to install, if one of `modules` is missing.

    >>> require(["json"], extra="book")
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"this needs {', '.join(missing)}, which is not installed; "
            f'run  pip install -e ".[{extra}]"  in the checkout'
        )
