"""The verb train: a model, its codes and samples, and a file that says how it came about."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import fields
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from lightning_fabric.loggers.csv_logs import CSVLogger
from lightning_fabric.loggers.tensorboard import TensorBoardLogger

from eae_core.cli import folders
from eae_core.cli.folders import CHECKPOINT, CODES, RECORD, save_arrays
from eae_core.cli.model_options import PREFIX, chosen_options
from eae_core.cli.models import first_of
from eae_core.cli.parser import PROGRAM
from eae_core.data import DATASETS, Images, open_data
from eae_core.errors import CommandError, UsageError, printable, refusing
from eae_core.evaluation.sheets import write_grid
from eae_core.files import LockedError, locked, write_json
from eae_core.hardware import describe_device
from eae_core.models import build_model, encode_images
from eae_core.models.using import evaluation_mode, reconstruction_error
from eae_core.training import History, TrainingError, TrainOptions, fit
from eae_core.training.parallel import ProcessLost, is_first_process

FAILED = 1  # the exit status
SAMPLES = "samples"  # with a suffix
CODES_MOST = 100_000  # images whose codes are kept


def train(arguments: argparse.Namespace) -> int:
    """Train, and leave record.json, model.safetensors, codes.npy and samples.png in a folder."""
    return Training(arguments).run()


class Training:
    """One call of the verb; whoever wants more to be done with the model overrides a method.

    What is impossible is refused when it is made (UsageError), before the work.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        with refusing():
            self.prepare()
        self.folder = self._output_folder()

    def prepare(self) -> None:
        """Data, model and options; ValueError or OSError say what is impossible."""
        given = self.arguments
        if given.log == "tensorboard" and find_spec("tensorboard") is None:
            raise UsageError("--log tensorboard needs that package: pip install tensorboard")
        chosen = {f.name: vars(given)[f.name] for f in fields(TrainOptions) if f.name in given}
        self.options = TrainOptions(**chosen, progress=not given.no_progress)
        options, name, fraction = chosen_options(given), given.dataset, given.test_fraction
        shown = self.options.progress
        self.data = open_data(name, size=given.size, test_fraction=fraction, progress=shown)
        self.images = self.data.images("train", given.limit)
        self.others = self.other_images()
        torch.manual_seed(given.seed)  # the first weights
        self.model = build_model(
            given.model,
            self.images.image_shape,
            given.latent_dim,
            width=given.width,
            options=options,
            convolutions=given.convolutions,
        )

    def other_images(self) -> Images:
        """Images that the model is not trained on, to measure its error."""
        return first_of(self.data.images("test"), self.arguments.limit)

    def run(self) -> int:
        """Train, and do what comes then; the exit status."""
        folder, first = self.folder, is_first_process()
        new = self.arguments.output is None or not folder.exists()
        try:
            # Until all is written: results must not be of one training and weights of another.
            with locked(folder / RECORD) if first else nullcontext():
                return self._train(first=first)
        except LockedError as error:
            raise CommandError(str(error)) from error
        except UsageError:
            if new:
                with suppress(OSError):  # something lies in it already
                    folder.rmdir()
            raise

    def _train(self, *, first: bool) -> int:
        """Train, then do what the first of several processes does alone."""
        path, again = self.folder / CHECKPOINT, f"--resume --output {self.folder}"
        for note in self.data.notes if first else ():
            print(f"{self.data.name}: {printable(note)}")
        try:
            history = fit(
                self.model,
                self.images,
                self.options,
                checkpoint=path,
                resume=self.arguments.resume,
                logger=_logger(self.arguments.log, self.folder),
                after_epoch=self.after_epoch(),
            )
        except ValueError as error:  # sizes that do not fit together, found before the first step
            raise UsageError(str(error)) from error
        except (TrainingError, OSError) as error:
            if first or isinstance(error, ProcessLost):
                raise CommandError(str(error)) from error
            return FAILED  # the first process has the same error, and says it
        if not first:
            return 0
        if history.interrupted:
            on = f"go on with the same words and  {again}"
            raise KeyboardInterrupt(f"stopped; {on if path.exists() else 'before the first step'}")
        try:
            self.finish(history)
        except (ValueError, OSError) as error:
            raise CommandError(
                f"the model is trained and kept in {path}, but what comes then failed: {error}. "
                f"The same words with  {again}  do that without training it again"
            ) from error
        except KeyboardInterrupt as error:
            after = f"stopped after the training; the same words and  {again}  do the rest"
            raise KeyboardInterrupt(after) from error
        return 0

    def after_epoch(self) -> Callable[[int], None] | None:
        """What is called with the number of each epoch when it ends."""
        return None

    def finish(self, history: History) -> None:
        """All that is done with the trained model, and what is said about it."""
        left = [RECORD, CHECKPOINT, self._write_codes(), self._write_samples()]
        error, said, more = self.measure()
        self.write_results(self.results(history, error))
        last = ", ".join(f"{term} {history.curve(term)[-1]:.4g}" for term in history.terms)
        speed = f"{history.images_per_second:.0f} images a second"
        print(f"epoch {len(history.epochs)}: {last} ({speed})")
        print(f"{self.others.split} images: reconstruction {error:.4g}", *said, sep="\n")
        print(f"left in {self.folder}: {', '.join(left + more)}")
        example = f"{PROGRAM} sample {quote(str(self.folder))} -n 100 -o new"
        print(f"next: {example}; {PROGRAM} --help lists more")

    def measure(self) -> tuple[float, list[str], list[str]]:
        """Squared error of other images; lines to be said, and files that were left."""
        with evaluation_mode(self.model) as device:
            return reconstruction_error(self.model, self.others.to(device)), [], []

    def results(self, history: History, error: float) -> dict[str, Any]:
        """What was run, on what, and what came out."""
        given, images = self.arguments, self.images
        parameters = decisive(given, self.model.config["options"])
        curves = {term: history.curve(term) for term in history.terms}
        notes = [f"stand-in data: {images.stand_in}"] if images.stand_in else []
        notes += [printable(note) for note in self.data.notes]
        notes += [note for note in history.notes if not note.startswith("going on from")]  # a path
        return {
            "experiment": "train",
            "run": f"{self.data.name}-{given.model}-d{given.latent_dim}".lower(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "parameters": {**parameters, "dataset": self.data.name, "images": len(images)},
            "seeds": [given.seed],
            "metrics": {
                "images_per_second": round(history.images_per_second, 1),
                **{f"final_{term}": values[-1] for term, values in curves.items()},
                f"{self.others.split.replace('-', '_')}_reconstruction": error,
            },
            "curves": curves,
            "seconds": round(history.seconds, 2),
            "peak_memory_bytes": history.peak_memory_bytes,
            "data_checksum": images.checksum,
            "versions": folders.installed_versions(),
            "device": describe_device(given.device),
            "notes": "; ".join(notes),
        }

    def write_results(self, results: dict[str, Any]) -> None:
        """Write them into the folder."""
        write_json(results, self.folder / RECORD)

    def _write_codes(self) -> str:
        """The codes of training images, to which densities are fitted; of some, if many."""
        rows = torch.arange(len(self.images))
        codes = encode_images(self.model, self.images, rows=rows[:: -(-len(rows) // CODES_MOST)])
        save_arrays(self.folder / CODES, codes=codes)
        return CODES

    def _write_samples(self) -> str:
        """A sheet of images decoded from codes that the model draws; for a table, an array."""
        samples = self.model.sample(64, seed=self.options.seed)
        if samples.ndim == 4 and samples.shape[1] in (1, 3):
            return write_grid(samples, self.folder / f"{SAMPLES}.png", columns=8).name
        path = self.folder / f"{SAMPLES}.npy"
        save_arrays(path, images=samples)
        return path.name

    def _output_folder(self) -> Path:
        """The folder to write to, which must not hold another run that would be lost."""
        given = self.arguments
        folder: Path | None = given.output
        if folder is None:
            if given.resume:
                raise UsageError("--resume goes on with the run in a folder: name it with --output")
            if given.devices * given.num_nodes > 1:
                raise UsageError("several devices share a folder: name it with --output")
            return folders.fresh_folder(Path("_runs"), f"train-{self.data.name}-{given.model}")
        started, finished = (folder / CHECKPOINT).exists(), (folder / RECORD).exists()
        if given.resume and not started:
            raise UsageError(f"there is no run in {folder} to resume: leave out --resume")
        if (started or finished) and not given.resume:
            state = "a finished run" if finished else "an interrupted run"
            raise UsageError(
                f"{folder} holds {state}: name another folder, or go on with --resume "
                "(more --epochs train a finished one longer)"
            )
        return folder


def decisive(arguments: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Any]:
    """The words that decide the numbers, and the model's options."""
    left_out = {"call", "output", "resume", "no_progress", "log"}
    left_out |= {"device", "devices", "num_nodes", "strategy"}
    if arguments.dataset in DATASETS:
        left_out |= {"size", "test_fraction"}
    words = vars(arguments).items()
    kept = {n: value for n, value in words if n not in left_out and not n.startswith(PREFIX)}
    return kept | {"options": dict(options)}


def _logger(kind: str | None, folder: Path) -> Any:
    """One of Lightning's loggers, into the folder log/ of a run."""
    if kind is None:
        return None
    choice = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}
    return choice[kind](folder, name="log", version="")
