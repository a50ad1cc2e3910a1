"""The words of the verb train that have a model scored, and its record filed with the others."""

from __future__ import annotations

import argparse
from pathlib import Path

from eae_core.cli.words import add_networks

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
    add_networks(group, dest="judges")
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
