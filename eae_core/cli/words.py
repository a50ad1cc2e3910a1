"""Words that several verbs share, also those of the book's command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = "eae"


class VerbParser(argparse.ArgumentParser):
    """The parser of one verb, some of whose words may cost an import: they wait for the verb."""

    add_later: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, *arguments: Any, **more: Any) -> Any:
        if self.add_later is not None:
            add, self.add_later = self.add_later, None
            add(self)
        return super().parse_known_args(*arguments, **more)


def add_verb(
    verbs: Any, name: str, *, call: str, help: str, example: str, more: str = "",
    program: str = PROGRAM,
) -> VerbParser:  # fmt: skip
    """One verb, with an example in its help; `call` is "package.module:function"."""
    lines = "".join(f"  {program} {line}\n" for line in example.splitlines())
    parser: VerbParser = verbs.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"{more}example:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(call=call)
    return parser


#: words that mean the same wherever they are taken
SHARED: dict[str, dict[str, Any]] = {
    "--device": {"default": "auto", "metavar": "NAME", "help": "auto, cpu, cuda or cuda:N (auto)"},
    "--limit": {"type": int, "metavar": "N", "help": "use only the first N images of each split"},
    "--no-progress": {"action": "store_true", "help": "show no progress bar"},
    "--seed": {"type": int, "default": 0, "metavar": "S", "help": "default: 0"},
}


def add_shared(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add some of the words that several verbs take."""
    for name in names:
        parser.add_argument(name, **SHARED[name])


def add_output(parser: argparse.ArgumentParser, default: str = "") -> None:
    path, help = Path(default) if default else None, default or "the model's folder"
    help = f"default: {help}"
    parser.add_argument("-o", "--output", type=Path, default=path, metavar="PATH", help=help)


def add_data(parser: argparse.ArgumentParser, *, note: str = "", **more: Any) -> None:
    """Words for data by name or path; their size is asked for where no model says it."""
    text = "name of a data set (see the verb data), a folder of pictures, or an .npy or .npz file "
    text += f"of images or of a table{note}"
    add = parser.add_argument
    add("--data", "--dataset", dest="dataset", metavar="WHERE", help=text, **more)
    text = "of own data, what is kept from training (0.1)"
    add("--test-fraction", type=float, default=0.1, metavar="F", help=text)
