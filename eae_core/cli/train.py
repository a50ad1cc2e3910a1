"""The verb train: one model on one data set, with a record, a checkpoint and a sheet of samples."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eae_core.cli.folders import CHECKPOINT, CODES, RECORD, fresh_folder
from eae_core.errors import CommandError, UsageError, printable

if TYPE_CHECKING:
    from eae_core.data import Images
    from eae_core.data.own import DataSource
    from eae_core.evaluation import FeatureExtractor, Scores
    from eae_core.models import Autoencoder
    from eae_core.provenance import Provenance
    from eae_core.records import Record
    from eae_core.training import History, TrainOptions

SAMPLES = "samples"  # with a suffix
CODES_MOST = 100_000  # images whose codes are kept
FAILED = 1  # the exit status
OF_SCORES = ("samples", "judges", "score_at")


@dataclass(frozen=True)
class Plan:
    """All that a training needs, found possible before it starts."""

    data: DataSource
    images: Images  # to train on
    judged: Images
    model: Autoencoder
    options: TrainOptions
    networks: Sequence[FeatureExtractor]  # that judge it


def train(arguments: argparse.Namespace) -> int:
    """Train, and leave record.json, model.safetensors, codes.npy and samples.png in a folder."""
    from eae_core.cli.scoring import check_score_words
    from eae_core.files import LockedError, locked
    from eae_core.provenance import Provenance
    from eae_core.training.parallel import is_first_process

    provenance = Provenance.now()
    check_score_words(arguments)
    if arguments.log == "tensorboard" and find_spec("tensorboard") is None:
        raise UsageError("--log tensorboard needs that package: pip install tensorboard")
    try:
        plan = _plan(arguments)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    folder = _output_folder(arguments, plan.data.name)
    try:
        # Until the record is written: else it might be of one training and the weights of another.
        with locked(folder / RECORD) if is_first_process() else nullcontext():
            return _train(arguments, plan, folder, provenance)
    except LockedError as error:
        raise CommandError(str(error)) from error
    except UsageError:
        if arguments.output is None:
            with suppress(OSError):  # something lies in it already
                folder.rmdir()
        raise


def _train(arguments: argparse.Namespace, plan: Plan, folder: Path, provenance: Provenance) -> int:
    """Train, then do what the first of several processes does alone."""
    from eae_core.cli.convergence import score_between
    from eae_core.training import TrainingError, fit
    from eae_core.training.parallel import ProcessLost, is_first_process

    first, path = is_first_process(), folder / CHECKPOINT
    for note in plan.data.notes if first else ():
        print(f"{plan.data.name}: {printable(note)}")
    try:
        history = fit(
            plan.model,
            plan.images,
            plan.options,
            checkpoint=path,
            resume=arguments.resume,
            logger=_logger(arguments.log, folder),
            after_epoch=score_between(arguments, plan, folder),
        )
    except ValueError as error:  # sizes that do not fit together, found before the first step
        raise UsageError(str(error)) from error
    except (TrainingError, OSError) as error:
        if first or isinstance(error, ProcessLost):
            raise CommandError(str(error)) from error
        return FAILED  # the first process has the same error, and says it
    again = f"the same words with  --resume --output {folder}"
    if not first:
        return 0
    if history.interrupted:
        where = f"go on with {again}" if path.exists() else "before the first step"
        raise KeyboardInterrupt(f"stopped; {where}")
    try:
        return _finish(arguments, plan, history, folder, provenance)
    except (ValueError, OSError) as error:
        raise CommandError(
            f"the model is trained and kept in {path}, but what comes then failed: {error}. "
            f"{again[0].upper()}{again[1:]}  do that without training it again"
        ) from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"stopped after the training; {again}  do the rest") from error


def _plan(arguments: argparse.Namespace) -> Plan:
    """Everything that training needs; ValueError or OSError say what is impossible."""
    import torch

    from eae_core.cli.model_options import chosen_options
    from eae_core.cli.scoring import check_scores, judged_images
    from eae_core.data import open_data
    from eae_core.files import check_writable
    from eae_core.models import build_model
    from eae_core.training import TrainOptions

    options = TrainOptions(
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        learning_rate_decay=arguments.learning_rate_decay,
        seed=arguments.seed,
        device=arguments.device,
        devices=arguments.devices,
        num_nodes=arguments.num_nodes,
        strategy=arguments.strategy,
        precision=arguments.precision,
        channels_last=arguments.channels_last,
        compile=arguments.compile,
        progress=not arguments.no_progress,
    )
    model_options = chosen_options(arguments)
    data = open_data(
        arguments.dataset,
        size=arguments.size,
        test_fraction=arguments.test_fraction,
        progress=options.progress,
    )
    images, judged = data.images("train", arguments.limit), judged_images(data, arguments)
    torch.manual_seed(arguments.seed)  # the first weights
    model = build_model(
        arguments.model,
        images.image_shape,
        arguments.latent_dim,
        width=arguments.width,
        options=model_options,
        convolutions=arguments.convolutions,
    )
    if arguments.file_as is not None:
        check_writable(arguments.records / arguments.file_as.split("/")[0])
    networks = check_scores(arguments, images, judged) if arguments.score else ()
    return Plan(data, images, judged, model, options, networks)


def _logger(kind: str | None, folder: Path) -> Any:
    """One of Lightning's loggers, into the folder log/ of a run."""
    if kind is None:
        return None
    from lightning_fabric.loggers.csv_logs import CSVLogger
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    choice = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}
    return choice[kind](folder, name="log", version="")


