"""The verb train: one model on one data set, with a record, a checkpoint and a sheet of samples."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eae_core.cli.folders import RECORD, fresh_folder
from eae_core.errors import CommandError, UsageError

if TYPE_CHECKING:
    from eae_core.data import ImageSet
    from eae_core.evaluation import Scores
    from eae_core.models import Autoencoder
    from eae_core.provenance import Provenance
    from eae_core.records import Record
    from eae_core.training import History, TrainOptions

CHECKPOINT = "model.safetensors"
SAMPLES = "samples.png"


def train(arguments: argparse.Namespace) -> int:
    """Train, and leave record.json, model.safetensors and samples.png in the output folder."""
    from eae_core.cli.convergence import convergence_curves, score_between
    from eae_core.cli.scoring import (
        check_judges,
        check_score_words,
        judged_images,
        score_lines,
        write_pictures,
    )
    from eae_core.provenance import Provenance
    from eae_core.training import CheckpointError, TrainingDiverged, fit

    provenance = Provenance.now()
    check_score_words(arguments)
    try:
        model, images, options = _prepare(arguments)
        check_judges(arguments, images)
        judged = judged_images(arguments)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    folder = _output_folder(arguments)
    try:
        history = fit(
            model,
            images,
            options,
            checkpoint=folder / CHECKPOINT,
            resume=arguments.resume,
            after_epoch=score_between(arguments, model, images, judged, folder),
        )
    except ValueError as error:  # sizes that do not fit together, found before the first step
        if arguments.output is None:
            folder.rmdir()
        raise UsageError(str(error)) from error
    except (TrainingDiverged, CheckpointError, OSError) as error:
        raise CommandError(str(error)) from error
    if history.interrupted:
        raise KeyboardInterrupt(
            f"stopped; go on with the same words and  --resume --output {folder}"
        )
    _write_samples(model, options, folder / SAMPLES)
    left = [RECORD, CHECKPOINT, SAMPLES]
    squared_error, scores = _judge(arguments, model, images, judged)
    curves = {term: history.curve(term) for term in _terms(history)}
    if scores is not None:
        curves |= convergence_curves(arguments, scores.values, folder)
    record = _record(arguments, model, images, history, curves, squared_error, scores, provenance)
    if arguments.score:
        left.append(write_pictures(model, images, judged, folder).name)
    _write_results(arguments, record, folder)
    last = ", ".join(f"{term} {history.curve(term)[-1]:.4g}" for term in _terms(history))
    print(f"epoch {len(history.epochs)}: {last} ({history.images_per_second:.0f} images a second)")
    print(f"{judged.split} images: reconstruction {squared_error:.4g}")
    if scores is not None:
        print(score_lines(scores))
    print(f"left in {folder}: {', '.join(left)}")
    return 0


def _prepare(arguments: argparse.Namespace) -> tuple[Autoencoder, ImageSet, TrainOptions]:
    """Everything that training needs; ValueError or OSError say what is impossible."""
    import torch

    from eae_core.cli.model_options import chosen_options
    from eae_core.data import load_images
    from eae_core.models import build_model
    from eae_core.training import TrainOptions

    images = load_images(arguments.dataset, "train", limit=arguments.limit)
    model_options = chosen_options(arguments)
    options = TrainOptions(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        learning_rate_decay=arguments.learning_rate_decay,
        seed=arguments.seed,
        device=arguments.device,
        precision=arguments.precision,
        channels_last=arguments.channels_last,
        compile=arguments.compile,
        progress=not arguments.no_progress,
    )
    torch.manual_seed(arguments.seed)  # the first weights
    model = build_model(
        arguments.model,
        images.image_shape,
        arguments.latent_dim,
        width=arguments.width,
        options=model_options,
        convolutions=arguments.convolutions,
    )
    return model, images, options


def _terms(history: History) -> list[str]:
    """The loss terms of a history."""
    return [name for name in history.epochs[0] if name not in ("epoch", "seconds")]


def _output_folder(arguments: argparse.Namespace) -> Path:
    """The folder to write to, which must not hold another run that would be lost."""
    folder: Path | None = arguments.output
    if folder is None:
        if arguments.resume:
            raise UsageError("--resume goes on with the run in a folder: name it with --output")
        return fresh_folder(Path("_runs"), f"train-{arguments.dataset}-{arguments.model}")
    started, finished = (folder / CHECKPOINT).exists(), (folder / RECORD).exists()
    if arguments.resume and not started:
        raise UsageError(f"there is no run in {folder} to resume: leave out --resume")
    if (started or finished) and not arguments.resume:
        state = "a finished run" if finished else "an interrupted run"
        raise UsageError(
            f"{folder} holds {state}: name another folder, or go on with --resume "
            "(more --epochs train a finished one longer)"
        )
    return folder


def _write_samples(model: Autoencoder, options: TrainOptions, path: Path) -> None:
    """A sheet of images decoded from codes that the model draws."""
    from eae_core.evaluation.sheets import write_sheet
    from eae_core.models.using import sample_images

    rows = sample_images(model, 64, seed=options.seed).split(8)
    write_sheet({str(number): row for number, row in enumerate(rows)}, path)


def _judge(
    arguments: argparse.Namespace, model: Autoencoder, images: ImageSet, judged: ImageSet
) -> tuple[float, Scores | None]:
    """Squared error of images that the model was not trained on, and its scores if asked for."""
    from eae_core.cli.scoring import score
    from eae_core.models.using import evaluation_mode, reconstruction_error

    if arguments.score:
        try:
            scores = score(arguments, model, images, judged)
        except (ValueError, OSError) as error:
            raise CommandError(
                f"the model is trained, but cannot be scored: {error}. With --resume the same "
                "words score it without training it again"
            ) from error
        return scores.values["reconstruction_error"], scores
    with evaluation_mode(model) as device:
        return reconstruction_error(model, judged.to(device)), None


def decisive(arguments: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Any]:
    """The words that decide the numbers, and the model's options: what a record is asked for."""
    from eae_core.cli.model_options import PREFIX

    left_out = {"call", "output", "resume", "no_progress", "device", "file_as", "records", "score"}
    words = {
        name: value
        for name, value in vars(arguments).items()
        if name not in left_out and not name.startswith(PREFIX)
    }
    return words | {"options": dict(options)}


