"""The words of the verb train that have a model scored, and its record filed with the others."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eae_core.cli.parser import add_networks
from eae_core.errors import UsageError

if TYPE_CHECKING:
    from eae_core.data import Images
    from eae_core.data.own import Data
    from eae_core.evaluation import FeatureExtractor, Scores
    from eae_core.models import Autoencoder

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
    add_networks(group, "--judges")
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


def judged_images(data: Data, arguments: argparse.Namespace) -> Images:
    """The images that a model is judged on: never one that it is trained on.

    Raises:
        UsageError: no training image is left to be held out.
    """
    if arguments.judge_on == TEST:
        images = data.images("test")
        limit = arguments.limit
        return images if limit is None or limit >= len(images) else images.subset(limit)
    images = data.images("train")
    if arguments.limit >= len(images):
        raise UsageError(
            f"all {len(images)} training images are used: a smaller --limit leaves some to judge on"
        )
    rest = slice(arguments.limit, arguments.limit + HELD_OUT_MOST)
    return dataclasses.replace(images.rows_at(rest), split=HELD_OUT)


def check_scores(
    arguments: argparse.Namespace, train: Images, judged: Images
) -> Sequence[FeatureExtractor]:
    """The networks that will judge the model; refuses what would fail when it is trained.

    Raises:
        UsageError: too few images, or networks that cannot judge them.
        OSError, ValueError: weights, packages or data of a network that are not to be had.
    """
    from eae_core.evaluation import DENSITIES, codes_needed
    from eae_core.evaluation.sheets import COLUMNS

    if len(train.image_shape) != 3:
        raise UsageError("--score is for images, which a table is not")
    needed = max(codes_needed(name, arguments.latent_dim) for name in DENSITIES)
    if len(train) < needed:
        raise UsageError(
            f"--score fits densities to the codes of the training images, and at --latent-dim "
            f"{arguments.latent_dim} needs {needed} of them, there are {len(train)}"
        )
    if len(judged) < COLUMNS:
        raise UsageError(f"--score needs {COLUMNS} test images or more, there are {len(judged)}")
    return networks(arguments.judges, train, arguments.device)


def networks(names: Sequence[str] | None, train: Images, device: str) -> Sequence[FeatureExtractor]:
    """The evaluation networks of these names, or the one that fits the images.

    Raises:
        UsageError: CIFAR-10's classifier for grey images, a classifier of images without labels.
        OSError, ValueError: weights or data that are not to be had.
    """
    from eae_core.data import ImageSet, load_images
    from eae_core.errors import require
    from eae_core.evaluation import borrowed_features, classifier_features, inception_features

    require(["torch_fidelity", "sklearn"], extra="train,metrics")
    own = isinstance(train, ImageSet) and train.labels is not None
    own = own and train.image_shape[1:] == (32, 32)
    names = names or ["classifier" if own else "inception"]
    if "cifar10" in names and train.image_shape[0] != 3:
        raise UsageError(f"the network cifar10 is for colour images, {train.name} is grey")
    found: list[FeatureExtractor] = []
    if "classifier" in names:
        if not own or not isinstance(train, ImageSet):
            raise UsageError(
                f"the network classifier needs labelled images of 32 x 32: for {train.name} take "
                "cifar10 (colour images) or inception"
            )
        found.append(classifier_features(train, device=device))
    if "cifar10" in names:
        found.append(borrowed_features(load_images("cifar10"), device=device))
    if "inception" in names:
        found.append(inception_features(device=device))
    return found


def write_pictures(
    model: Autoencoder, train: Images, test: Images, folder: Path
) -> tuple[Path, list[str]]:
    """The sheet of what the model makes; returns its path and what its rows show."""
    from eae_core.evaluation import encode_images, fit_density
    from eae_core.evaluation.densities import DegenerateCodesError, codes_needed
    from eae_core.evaluation.sheets import picture_rows, write_sheet

    codes = encode_images(model, train)
    densities = {}
    for name in ("standard", "gaussian", "mixture"):
        if len(codes) < codes_needed(name, model.latent_dim):
            continue
        try:
            densities[name] = fit_density(name, codes)
        except DegenerateCodesError:  # the scores say why
            continue
    rows = picture_rows(model, test, densities)
    return write_sheet(rows, folder / SHEET), list(rows)


def score_lines(scores: Scores) -> str:
    """The numbers of the tables, a line a judge.

    Example:
        >>> from eae_core.evaluation import Scores
        >>> values = {"fd_classifier_standard": 9.87, "fd_classifier_mixture": 8.76}
        >>> extractors = {"FD-classifier": "12ab"}
        >>> print(score_lines(Scores("digits", 50, 60, 60, 300, 0, extractors, values)))
        FD-classifier of 50 samples: standard 9.87, mixture 8.76
    """
    from eae_core.evaluation.image_metrics import metric_names

    lines = []
    for extractor in scores.extractors:
        prefix = metric_names(extractor)[0] + "_"
        found = {
            k.removeprefix(prefix): v for k, v in scores.values.items() if k.startswith(prefix)
        }
        shown = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
        lines.append(f"{extractor} of {scores.samples} samples: {shown}")
    return "\n".join(lines)
