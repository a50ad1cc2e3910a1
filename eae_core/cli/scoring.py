"""The words of the verb train that have a model scored, and its record filed with the others."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eae_core.errors import UsageError

if TYPE_CHECKING:
    from eae_core.data import ImageSet
    from eae_core.evaluation import FeatureExtractor, Scores
    from eae_core.models import Autoencoder

JUDGES = ("classifier", "cifar10", "inception")
TEST, HELD_OUT = "test", "held-out"
HELD_OUT_MOST = 10_000  # images
SHEET = "sheet"


def add_score_words(parser: argparse.ArgumentParser) -> None:
    """Add the words; nothing is scored unless --score is among those given."""
    group = parser.add_argument_group(
        "scores of the trained model",
        "Ex-post densities, Frechet and kernel distances, precision, recall and the report on\n"
        "Gaussianity go into the record, and a sheet of pictures beside it.",
    )
    add = group.add_argument
    add("--score", action="store_true", help="score the model when it is trained")
    add("--samples", type=int, default=10_000, metavar="N", help="from each density (10000)")
    add(
        "--judges",
        nargs="+",
        choices=JUDGES,
        metavar="NAME",
        help="classifier (trained on the data set's labels), cifar10 (CIFAR-10's classifier, for "
        "colour images without labels) and inception (768 features; slow on a CPU); default: "
        "classifier where images are 32 x 32 and have labels, else inception",
    )
    add(
        "--judge-on",
        default=TEST,
        choices=(TEST, HELD_OUT),
        help="test (default), or held-out: training images after the first --limit ones, for "
        "choosing options without a look at the test images",
    )
    add(
        "--score-at",
        nargs="+",
        type=float,
        metavar="SHARE",
        help="also after these shares of the epochs: error and Frechet distances, by the first of "
        "--judges, as curves of the record",
    )
    add(
        "--file-as",
        metavar="EXPERIMENT/RUN",
        help="also put the record and the sheet into a folder of records, by these names",
    )
    add(
        "--records",
        type=Path,
        default=Path("data/results"),
        metavar="DIR",
        help="that folder (default: data/results)",
    )


def check_score_words(arguments: argparse.Namespace) -> None:
    """Refuse what cannot be scored before hours are spent on training.

    Raises:
        UsageError: words that do not go together.
    """
    if arguments.file_as is not None and not re.fullmatch(
        r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*", arguments.file_as
    ):
        raise UsageError(
            f"--file-as takes an experiment and a run such as table/mnist-eae-seed0, in lower-case "
            f"letters, digits and -_. , got {arguments.file_as!r}"
        )
    if arguments.samples < 5:
        raise UsageError(f"--samples must be at least 5, got {arguments.samples}")
    shares = arguments.score_at or []
    if shares and not arguments.score:
        raise UsageError("--score-at goes with --score")
    if odd := [share for share in shares if not 0 < share < 1]:
        raise UsageError(f"--score-at takes shares above 0 and below 1, got {odd[0]:g}")
    if arguments.judge_on == HELD_OUT and arguments.limit is None:
        raise UsageError("--judge-on held-out needs --limit: the images after it are held out")


def judged_images(arguments: argparse.Namespace) -> ImageSet:
    """The images that a model is judged on: never one that it is trained on.

    Raises:
        UsageError: no training image is left to be held out.
    """
    from eae_core.data import load_images

    if arguments.judge_on == TEST:
        images = load_images(arguments.dataset, "test")
        limit = arguments.limit
        return images if limit is None or limit >= len(images) else images.subset(limit)
    images = load_images(arguments.dataset, "train")
    rest = slice(arguments.limit, arguments.limit + HELD_OUT_MOST)
    if arguments.limit >= len(images):
        raise UsageError(
            f"all {len(images)} training images are used: a smaller --limit leaves some to judge on"
        )
    labels = None if images.labels is None else images.labels[rest]
    return dataclasses.replace(images, split=HELD_OUT, images=images.images[rest], labels=labels)


def check_judges(arguments: argparse.Namespace, images: ImageSet) -> None:
    """Refuse judges that cannot judge these images.

    Raises:
        UsageError: CIFAR-10's classifier for grey images, a classifier of images without labels.
    """
    judges = (arguments.judges or []) if arguments.score else []
    if "cifar10" in judges and images.image_shape[0] != 3:
        raise UsageError(f"--judges cifar10 is for colour images, {images.name} is grey")
    if "classifier" in judges and not _has_classifier(images):
        raise UsageError(
            f"--judges classifier needs labelled images of 32 x 32: for {images.name} take cifar10 "
            "(colour images) or inception"
        )


def _has_classifier(images: ImageSet) -> bool:
    return images.labels is not None and images.image_shape[1:] == (32, 32)


def score(
    arguments: argparse.Namespace, model: Autoencoder, train: ImageSet, test: ImageSet
) -> Scores:
    """Score the model, with a bar unless it was asked to be quiet."""
    from eae_core.evaluation import score_model
    from eae_core.hardware import freed_memory_kept, resolve_device

    device = resolve_device(arguments.device)
    with freed_memory_kept():
        return score_model(
            model.to(device),
            train.to(device),
            test.to(device),
            extractors=extractors_of(arguments, train),
            samples=arguments.samples,
            progress=not arguments.no_progress,
        )


def write_pictures(model: Autoencoder, train: ImageSet, test: ImageSet, folder: Path) -> Path:
    """The sheet of what the model makes; returns its path."""
    from eae_core.evaluation import encode_images, fit_density
    from eae_core.evaluation.densities import DegenerateCodesError
    from eae_core.evaluation.sheets import picture_rows, write_sheet

    codes = encode_images(model, train)
    densities = {}
    for name in ("standard", "gaussian", "mixture"):
        try:
            densities[name] = fit_density(name, codes)
        except DegenerateCodesError:  # the scores say why
            continue
    return write_sheet(picture_rows(model, test, densities), folder / SHEET)


def score_lines(scores: Scores) -> str:
    """The numbers of the tables, a line a judge.

    Example:
        >>> from eae_core.evaluation import Scores
        >>> values = {"fd_classifier_standard": 9.87, "fd_classifier_mixture": 8.76}
        >>> extractors = {"FD-classifier": "12ab"}
        >>> print(score_lines(Scores("digits", 50, 60, 60, 300, 0, extractors, values)))
        FD-classifier of 50 samples: standard 9.87, mixture 8.76
    """
    from eae_core.evaluation.judging import metric_names

    lines = []
    for extractor in scores.extractors:
        prefix = metric_names(extractor)[0] + "_"
        found = {
            k.removeprefix(prefix): v for k, v in scores.values.items() if k.startswith(prefix)
        }
        shown = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        lines.append(f"{extractor} of {scores.samples} samples: {shown}")
    return "\n".join(lines)


def extractors_of(arguments: argparse.Namespace, train: ImageSet) -> Sequence[FeatureExtractor]:
    """The networks that --judges names, or the usual one for these images."""
    from eae_core.data import load_images
    from eae_core.evaluation import borrowed_features, classifier_features, inception_features

    judges = arguments.judges or ["classifier" if _has_classifier(train) else "inception"]
    found: list[FeatureExtractor] = []
    if "classifier" in judges:
        found.append(classifier_features(train, device=arguments.device))
    if "cifar10" in judges:
        found.append(borrowed_features(load_images("cifar10"), device=arguments.device))
    if "inception" in judges:
        found.append(inception_features(device=arguments.device))
    return found
