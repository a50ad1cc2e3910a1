"""The words of the command line; what each verb does lies in the module it names."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

PROGRAM = "python -m eae_core"


class VerbParser(argparse.ArgumentParser):
    """The parser of one verb, some of whose words may cost an import: they wait for the verb."""

    add_later: Callable[[argparse.ArgumentParser], None] | None = None

    def parse_known_args(self, *arguments: Any, **more: Any) -> Any:
        if self.add_later is not None:
            add, self.add_later = self.add_later, None
            add(self)
        return super().parse_known_args(*arguments, **more)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs; `arguments.call` is "module:function" of the one chosen."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run the chapters of the book, build it, and use its models and estimators.",
        epilog="VERB --help shows an example of each verb.",
    )
    verbs = parser.add_subparsers(
        title="verbs", metavar="VERB", required=True, parser_class=VerbParser
    )
    _add_run(verbs)
    _add_book(verbs)
    _add_refresh(verbs)
    _add_train(verbs)
    _add_entropy(verbs)
    _add_data(verbs)
    _add_runs(verbs)
    return parser


def _verb(
    verbs: Any, name: str, *, call: str, help: str, example: str, more: str = ""
) -> VerbParser:
    """One verb, with an example in its help."""
    lines = "".join(f"  {PROGRAM} {line}\n" for line in example.splitlines())
    parser: VerbParser = verbs.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"{more}example:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(call=f"eae_core.cli.{call}")
    return parser


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="the checkout with notebooks/ and book/ (default: found by itself)",
    )


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def _add_jobs(parser: argparse.ArgumentParser, *, usual: str) -> None:
    parser.add_argument(
        "--jobs", type=int, metavar="N", help=f"chapters at the same time (default: {usual})"
    )


def _add_run(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "run",
        call="chapters:run",
        help="execute one chapter, with other parameters if you like",
        example="run 05 --profile quick -p entropy_weight=0.5 -p latent_dim=8",
        more="The executed notebook and its record.json are left in a new folder under _runs/.\n\n",
    )
    parser.add_argument("chapter", help="its number, name or notebook file")
    parser.add_argument(
        "--profile",
        default="cpu",
        metavar="NAME",
        help="set of sizes: quick, cpu or paper (default: cpu, the values in the notebook)",
    )
    parser.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="replace one value of the notebook's parameters cell; may be repeated",
    )
    _add_quiet(parser)
    _add_root(parser)


def _add_book(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "book",
        call="chapters:book",
        help="run every chapter and build the book as web pages",
        example="book\nbook --profile cpu\nbook --committed",
        more="Chapters of which nothing has changed are not run again. Pages: _build/html/.\n\n",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--profile", default="quick", metavar="NAME", help="quick (default), cpu or paper"
    )
    choice.add_argument(
        "--committed",
        action="store_true",
        help="show the committed notebooks as they are, running nothing",
    )
    parser.add_argument("--force", action="store_true", help="run unchanged chapters too")
    _add_jobs(parser, usual="one a core, at most 4; 1 for other profiles than quick")
    _add_quiet(parser)
    _add_root(parser)


def _add_refresh(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "refresh",
        call="chapters:refresh",
        help="run chapters at their written size and renew the outputs in notebooks/",
        example="refresh\nrefresh 03 04",
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all")
    parser.add_argument("--force", action="store_true", help="run unchanged chapters too")
    _add_jobs(parser, usual="1, so that the times in their records hold")
    _add_quiet(parser)
    _add_root(parser)


def _add_train(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "train",
        call="train:train",
        help="train a model on a data set, outside any chapter",
        example="train --dataset mnist --model eae --epochs 5 --width 16 --latent-dim 16\n"
        "train --dataset cifar10 --model vae --beta 0.1 --learning-rate-decay 0.98",
        more="Leaves record.json, model.safetensors and samples.png in the output folder.\n\n",
    )
    add = parser.add_argument
    add("--dataset", default="digits", metavar="NAME", help="default: digits; see the verb data")
    add("--model", default="eae", metavar="NAME", help="default: eae; the others stand below")
    add("--epochs", type=int, default=5, metavar="N", help="passes over the data (default: 5)")
    add("--width", type=int, default=16, metavar="N", help="channels of the first layer (16)")
    add(
        "--convolutions",
        type=int,
        metavar="N",
        help="of encoder and of decoder, fewer than the papers' four",
    )
    add("--latent-dim", type=int, default=16, metavar="D", help="dimension of the code (16)")
    add("--batch-size", type=int, default=100, metavar="N", help="default: 100")
    add("--learning-rate", type=float, default=1e-3, metavar="R", help="of Adam (default: 0.001)")
    add(
        "--learning-rate-decay",
        type=float,
        default=1.0,
        metavar="F",
        help="factor from one epoch to the next (1); the EAE paper asks for 0.98 on CIFAR-10",
    )
    add("--seed", type=int, default=0, metavar="S", help="default: 0")
    add("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda or cuda:N")
    add("--precision", default="32-true", metavar="NAME", help="32-true (default) or bf16-mixed")
    either = argparse.BooleanOptionalAction
    add("--channels-last", action=either, default=False, help="memory layout many GPUs prefer")
    add("--compile", action=either, default=False, help="compile the loss, for faster steps")
    add("--limit", type=int, metavar="N", help="use only the first N images of each split")
    add("--output", type=Path, metavar="DIR", help="default: a new folder under _runs/")
    add("--resume", action="store_true", help="go on with the run in the output folder")
    _add_quiet(parser)
    import_module("eae_core.cli.scoring").add_score_words(parser)
    parser.add_later = lambda parser: import_module("eae_core.cli.model_options").add_model_options(
        parser
    )


def _add_entropy(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "entropy",
        call="tools:entropy",
        help="estimate the entropy of points in a file, in nats",
        example="entropy codes.npy --k 3",
        more="The file holds an array of n points in d dimensions, as numpy.save writes it.\n\n",
    )
    parser.add_argument("file", type=Path, metavar="FILE.npy", help="an n x d array")
    parser.add_argument("--k", type=int, default=1, help="which neighbour to use (default: 1)")


def _add_data(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "data",
        call="data:data",
        help="list, prepare or check the data sets",
        example="data list\ndata prepare mnist\ndata check",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action")
    actions.add_parser("list", help="which there are, and where they would lie (default)")
    prepare = actions.add_parser("prepare", help="download and prepare one")
    prepare.add_argument("name", metavar="NAME")
    check = actions.add_parser("check", help="compare prepared files with their checksums")
    check.add_argument("name", metavar="NAME", nargs="?", help="default: all that are there")


def _add_runs(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "runs",
        call="tools:runs",
        help="list the runs under _runs/ and the committed records",
        example="runs\nruns --json",
    )
    parser.add_argument("--json", action="store_true", help="for other programs to read")
    _add_root(parser)
