"""What a training leaves besides its model: codes, samples, scores, a picture and a record."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from eae_core.cli.folders import CHECKPOINT, CODES, RECORD, save_arrays
from eae_core.cli.parser import PROGRAM
from eae_core.errors import printable

if TYPE_CHECKING:
    from eae_core.data import Images
    from eae_core.data.own import Data
    from eae_core.evaluation import FeatureExtractor, Scores
    from eae_core.models import Autoencoder
    from eae_core.provenance import Provenance
    from eae_core.records import Record
    from eae_core.training import History, TrainOptions

SAMPLES = "samples"  # with a suffix
CODES_MOST = 100_000  # images whose codes are kept
OF_SCORES = ("samples", "judges", "score_at")


@dataclass(frozen=True)
class Plan:
    """All that a training needs, found possible before it starts."""

    data: Data
    images: Images  # to train on
    judged: Images
    model: Autoencoder
    options: TrainOptions
    networks: Sequence[FeatureExtractor]  # that judge it
    parameters: Mapping[str, Any]  # for the record
    provenance: Provenance


def finish(arguments: argparse.Namespace, plan: Plan, history: History, folder: Path) -> None:
    """All that is done with the trained model, and what is said about it."""
    from eae_core.cli.scoring import score_lines, write_pictures

    left = [RECORD, CHECKPOINT, _write_codes(plan, folder), _write_samples(plan, folder)]
    squared_error, scores = _judge(arguments, plan)
    record = _record(arguments, plan, history, squared_error, scores, folder)
    if arguments.score:
        left.append(write_pictures(plan.model, plan.images, plan.judged, folder)[0].name)
    _write_results(arguments, record, folder)
    last = ", ".join(f"{term} {history.curve(term)[-1]:.4g}" for term in history.terms)
    print(f"epoch {len(history.epochs)}: {last} ({history.images_per_second:.0f} images a second)")
    print(f"{plan.judged.split} images: reconstruction {squared_error:.4g}")
    if scores is not None:
        print(score_lines(scores))
    print(f"left in {folder}: {', '.join(left)}")
    print(f"next: {PROGRAM} sample {quote(str(folder))} -n 100 -o new; {PROGRAM} --help lists more")


def _write_codes(plan: Plan, folder: Path) -> str:
    """The codes of training images, to which densities are fitted; of some, if there are many."""
    import torch

    from eae_core.models import encode_images

    rows = torch.arange(len(plan.images))
    codes = encode_images(plan.model, plan.images, rows=rows[:: -(-len(rows) // CODES_MOST)])
    save_arrays(folder / CODES, codes=codes)
    return CODES


def _write_samples(plan: Plan, folder: Path) -> str:
    """A sheet of images decoded from codes that the model draws; for a table, an array."""
    from eae_core.evaluation.sheets import write_grid

    samples = plan.model.sample(64, seed=plan.options.seed)
    if samples.ndim == 4 and samples.shape[1] in (1, 3):
        return write_grid(samples, folder / f"{SAMPLES}.png", columns=8).name
    path = folder / f"{SAMPLES}.npy"
    save_arrays(path, images=samples)
    return path.name


def _judge(arguments: argparse.Namespace, plan: Plan) -> tuple[float, Scores | None]:
    """Squared error of images that the model was not trained on, and its scores if asked for."""
    from eae_core.evaluation import score_model
    from eae_core.hardware import freed_memory_kept, resolve_device
    from eae_core.models.using import evaluation_mode, reconstruction_error

    if not arguments.score:
        with evaluation_mode(plan.model) as device:
            return reconstruction_error(plan.model, plan.judged.to(device)), None
    device = resolve_device(arguments.device)
    with freed_memory_kept():
        scores = score_model(
            plan.model.to(device),
            plan.images.to(device),
            plan.judged.to(device),
            extractors=plan.networks,
            samples=arguments.samples,
            progress=not arguments.no_progress,
        )
    return scores.values["reconstruction_error"], scores


def _record(
    arguments: argparse.Namespace,
    plan: Plan,
    history: History,
    error: float,
    scores: Scores | None,
    folder: Path,
) -> Record:
    """What was run, on what, and what came out."""
    from eae_core.cli.convergence import convergence_curves
    from eae_core.data import DATASETS
    from eae_core.records import new_record
    from eae_core.revisions import SCORING, parts_of_features, parts_of_training, revisions_of

    model, images, name = plan.model, plan.images, plan.data.name
    own = arguments.dataset not in DATASETS
    parameters = {**plan.parameters, "dataset": name, "images": len(images)}
    if scores is None:
        parameters = {k: v for k, v in parameters.items() if k not in OF_SCORES}
    parts = parts_of_training(
        model.name,
        "" if own else name,
        table=len(model.image_shape) == 1,
        options=parameters.get("options"),
    )
    notes = [f"stand-in data: {images.stand_in}"] if images.stand_in else []
    notes += [printable(note) for note in plan.data.notes]
    notes += [note for note in history.notes if not note.startswith("going on from")]  # a path
    if scores is not None:
        parameters["extractors"] = scores.extractors
        notes += [f"{name}: {reason}" for name, reason in scores.missing.items()]
        parts += (*SCORING, *parts_of_features(scores.extractors))
    curves = {term: history.curve(term) for term in history.terms}
    if scores is not None:
        curves |= convergence_curves(arguments, scores.values, folder)
    split = arguments.judge_on.replace("-", "_")
    experiment, run = (arguments.file_as or "train/").split("/")
    return new_record(
        experiment,
        run or f"{name}-{arguments.model}-d{arguments.latent_dim}".lower(),
        parameters=parameters,
        metrics={
            "images_per_second": round(history.images_per_second, 1),
            **{f"final_{term}": values[-1] for term, values in curves.items()},
            f"{split}_reconstruction": error,
            **({} if scores is None else scores.metrics()),
        },
        seeds=[arguments.seed],
        curves=curves,
        seconds=round(history.seconds, 2),
        peak_memory_bytes=history.peak_memory_bytes,
        data_checksum=images.checksum,
        device=arguments.device,
        notes="; ".join(notes),
        revisions=revisions_of(parts),
        provenance=plan.provenance,
    )


def _write_results(arguments: argparse.Namespace, record: Record, folder: Path) -> None:
    """The record into the folder and, with --file-as, beside those that chapters show."""
    from eae_core.cli.scoring import SHEET
    from eae_core.files import replacing
    from eae_core.records import write_record

    write_record(record, folder / RECORD)
    if arguments.file_as is None:
        return
    path = arguments.records / record.experiment / f"{record.run}.json"
    write_record(record, path)
    for sheet in folder.glob(f"{SHEET}.*"):
        with replacing(path.with_suffix(sheet.suffix)) as temporary:
            temporary.write_bytes(sheet.read_bytes())
