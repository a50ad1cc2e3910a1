"""The long recorded runs, as chapters show them: who they are, their distances, their yardstick.

Their networks are held against principal components of as many numbers; a network behind them
decides nothing. Distances compare where one classifier measured all: half of the runs on CIFAR-10
were scored by a classifier of their own, so for these images they are those of the records that
Inception has, in which one classifier looked at a thousand images of every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eae_book.records import Record, recorded

#: variant of a run's name to what it is called, in the order of tables
LONG_RUNS: dict[str, str] = {
    "ae": "AE",
    "rae_l2": "RAE-L2",
    "vae": "VAE",
    "two_stage_vae": "two-stage VAE",
    "wae": "WAE",
    "eae-w0": "normalisation alone",
    "eae-w1": "EAE, weight 1",
    "eae-w3": "EAE, weight 3",
    "eae-pin": "EAE with the pin",
    "eae-sigreg": "SIGReg",
}
#: data sets whose runs were not all scored by the same classifier
MEASURED_AGAIN = ("cifar10",)


def long_runs(dataset: str, root: str | Path | None = None) -> dict[str, list[Record]]:
    """Seeds of each long run on a data set, by the names of :data:`LONG_RUNS`; none if none is.

    Example:
        >>> list(long_runs("mnist"))[:2]
        ['AE', 'RAE-L2']
    """
    records = recorded("models-long", root)
    found: dict[str, list[Record]] = {}
    for kind, label in LONG_RUNS.items():
        runs = [records[name] for name in records if name.startswith(f"{dataset}-{kind}-seed")]
        if runs:
            found[label] = sorted(runs, key=lambda record: record.seeds)
    return found


def distance(record: Record, images: str, root: str | Path | None = None) -> float:
    """Frechet distance by the classifier that measured all long runs of a data set.

    Args:
        record: of a long run.
        images: standard, mixture, reconstruction or real; ``own`` is what the model itself draws
            from: N(0, I), or the second stage of a two-stage VAE.
        root: the folder of all records.

    Raises:
        KeyError: no such images were measured.

    Example:
        >>> run = long_runs("mnist")["AE"][0]
        >>> distance(run, "reconstruction") < distance(run, "mixture") < distance(run, "own")
        True
    """
    record = with_distances(record, root)
    name = next(name for name in record.parameters["extractors"] if name != "FID-768")
    prefix = f"fd_{name.removeprefix('FD-')}_"
    if images == "own":
        images = "prior" if f"{prefix}prior" in record.metrics else "standard"
    return float(record.metrics[prefix + images])


def with_distances(record: Record, root: str | Path | None = None) -> Record:
    """The record that has the distances of a long run: its own, or the one of Inception.

    Example:
        >>> runs = [long_runs(dataset)["AE"][0] for dataset in ("mnist", "cifar10")]
        >>> [with_distances(run).experiment for run in runs]
        ['models-long', 'models-inception-long']
    """
    if record.parameters["dataset"] in MEASURED_AGAIN:
        return recorded("models-inception-long", root)[record.run]
    return record


def linear_error(dataset: str, latent_dim: int, root: str | Path | None = None) -> float:
    """Squared error of as many principal components, fitted to all training images, on test images.

    Raises:
        KeyError: not recorded: ``python workflow/record_linear.py`` does it.

    Example:
        >>> round(linear_error("mnist", 16), 1) > round(linear_error("mnist", 32), 1)
        True
    """
    record = recorded("linear-code", root)[f"{dataset}-d{latent_dim}"]
    return float(record.metrics["reconstruction_error"])


def beats_linear(runs: Sequence[Record], root: str | Path | None = None) -> bool:
    """Whether every one of these runs has a smaller error than principal components.

    Example:
        >>> beats_linear(long_runs("mnist")["AE"])
        True
    """
    return all(
        run.metrics["reconstruction_error"]
        < linear_error(run.parameters["dataset"], run.parameters["latent_dim"], root)
        for run in runs
    )
