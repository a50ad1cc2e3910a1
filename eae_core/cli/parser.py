"""The words of the command line; what each verb does lies in the module it names."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from eae_core import __version__

PROGRAM = "eae"
NETWORKS = ("classifier", "cifar10", "inception")  # that judge images


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
        description="Train entropic autoencoders and their relatives, and use what was trained.",
        epilog="VERB --help shows an example of each verb.",
    )
    parser.add_argument("--version", action="version", version=f"eae_core {__version__}")
    verbs = parser.add_subparsers(
        title="verbs", metavar="VERB", required=True, parser_class=VerbParser
    )
    _add_train(verbs)
    import_module("eae_core.cli.model_verbs").add_model_verbs(verbs)
    _add_entropy(verbs)
    _add_data(verbs)
    _add_runs(verbs)
    return parser


def add_verb(
    verbs: Any,
    name: str,
    *,
    call: str,
    help: str,
    example: str,
    more: str = "",
    program: str = PROGRAM,
) -> VerbParser:
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


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda or cuda:N"
    )


def add_data(parser: argparse.ArgumentParser, *, required: bool = False, **more: Any) -> None:
    """Words for data by name or path; their size is asked for where no model says it."""
    parser.add_argument(
        "--data",
        "--dataset",
        dest="dataset",
        metavar="WHERE",
        required=required,
        help="name of a data set (see the verb data), a folder of pictures, or an .npy or .npz "
        f"file of images or of a table{more.pop('note', '')}",
        **more,
    )
    parser.add_argument(
        "--test-fraction",
        type=float,
        default=0.1,
        metavar="F",
        help="of own data, what is kept from training (0.1)",
    )


def _size(text: str) -> tuple[int, int]:
    """Height and width.

    >>> _size("64"), _size("40x56")
    ((64, 64), (40, 56))
    """
    sides = [int(side) if side.isdecimal() else 0 for side in text.lower().split("x")]
    if not 1 <= len(sides) <= 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"takes a number or two, such as 64 or 40x56, not {text!r}"
        )
    return sides[0], sides[-1]


def add_networks(parser: Any, word: str) -> None:
    parser.add_argument(
        word,
        nargs="+",
        choices=NETWORKS,
        metavar="NAME",
        help="classifier (trained on the data set's labels), cifar10 (CIFAR-10's classifier, for "
        "colour images without labels) and inception (768 features; slow on a CPU); default: "
        "classifier where images are 32 x 32 and have labels, else inception",
    )


def _add_train(verbs: Any) -> None:
    parser = add_verb(
        verbs,
        "train",
        call="eae_core.cli.train:train",
        help="train a model on a data set, or on files of your own",
        example="train --data photos --size 64 --epochs 20 --output faces\n"
        "train --dataset mnist --model eae --epochs 5 --width 16 --latent-dim 16\n"
        "train --dataset cifar10 --model vae --beta 0.1 --learning-rate-decay 0.98",
        more="Leaves record.json, model.safetensors, codes.npy (training images) and samples.png "
        "in\nthe output folder.\n\n",
    )
    add = parser.add_argument
    add_data(parser, default="digits", note="; default: digits")
    add(
        "--size",
        type=_size,
        metavar="S",
        help="side of the images, or height x width such as 40x56, that pictures of a folder are "
        "cut and resized to",
    )
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
    add_device(parser)
    add(
        "--devices", type=int, default=1, metavar="N", help="of this machine that share a batch (1)"
    )
    add("--num-nodes", type=int, default=1, metavar="N", help="machines that share a batch (1)")
    add("--strategy", default="auto", metavar="NAME", help="how: auto (default), ddp, ...")
    add("--precision", default="32-true", metavar="NAME", help="32-true (default) or bf16-mixed")
    either = argparse.BooleanOptionalAction
    add("--channels-last", action=either, default=False, help="memory layout many GPUs prefer")
    add("--compile", action=either, default=False, help="compile the loss, for faster steps")
    add("--limit", type=int, metavar="N", help="use only the first N images of each split")
    add("--output", type=Path, metavar="DIR", help="default: a new folder under _runs/")
    add("--resume", action="store_true", help="go on with the run in the output folder")
    add("--log", choices=("csv", "tensorboard"), help="also write the terms of each epoch there")
    add_quiet(parser)
    import_module("eae_core.cli.scoring").add_score_words(parser)
    parser.add_later = lambda parser: import_module("eae_core.cli.model_options").add_model_options(
        parser
    )


def _add_entropy(verbs: Any) -> None:
    parser = add_verb(
        verbs,
        "entropy",
        call="eae_core.cli.tools:entropy",
        help="estimate the entropy of points in a file, in nats",
        example="entropy codes.npy --k 3",
        more="The file holds an array of n points in d dimensions, as numpy.save writes it.\n\n",
    )
    parser.add_argument("file", type=Path, metavar="FILE.npy", help="an n x d array")
    parser.add_argument("--k", type=int, default=1, help="which neighbour to use (default: 1)")


def _add_data(verbs: Any) -> None:
    parser = add_verb(
        verbs,
        "data",
        call="eae_core.cli.data:data",
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
    parser = add_verb(
        verbs,
        "runs",
        call="eae_core.cli.runs:runs",
        help="list what was trained here",
        example="runs\nruns --folder elsewhere --json",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("_runs"), help="where to look (default: _runs)"
    )
    parser.add_argument("--json", action="store_true", help="for other programs to read")
