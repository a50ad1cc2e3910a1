"""The words of the book's command line; what each verb does lies in the module it names."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from eae_book.cli.words import add_score_words
from eae_core.cli.parser import VerbParser, add_shared, add_train_words, add_verb

PROGRAM = "python -m eae_book"
_verb = partial(add_verb, program=PROGRAM)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs; `arguments.call` is "module:function" of the one chosen."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Run the chapters of the book and build it.",
        epilog="VERB --help shows an example of each verb. Models without records have a command "
        "of their own: eae --help.",
    )
    verbs = parser.add_subparsers(
        title="verbs", metavar="VERB", required=True, parser_class=VerbParser
    )
    _add_run(verbs)
    _add_book(verbs)
    _add_refresh(verbs)
    _add_runs(verbs)
    _add_train(verbs)
    return parser


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="the checkout with notebooks/ and book/ (default: found by itself)",
    )


def _add_jobs(parser: argparse.ArgumentParser, *, usual: str) -> None:
    parser.add_argument(
        "--jobs", type=int, metavar="N", help=f"chapters at the same time (default: {usual})"
    )


def _add_run(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "run",
        call="eae_book.cli.chapters:run",
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
    add_shared(parser, "--no-progress")
    _add_root(parser)


def _add_book(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "book",
        call="eae_book.cli.chapters:book",
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
    add_shared(parser, "--no-progress")
    _add_root(parser)


def _add_refresh(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "refresh",
        call="eae_book.cli.chapters:refresh",
        help="run chapters at their written size and renew the outputs in notebooks/",
        example="refresh\nrefresh 03 04",
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all")
    parser.add_argument("--force", action="store_true", help="run unchanged chapters too")
    _add_jobs(parser, usual="1, so that the times in their records hold")
    add_shared(parser, "--no-progress")
    _add_root(parser)


def _add_runs(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "runs",
        call="eae_book.cli.runs:runs",
        help="list the runs of chapters and the committed records",
        example="runs\nruns --json",
    )
    parser.add_argument("--json", action="store_true", help="for other programs to read")
    _add_root(parser)


def _add_train(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "train",
        call="eae_book.cli.train:train",
        help="train a model as  eae train  does, score it and keep its record",
        example="train --dataset mnist --model wae --epochs 5 --score --samples 2000\n"
        "train --limit 1000 --score --score-on held-out --file-as trials/digits-eae",
    )
    add_train_words(parser)
    add_score_words(parser)