def _record(
    arguments: argparse.Namespace,
    model: Autoencoder,
    images: ImageSet,
    history: History,
    curves: Mapping[str, Any],
    error: float,
    scores: Scores | None,
    provenance: Provenance,
) -> Record:
    """What was run, on what, and what came out."""
    from eae_core.records import new_record
    from eae_core.revisions import SCORING, parts_of_features, parts_of_training, revisions_of

    parameters = decisive(arguments, model.config["options"]) | {"images": len(images)}
    if scores is None:
        of_scores = ("samples", "judges", "score_at")
        parameters = {k: v for k, v in parameters.items() if k not in of_scores}
    parts = parts_of_training(model.name, arguments.dataset)
    notes = [f"stand-in data: {images.stand_in}"] if images.stand_in else []
    if scores is not None:
        parameters["extractors"] = scores.extractors
        notes += [f"{name}: {reason}" for name, reason in scores.missing.items()]
        parts += (*SCORING, *parts_of_features(scores.extractors))
    split = arguments.judge_on.replace("-", "_")
    experiment, run = (arguments.file_as or "train/").split("/")
    return new_record(
        experiment,
        run or f"{arguments.dataset}-{arguments.model}-d{arguments.latent_dim}".lower(),
        parameters=parameters,
        metrics={
            "images_per_second": round(history.images_per_second, 1),
            **{f"final_{term}": history.curve(term)[-1] for term in _terms(history)},
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
        provenance=provenance,
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
