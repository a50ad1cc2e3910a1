"""The words of the verbs that use a trained model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from eae_core.cli.parser import add_data, add_device, add_networks, add_quiet, add_verb

_MODEL = "MODEL is what train left: model.safetensors, or its folder.\n\n"


def add_model_verbs(verbs: Any) -> None:
    """Add sample, encode, reconstruct, interpolate, evaluate and export."""
    _add_sample(verbs)
    _add_encode(verbs)
    _add_reconstruct(verbs)
    _add_interpolate(verbs)
    _add_evaluate(verbs)
    _add_export(verbs)


def _verb(verbs: Any, name: str, module: str, help: str, example: str, more: str = "") -> Any:
    call = f"eae_core.cli.{module}:{name}"
    parser = add_verb(verbs, name, call=call, help=help, example=example, more=more + _MODEL)
    parser.add_argument("model", type=Path, metavar="MODEL", help="its file, or the folder of it")
    return parser


def _add_output(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(default),
        metavar="PATH",
        help=f"where to (default: {default})",
    )
    add_device(parser)
    add_quiet(parser)


def _add_sample(verbs: Any) -> None:
    help = "make new images with a trained model"
    parser = _verb(verbs, "sample", "use", help, "sample faces -n 1000 -o out")
    add = parser.add_argument
    add("-n", type=int, default=64, metavar="N", help="how many (64)")
    add(
        "--distribution",
        default="own",
        choices=("own", "standard", "gaussian", "mixture"),
        help="of the codes: own (default; N(0, I) unless the model has another), standard (N(0, "
        "I)), gaussian, or mixture of ten, the two fitted to codes.npy beside the model",
    )
    add("--seed", type=int, default=0, metavar="S", help="default: 0")
    add(
        "--format",
        nargs="+",
        choices=("png", "grid", "npz"),
        metavar="KIND",
        help="png (a file each), grid (one picture), npz (one array); default: png grid, of a "
        "table npz",
    )
    _add_output(parser, "samples")


def _add_encode(verbs: Any) -> None:
    example = "encode faces --data photos -o codes.npy\nencode faces a.png b.png"
    parser = _verb(verbs, "encode", "use", "turn images into codes, n x d", example)
    _add_images(parser)
    _add_output(parser, "codes.npy")


def _add_reconstruct(verbs: Any) -> None:
    example = "reconstruct faces a.png b.png\nreconstruct faces --data photos --limit 10"
    help = "show images above their reconstructions"
    parser = _verb(verbs, "reconstruct", "use", help, example)
    _add_images(parser)
    _add_output(parser, "reconstructions.png")


def _add_interpolate(verbs: Any) -> None:
    example = "interpolate faces a.png b.png --steps 10 -o path.png"
    help = "show the images on a path between the codes of two"
    parser = _verb(verbs, "interpolate", "use", help, example)
    parser.add_argument("images", nargs=2, type=Path, metavar="IMAGE", help="two files")
    parser.add_argument("--steps", type=int, default=8, metavar="N", help="on the path (8)")
    _add_output(parser, "path.png")


def _add_images(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("images", nargs="*", type=Path, metavar="IMAGE", help="files; or none, and --data")
    add_data(parser)
    add(
        "--split",
        choices=("train", "test", "all"),
        help="of the data; default: all of own data, test of the others",
    )
    add("--limit", type=int, metavar="N", help="only the first N")


def _add_evaluate(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "evaluate",
        "evaluate",
        "judge a trained model by its samples, reconstructions and codes",
        "evaluate faces --data photos\nevaluate digits --data mnist --samples 1000",
        "Frechet and kernel distances, precision and recall to test images, a report on the code "
        "and a\npicture; leaves evaluation.json and sheet.png (or .webp).\n\n",
    )
    add = parser.add_argument
    add_data(parser, required=True)
    add("--limit", type=int, metavar="N", help="use only the first N images of each split")
    add("--samples", type=int, metavar="N", help="default: as many as test images, to 10000")
    add_networks(parser, "--networks")
    add("--seed", type=int, default=0, metavar="S", help="default: 0")
    add("-o", "--output", type=Path, metavar="DIR", help="default: the model's folder")
    add_device(parser)
    add_quiet(parser)


def _add_export(verbs: Any) -> None:
    parser = _verb(
        verbs,
        "export",
        "export",
        "write encoder and decoder for other programs",
        "export faces --onnx -o onnx\nexport faces --torch --safetensors",
        "Batches may have any size. What was written is read again and compared with the model, "
        "before\nanything is said to be done.\n\n",
    )
    add = parser.add_argument
    add("--onnx", action="store_true", help="encoder.onnx and decoder.onnx")
    add("--torch", action="store_true", help="encoder.pt2 and decoder.pt2, for torch.export.load")
    add("--safetensors", action="store_true", help="encoder.safetensors, decoder.safetensors")
    add("-o", "--output", type=Path, metavar="DIR", help="default: the model's folder")
