"""The verb train: one model on one data set, with a record, a checkpoint and a sheet of samples."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eae_core.cli.folders import CHECKPOINT, RECORD, fresh_folder
from eae_core.errors import CommandError, UsageError, printable

if TYPE_CHECKING:
    from eae_core.cli.results import Plan

FAILED = 1  # the exit status


def train(arguments: argparse.Namespace) -> int:
    """Train, and leave record.json, model.safetensors, codes.npy and samples.png in a folder."""
    from eae_core.cli.scoring import check_score_words
    from eae_core.files import LockedError, locked
    from eae_core.training.parallel import is_first_process

    check_score_words(arguments)
    if arguments.log == "tensorboard" and find_spec("tensorboard") is None:
        raise UsageError("--log tensorboard needs that package: pip install tensorboard")
    try:
        plan = _plan(arguments)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    folder = _output_folder(arguments, plan.data.name)
    new = arguments.output is None or not folder.exists()
    try:
        # Until the record is written: else it might be of one training and the weights of another.
        with locked(folder / RECORD) if is_first_process() else nullcontext():
            return _train(arguments, plan, folder)
    except LockedError as error:
        raise CommandError(str(error)) from error
    except UsageError:
        if new:
            with suppress(OSError):  # something lies in it already
                folder.rmdir()
        raise


def _train(arguments: argparse.Namespace, plan: Plan, folder: Path) -> int:
    """Train, then do what the first of several processes does alone."""
    from eae_core.cli.convergence import score_between
    from eae_core.cli.results import finish
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
    again = f"the same words and  --resume --output {folder}"
    if not first:
        return 0
    if history.interrupted:
        where = f"go on with {again}" if path.exists() else "before the first step"
        raise KeyboardInterrupt(f"stopped; {where}")
    try:
        finish(arguments, plan, history, folder)
    except (ValueError, OSError) as error:
        raise CommandError(
            f"the model is trained and kept in {path}, but what comes then failed: {error}. The "
            f"same words with  --resume --output {folder}  do that without training it again"
        ) from error
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"stopped after the training; {again}  do the rest") from error
    return 0


def _plan(arguments: argparse.Namespace) -> Plan:
    """Everything that training needs; ValueError or OSError say what is impossible."""
    import torch

    from eae_core.cli.model_options import chosen_options
    from eae_core.cli.results import Plan
    from eae_core.cli.scoring import check_scores, judged_images
    from eae_core.data import open_data
    from eae_core.files import check_writable
    from eae_core.models import build_model
    from eae_core.provenance import Provenance
    from eae_core.training import TrainOptions

    provenance = Provenance.now()

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
    parameters = decisive(arguments, model.config["options"])
    return Plan(data, images, judged, model, options, networks, parameters, provenance)


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
