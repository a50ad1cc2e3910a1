"""The verbs and their words; what each verb does lies in the module it names.

Words that several verbs share are also those of the book's command line.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from eae_core import __version__

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


def add_data(parser: argparse.ArgumentParser, *, note: str = "", **more: Any) -> None:
    """Words for data by name or path; their size is asked for where no model says it."""
    text = "name of a data set (see the verb data), a folder of pictures, or an .npy or .npz file "
    text += f"of images or of a table{note}"
    add = parser.add_argument
    add("--data", "--dataset", dest="dataset", metavar="WHERE", help=text, **more)
    text = "of own data, what is kept from training (0.1)"
    add("--test-fraction", type=float, default=0.1, metavar="F", help=text)


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
    _add_model_verbs(verbs)
    _add_evaluate(verbs)
    _add_entropy(verbs)
    _add_data(verbs)
    _add_runs(verbs)
    return parser


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
        "in\nthe output folder. The verb evaluate scores the model.\n\n",
    )
    add_train_words(parser)


def add_train_words(parser: VerbParser) -> None:
    """Add the words of training; those of the models' options wait until they are needed."""
    add, either = parser.add_argument, argparse.BooleanOptionalAction
    add_data(parser, default="digits", note="; default: digits")
    text = "of pictures in a folder: one side, or height x width such as 40x56; they are cut to it"
    add("--size", type=_size, metavar="S", help=text)
    add("--model", default="eae", metavar="NAME", help="default: eae; the others stand below")
    add("--epochs", type=int, default=5, metavar="N", help="passes over the data (default: 5)")
    add("--width", type=int, default=16, metavar="N", help="channels of the first layer (16)")
    text = "of encoder and of decoder, fewer than the papers' four"
    add("--convolutions", type=int, metavar="N", help=text)
    add("--latent-dim", type=int, default=16, metavar="D", help="dimension of the code (16)")
    add("--batch-size", type=int, default=100, metavar="N", help="default: 100")
    add("--learning-rate", type=float, default=1e-3, metavar="R", help="of Adam (default: 0.001)")
    text = "factor from one epoch to the next (1); the EAE paper asks for 0.98 on CIFAR-10"
    add("--learning-rate-decay", type=float, default=1.0, metavar="F", help=text)
    add_shared(parser, "--seed", "--device", "--limit", "--no-progress")
    text = "of this machine that share a batch (1)"
    add("--devices", type=int, default=1, metavar="N", help=text)
    add("--num-nodes", type=int, default=1, metavar="N", help="machines that share a batch (1)")
    add("--strategy", default="auto", metavar="NAME", help="how: auto (default), ddp, ...")
    add("--precision", default="32-true", metavar="NAME", help="32-true (default) or bf16-mixed")
    add("--channels-last", action=either, default=False, help="memory layout many GPUs prefer")
    add("--compile", action=either, default=False, help="compile the loss, for faster steps")
    add("--output", type=Path, metavar="DIR", help="default: a new folder under _runs/")
    add("--resume", action="store_true", help="go on with the run in the output folder")
    add("--log", choices=("csv", "tensorboard"), help="also write the terms of each epoch there")
    parser.add_later = _add_model_options


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    import_module("eae_core.cli.model_options").add_model_options(parser)


def _size(text: str) -> tuple[int, int]:
    """Height and width.

    >>> _size("64"), _size("40x56")
    ((64, 64), (40, 56))
    """
    sides = [int(side) if side.isdecimal() else 0 for side in text.lower().split("x")]
    if not 1 <= len(sides) <= 2 or min(sides) < 1:
        raise argparse.ArgumentTypeError(f"takes a number or two, 64 or 40x56, not {text!r}")
    return sides[0], sides[-1]


def _add_model_verb(
    verbs: Any, name: str, help: str, example: str, output: str = "", more: str = ""
) -> VerbParser:
    """A verb that is given a model; without an output of its own it writes beside it."""
    more += "MODEL is what train left: model.safetensors, or its folder.\n\n"
    module = "evaluate" if name == "evaluate" else "use"
    call = f"eae_core.cli.{module}:{name}"
    parser = add_verb(verbs, name, call=call, help=help, example=example, more=more)
    parser.add_argument("model", type=Path, metavar="MODEL", help="its file, or the folder of it")
    path, text = Path(output) if output else None, "default: " + (output or "the model's folder")
    parser.add_argument("-o", "--output", type=Path, default=path, metavar="PATH", help=text)
    if name != "export":
        add_shared(parser, "--device", "--no-progress")
    return parser