def _output_folder(arguments: argparse.Namespace, name: str) -> Path:
    """The folder to write to, which must not hold another run that would be lost."""
    folder: Path | None = arguments.output
    if folder is None:
        if arguments.resume:
            raise UsageError("--resume goes on with the run in a folder: name it with --output")
        if arguments.devices * arguments.num_nodes > 1:
            raise UsageError("several devices share a folder: name it with --output")
        return fresh_folder(Path("_runs"), f"train-{name}-{arguments.model}")
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


def _finish(
    arguments: argparse.Namespace,
    plan: Plan,
    history: History,
    folder: Path,
    provenance: Provenance,
) -> int:
    """All that is done with the trained model, and what is said about it."""
    from eae_core.cli.scoring import score_lines, write_pictures

    left = [RECORD, CHECKPOINT, _write_codes(plan, folder), _write_samples(plan, folder)]
    squared_error, scores = _judge(arguments, plan)
    record = _record(arguments, plan, history, squared_error, scores, folder, provenance)
    if arguments.score:
        left.append(write_pictures(plan.model, plan.images, plan.judged, folder).name)
    _write_results(arguments, record, folder)
    last = ", ".join(f"{term} {history.curve(term)[-1]:.4g}" for term in history.terms)
    print(f"epoch {len(history.epochs)}: {last} ({history.images_per_second:.0f} images a second)")
    print(f"{plan.judged.split} images: reconstruction {squared_error:.4g}")
    if scores is not None:
        print(score_lines(scores))
    print(f"left in {folder}: {', '.join(left)}")
    return 0


def _write_codes(plan: Plan, folder: Path) -> str:
    """The codes of training images, to which densities are fitted; of some, if there are many."""
    import numpy as np
    import torch

    from eae_core.files import replacing
    from eae_core.models import encode_images

    rows = torch.arange(len(plan.images))
    codes = encode_images(plan.model, plan.images, rows=rows[:: -(-len(rows) // CODES_MOST)])
    with replacing(folder / CODES) as temporary, temporary.open("wb") as file:
        np.save(file, codes.numpy())
    return CODES


def _write_samples(plan: Plan, folder: Path) -> str:
    """A sheet of images decoded from codes that the model draws; for a table, an array."""
    import numpy as np

    from eae_core.evaluation.sheets import write_grid
    from eae_core.files import replacing

    samples = plan.model.sample(64, seed=plan.options.seed)
    if samples.ndim == 4 and samples.shape[1] in (1, 3):
        return write_grid(samples, folder / f"{SAMPLES}.png", columns=8).name
    path = folder / f"{SAMPLES}.npy"
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, samples.numpy())
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


def decisive(arguments: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Any]:
    """The words that decide the numbers, and the model's options: what a record is asked for."""
    from eae_core.cli.model_options import PREFIX
    from eae_core.data import DATASETS

    left_out = {"call", "output", "resume", "no_progress", "device", "file_as", "records", "score"}
    left_out |= {"devices", "num_nodes", "strategy", "log"}
    if arguments.dataset in DATASETS:
        left_out |= {"size", "test_fraction"}
    words = {
        name: value
        for name, value in vars(arguments).items()
        if name not in left_out and not name.startswith(PREFIX)
    }
    return words | {"options": dict(options)}


def _record(
    arguments: argparse.Namespace,
    plan: Plan,
    history: History,
    error: float,
    scores: Scores | None,
    folder: Path,
    provenance: Provenance,
) -> Record:
    """What was run, on what, and what came out."""
    from eae_core.cli.convergence import convergence_curves
    from eae_core.data import DATASETS
    from eae_core.records import new_record
    from eae_core.revisions import SCORING, parts_of_features, parts_of_training, revisions_of

    model, images, name = plan.model, plan.images, plan.data.name
    own = arguments.dataset not in DATASETS
    parameters = decisive(arguments, model.config["options"]) | {"images": len(images)}
    if own:
        parameters["dataset"] = name
    if scores is None:
        parameters = {k: v for k, v in parameters.items() if k not in OF_SCORES}
    parts = parts_of_training(model.name, "" if own else name, table=len(model.image_shape) == 1)
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
