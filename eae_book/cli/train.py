"""The verb train of the book: what `eae train` does, then scores, and a record among the others."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eae_book.cli.words import HELD_OUT, NETWORKS
from eae_book.provenance import Provenance
from eae_core.cli import evaluate
from eae_core.cli import train as core
from eae_core.cli.folders import RECORD
from eae_core.errors import UsageError

if TYPE_CHECKING:
    from eae_book.records import Record
    from eae_core.data import Images
    from eae_core.evaluation import FeatureExtractor, Scores
    from eae_core.training import History

HELD_OUT_MOST = 10_000  # images
BETWEEN = "scores.json"  # in the folder of a run: scores of epochs before the last
OF_SCORES = ("samples", "judges", "score_at")
PLACES = ("score", "file_as", "records")  # decide nothing


def train(arguments: argparse.Namespace) -> int:
    """Train, score and file the record as asked."""
    return RecordedTraining(arguments).run()


def decisive(arguments: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Any]:
    """The words that decide the numbers, and the model's options: what a record is asked for."""
    words = core.decisive(arguments, options)
    return {name: value for name, value in words.items() if name not in PLACES}


class RecordedTraining(core.Training):
    """A training whose results are a record with revisions."""

    networks: Sequence[FeatureExtractor] = ()
    scores: Scores | None = None

    def prepare(self) -> None:
        """Also the evaluation networks, and the place of the record."""
        from eae_core.files import check_writable

        given = self.arguments
        self.provenance = Provenance.now()
        check_words(given)
        super().prepare()
        if given.file_as is not None:
            check_writable(given.records / given.file_as.split("/")[0])
        if given.score:
            self._check_scores()
            self.networks = chosen_networks(given.judges, self.images, given.device)

    def other_images(self) -> Images:
        """Test images, or training images that are held out.

        Raises:
            UsageError: no training image is left to be held out.
        """
        if self.arguments.judge_on != HELD_OUT:
            return super().other_images()
        images, limit = self.data.images("train"), self.arguments.limit
        if limit >= len(images):
            raise UsageError(
                f"all {len(images)} training images are used: a smaller --limit leaves some to "
                "score on"
            )
        rest = images.rows_at(slice(limit, limit + HELD_OUT_MOST))
        return dataclasses.replace(rest, split=HELD_OUT)

    def _check_scores(self) -> None:
        """Refuse what would fail when the model is trained."""
        from eae_core.evaluation import DENSITIES, codes_needed
        from eae_core.evaluation.sheets import COLUMNS

        images, d = self.images, self.arguments.latent_dim
        if len(images.image_shape) != 3:
            raise UsageError("--score is for images, which a table is not")
        needed = max(codes_needed(name, d) for name in DENSITIES)
        if len(images) < needed:
            raise UsageError(
                f"--score fits densities to the codes of the training images, and at --latent-dim "
                f"{d} needs {needed} of them, there are {len(images)}"
            )
        if len(self.others) < COLUMNS:
            raise UsageError(
                f"--score needs {COLUMNS} test images or more, there are {len(self.others)}"
            )

    def after_epoch(self) -> Callable[[int], None] | None:
        """Scores after the epochs of --score-at; they stay in the folder, one by one."""
        from eae_book.convergence import convergence_scores
        from eae_core.files import write_json
        from eae_core.hardware import resolve_device

        given = self.arguments
        if not given.score_at:
            return None
        due = scored_epochs(given)[:-1]  # the last one is scored in full
        device = resolve_device(given.device)
        train, others = self.images.to(device), self.others.to(device)

        def score(epoch: int) -> None:
            known = read_between(self.folder)
            if epoch in due and epoch not in known:
                network, count = self.networks[0], given.samples
                found = convergence_scores(self.model, train, others, network, samples=count)
                rows = {str(number): row for number, row in (known | {epoch: found}).items()}
                write_json(rows, self.folder / BETWEEN)

        return score

    def measure(self) -> tuple[float, list[str], list[str]]:
        """Scores and a sheet of pictures, if asked for."""
        from eae_core.evaluation import score_model
        from eae_core.hardware import freed_memory_kept, resolve_device

        given = self.arguments
        if not given.score:
            return super().measure()
        device = resolve_device(given.device)
        with freed_memory_kept():
            self.scores = score_model(
                self.model.to(device),
                self.images.to(device),
                self.others.to(device),
                extractors=self.networks,
                samples=given.samples,
                progress=not given.no_progress,
            )
        sheet, _ = evaluate.write_pictures(self.model, self.images, self.others, self.folder)
        error = self.scores.values["reconstruction_error"]
        return error, score_lines(self.scores), [sheet.name]

    def results(self, history: History, error: float) -> dict[str, Any]:
        """Also the scores, under the names that records know."""
        found = super().results(history, error)
        left_out = PLACES if self.scores else (*PLACES, *OF_SCORES)
        parameters = {k: v for k, v in found["parameters"].items() if k not in left_out}
        if self.scores is not None:
            parameters["extractors"] = self.scores.extractors
            curves = convergence_curves(self.arguments, self.scores.values, self.folder)
            found["curves"] |= curves
            found["metrics"] |= {f"final_{name}": curve[-1] for name, curve in curves.items()}
            found["metrics"] |= self.scores.metrics()
            missing = [f"{name}: {reason}" for name, reason in self.scores.missing.items()]
            found["notes"] = "; ".join([note for note in (found["notes"], *missing) if note])
        return {**found, "parameters": parameters}

    def write_results(self, results: dict[str, Any]) -> None:
        """The record into the folder and, with --file-as, beside those that chapters show."""
        from eae_book.records import save_record
        from eae_core.files import replacing

        given, record = self.arguments, self._record(results)
        save_record(record, self.folder / RECORD)
        if given.file_as is None:
            return
        path = given.records / record.experiment / f"{record.run}.json"
        save_record(record, path)
        for sheet in self.folder.glob(f"{evaluate.SHEET}.*"):
            with replacing(path.with_suffix(sheet.suffix)) as temporary:
                temporary.write_bytes(sheet.read_bytes())

    def _record(self, results: dict[str, Any]) -> Record:
        """The results with the revisions of all that decided them."""
        from eae_book.records import new_record
        from eae_book.revisions import SCORING, parts_of_features, parts_of_training, revisions_of
        from eae_core.data import DATASETS

        given, model = self.arguments, self.model
        parts = parts_of_training(
            model.name,
            self.data.name if given.dataset in DATASETS else "",
            table=len(model.image_shape) == 1,
            options=results["parameters"]["options"],
        )
        if self.scores is not None:
            parts += (*SCORING, *parts_of_features(self.scores.extractors))
        if given.file_as is not None:
            results["experiment"], results["run"] = given.file_as.split("/")
        taken = {k: v for k, v in results.items() if k not in ("created", "versions")}
        return new_record(
            **{**taken, "device": given.device},
            revisions=revisions_of(parts),
            provenance=self.provenance,
        )