def _add_model_verbs(verbs: Any) -> None:
    """Add sample, encode, reconstruct, interpolate and export."""
    text, example = "make new images with a trained model", "sample faces -n 1000 -o out"
    sample = _add_model_verb(verbs, "sample", text, example, "samples")
    sample.add_argument("-n", type=int, default=64, metavar="N", help="how many (64)")
    text = "of the codes: own (default; N(0, I) unless the model has another), standard (N(0, I)), "
    text += "gaussian, or mixture of ten, the two fitted to codes.npy beside the model"
    names = ("own", "standard", "gaussian", "mixture")
    sample.add_argument("--distribution", default="own", choices=names, help=text)
    text = "png (a file each), grid (one picture), npz (one array); default: png grid, of a table "
    text += "npz"
    kinds = ("png", "grid", "npz")
    sample.add_argument("--format", nargs="+", choices=kinds, metavar="KIND", help=text)
    add_shared(sample, "--seed")

    text = "turn images into codes, n x d"
    example = "encode faces --data photos -o codes.npy\nencode faces a.png b.png"
    _add_images(_add_model_verb(verbs, "encode", text, example, "codes.npy"))

    text = "show images above their reconstructions"
    example = "reconstruct faces a.png b.png\nreconstruct faces --data photos --limit 10"
    _add_images(_add_model_verb(verbs, "reconstruct", text, example, "reconstructions.png"))

    text = "show the images on a path between the codes of two"
    example = "interpolate faces a.png b.png --steps 10 -o path.png"
    path = _add_model_verb(verbs, "interpolate", text, example, "path.png")
    path.add_argument("images", nargs=2, type=Path, metavar="IMAGE", help="two files")
    path.add_argument("--steps", type=int, default=8, metavar="N", help="on the path (8)")

    text = "write encoder and decoder for other programs"
    example = "export faces --onnx -o onnx\nexport faces --torch --safetensors"
    more = "Batches may have any size. What was written is read again and compared with the model, "
    more += "before\nanything is said to be done.\n\n"
    export = _add_model_verb(verbs, "export", text, example, more=more)
    for kind, suffix in {"onnx": "onnx", "torch": "pt2", "safetensors": "safetensors"}.items():
        text = f"encoder.{suffix} and decoder.{suffix}"
        text += ", for torch.export.load" if kind == "torch" else ""
        export.add_argument(f"--{kind}", action="store_true", help=text)


def _add_images(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("images", nargs="*", type=Path, metavar="IMAGE", help="files; or none, and --data")
    add_data(parser)
    text = "of the data; default: all of own data, test of the others"
    add("--split", choices=("train", "test", "all"), help=text)
    add("--limit", type=int, metavar="N", help="only the first N")


def _add_evaluate(verbs: Any) -> None:
    parser = _add_model_verb(
        verbs,
        "evaluate",
        "score a trained model by its samples, reconstructions and codes",
        "evaluate faces --data photos\nevaluate digits --data mnist --samples 1000",
        more="Frechet and kernel distances, precision and recall to test images, a report on the "
        "code\nand a picture; leaves evaluation.json and sheet.png (or .webp).\n\n",
    )
    add_data(parser, required=True)
    text = "default: as many as test images, to 10000"
    parser.add_argument("--samples", type=int, metavar="N", help=text)
    names = ("classifier", "inception")
    text = "default: classifier (trained on labels) where images are 32 x 32 and have labels, else "
    text += "inception (768 features; slow on a CPU)"
    parser.add_argument("--networks", nargs="+", choices=names, metavar="NAME", help=text)
    add_shared(parser, "--limit", "--seed")


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
    text = "where to look (default: _runs)"
    parser.add_argument("--folder", type=Path, default=Path("_runs"), help=text)
    parser.add_argument("--json", action="store_true", help="for other programs to read")
