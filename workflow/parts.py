"""Which parts decide the numbers of an experiment's records, see :mod:`eae_book.revisions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eae_book.revisions import SCORING, parts_of_features, parts_of_training

NOTHING_BEHIND = ("benchmarks", "chapters", "claims", "repeats")  # say what was: never stale


def parts_of(experiment: str, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts behind a record of this experiment with these parameters.

    Raises:
        ValueError: an experiment that is not known here.
    """
    if experiment in NOTHING_BEHIND:
        return ()
    features = parts_of_features(parameters.get("extractors", {}))
    if experiment == "decoder-lens":
        return (*_training(parameters), "codes", "image entropy", "decoder entropy", "knn entropy")
    if experiment == "linear-code":
        return (f"data {parameters['dataset']}",)
    if experiment == "long-trial":
        return _training(parameters)
    if experiment.startswith("models-") or experiment == "contest-radius":
        return (*_training(parameters), *SCORING, *features)
    if experiment in ("eae-mnist", "eae-celeba"):
        judged = ("features inception",) if experiment == "eae-celeba" else ("features classifier",)
        return (*_training({"model": "eae", **parameters}), *SCORING, *judged)
    if experiment.startswith("generators-"):
        measured = ("decoder entropy", "metric frechet", "features classifier")
        return (*_generator(parameters["model"], parameters["dataset"]), *measured)
    if experiment == "encoder-bounds":
        dataset, model = parameters["generator"].split("-")[:2]
        return (*_generator(model, dataset), "encoder bounds", "posterior bounds")
    if experiment == "batch-rewards":
        measured = ("knn entropy", "codes", "gaussianity", "metric frechet", "features classifier")
        data = f"data {parameters['dataset']}"
        return (f"model {parameters['model']}", "dense networks", "training", data, *measured)
    if experiment == "explorer":
        models = ("model ae", "model eae", "model vae")
        measured = ("codes", "metric frechet", "features classifier")
        return (*models, "training", f"data {parameters['dataset']}", *measured)
    if experiment == "preference":
        return ("preference", "regularizers", "knn entropy")
    if experiment == "settled-points":
        return ("settled points", "regularizers", "knn entropy", "gaussianity")
    if experiment == "ground-truth":
        return ("knn entropy", "corrected entropy", "weighted entropy")
    raise ValueError(f"workflow/parts.py does not know what decides records of {experiment!r}")


def _training(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return parts_of_training(
        parameters["model"], parameters["dataset"], options=parameters.get("options")
    )


def _generator(model: str, dataset: str) -> tuple[str, ...]:
    loop = "training" if model == "lee_vae" else "adversarial training"
    parts = (f"generator {model}", "generator networks", loop, "unpadded images")
    return (*parts, f"data {dataset}")