def check_words(arguments: argparse.Namespace) -> None:
    """Raise UsageError for words that do not go together."""
    name = r"[a-z0-9][a-z0-9._-]*"
    if arguments.file_as is not None and not re.fullmatch(f"{name}/{name}", arguments.file_as):
        raise UsageError(
            f"--file-as takes an experiment and a run such as table/mnist-eae-seed0, in lower-case "
            f"letters, digits and -_. , got {arguments.file_as!r}"
        )
    evaluate.check_samples(arguments.samples)
    shares = arguments.score_at or []
    if shares and not arguments.score:
        raise UsageError("--score-at goes with --score")
    if odd := [share for share in shares if not 0 < share < 1]:
        raise UsageError(f"--score-at takes shares above 0 and below 1, got {odd[0]:g}")
    if arguments.judge_on == HELD_OUT and arguments.limit is None:
        raise UsageError("--score-on held-out needs --limit: the images after it are held out")


def chosen_networks(
    names: Sequence[str] | None, train: Images, device: str
) -> Sequence[FeatureExtractor]:
    """The evaluation networks of `eae evaluate`, and CIFAR-10's classifier lent to other images."""
    from eae_book.borrowed import borrowed_features
    from eae_core.data import load_images

    if not names or "cifar10" not in names:
        return evaluate.networks(names, train, device)
    if train.image_shape[0] != 3:
        raise UsageError(f"the network cifar10 is for colour images, {train.name} is grey")
    found: list[FeatureExtractor] = []
    for name in NETWORKS:
        if name == "cifar10":
            found.append(borrowed_features(load_images(name), device=device))
        elif name in names:
            found += evaluate.networks([name], train, device)
    return found


def scored_epochs(arguments: argparse.Namespace) -> list[int]:
    """The epochs of --score-at, at least the first, and the last one."""
    shares = (max(1, round(share * arguments.epochs)) for share in arguments.score_at or [])
    return sorted({*shares, arguments.epochs})


def read_between(folder: Path) -> dict[int, dict[str, float]]:
    """What the folder holds of scores between, by epoch."""
    path = folder / BETWEEN
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {int(epoch): values for epoch, values in found.items()}


def convergence_curves(
    arguments: argparse.Namespace, last: Mapping[str, float], folder: Path
) -> dict[str, list[Any]]:
    """Scores after the epochs of --score-at and the last; None where one could not be computed."""
    if not arguments.score_at:
        return {}
    epochs = scored_epochs(arguments)
    rows = read_between(folder) | {epochs[-1]: dict(last)}
    names = dict.fromkeys(name for epoch in epochs[:-1] for name in rows.get(epoch, {}))
    curves = {f"scored_{name}": [rows.get(e, {}).get(name) for e in epochs] for name in names}
    return {"scored_epochs": epochs, **curves}


def score_lines(scores: Scores) -> list[str]:
    """The numbers of the tables, a line for each evaluation network.

    Example:
        >>> from eae_core.evaluation import Scores
        >>> values = {"fd_classifier_standard": 9.87, "fd_classifier_mixture": 8.76}
        >>> extractors = {"FD-classifier": "12ab"}
        >>> score_lines(Scores("digits", 50, 60, 60, 300, 0, extractors, values))
        ['FD-classifier of 50 samples: standard 9.87, mixture 8.76']
    """
    lines = []
    for extractor in scores.extractors:
        found = evaluate.frechet_distances(scores, extractor).items()
        shown = ", ".join(f"{name} {value:.4g}" for name, value in found)
        lines.append(f"{extractor} of {scores.samples} samples: {shown}")
    return lines
