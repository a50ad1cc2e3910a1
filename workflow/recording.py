"""What the scripts that keep records share: words, what is recorded already, how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from parts import parts_of

from eae_book import records
from eae_book.provenance import Provenance
from eae_book.records import recorded, stale
from eae_book.revisions import revisions_of
from eae_core.data import ImageSet, data_root
from eae_core.errors import CommandError
from eae_core.evaluation import FeatureNet, frechet_distance, train_classifier

STARTED = Provenance.now()
ItemT = TypeVar("ItemT", bound="Named")
STOPPED = 130  # what a shell says of a command that Ctrl-C ended


def script_parser(name: str, text: str | None) -> argparse.ArgumentParser:
    """The parser of a script, whose help is the script's own docstring with its example."""
    description, _, example = (text or "").partition("Example:")
    return argparse.ArgumentParser(
        prog=f"{name}.py",
        description=description,
        epilog=f"example:{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_places(parser: argparse.ArgumentParser, *, checkpoints: bool = False) -> None:
    """Where records go, and checkpoints."""
    parser.add_argument("--records", type=Path, help="folder of all records, default: data/results")
    if checkpoints:
        parser.add_argument(
            "--checkpoints", type=Path, help="default: checkpoints in the data folder"
        )


def add_work(parser: argparse.ArgumentParser) -> None:
    """Words of every script that measures models: where, whether, and what is written."""
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to do")
    parser.add_argument("--note", default="", help="kept in the records")
    add_places(parser, checkpoints=True)


def checkpoint_path(arguments: argparse.Namespace, experiment: str, run: str) -> Path:
    """Where a run of these words is kept to go on from."""
    folder: Path = arguments.checkpoints or data_root() / "checkpoints"
    return folder / experiment / f"{run}.safetensors"


def is_recorded(
    experiment: str,
    run: str,
    parameters: Mapping[str, Any],
    root: Path | None,
    *,
    remedy: str = "delete the record, or give other --records",
) -> bool:
    """Whether a run has a record.

    Raises:
        ValueError: a record under its name does not hold; says why, and ends in the remedy.
    """
    records = recorded(experiment, root)
    if run not in records:
        return False
    if reasons := stale(records[run], parameters, parts_of(experiment, parameters)):
        raise ValueError(f"{run} has a record that does not hold: {reasons[0]}; {remedy}")
    return True


def new_record(
    experiment: str, run: str, *, parameters: Mapping[str, Any], **rest: Any
) -> records.Record:
    """A record with today's revisions of what decides it, of the code as the script started."""
    revisions = revisions_of(parts_of(experiment, parameters))
    return records.new_record(
        experiment, run, parameters=parameters, revisions=revisions, provenance=STARTED, **rest
    )


def run_script(name: str, work: Callable[[], int]) -> int:
    """Do the work of a script; what is impossible becomes one line and the status 1."""
    try:
        return work()
    except KeyboardInterrupt:
        return stopped()
    except (ValueError, OSError, RuntimeError, CommandError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1


class Named(Protocol):
    """What a record is made of."""

    @property
    def name(self) -> str:
        """Of the record."""


def one_by_one(items: Sequence[ItemT], record: Callable[[ItemT], object], *, dry_run: bool) -> int:
    """Record the items in their order, saying which; the status of the script."""
    for number, item in enumerate(items, start=1):
        print(f"record {number} of {len(items)}: {item.name}", flush=True)
        if dry_run:
            continue
        try:
            record(item)
        except KeyboardInterrupt:
            return stopped()
    return 0


def stopped() -> int:
    """The status of a script that Ctrl-C ended."""
    print("stopped; the same command goes on from here")
    return STOPPED


@dataclass(frozen=True)
class Judge:
    """What all runs are judged by: the images, and a classifier trained on their labels."""

    train: ImageSet
    test: ImageSet
    classifier: FeatureNet
    test_features: torch.Tensor

    @classmethod
    def trained_on(
        cls, labelled: ImageSet, *, train: ImageSet, test: ImageSet, epochs: int = 2
    ) -> Judge:
        """Train the classifier, always from the same seed."""
        print("  training the classifier whose features judge the samples", flush=True)
        classifier = train_classifier(labelled, epochs=epochs, seed=0)
        return cls(train, test, classifier, classifier.features(test.batch(slice(None))))

    def distance(self, images: torch.Tensor) -> float:
        """Frechet distance of images to the test images."""
        return frechet_distance(self.classifier.features(images), self.test_features)
