"""The words of the verb train that have a model scored, and its record filed with the others."""

from __future__ import annotations

import argparse
from pathlib import Path

NETWORKS = ("classifier", "cifar10", "inception")  # whose features images are compared by
TEST, HELD_OUT = "test", "held-out"


def add_score_words(parser: argparse.ArgumentParser) -> None:
    """Add the words; records know two of them by the names that they had first."""
    group = parser.add_argument_group(
        "scores of the trained model",
        "Ex-post densities, Frechet and kernel distances, precision, recall and the report on\n"
        "Gaussianity go into the record, and a sheet of pictures beside it.",
    )
    add = group.add_argument
    add("--score", action="store_true", help="score the model when it is trained")
    add("--samples", type=int, default=10_000, metavar="N", help="from each density (10000)")
    text = "classifier (trained on the data set's labels), cifar10 (CIFAR-10's classifier, for "
    text += "colour images without labels) and inception (768 features; slow on a CPU); default: "
    text += "classifier where images are 32 x 32 and have labels, else inception"
    add("--networks", nargs="+", choices=NETWORKS, metavar="NAME", dest="judges", help=text)
    add(
        "--score-on",
        dest="judge_on",
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
        "--networks, as curves of the record",
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
