"""Revisions: whole numbers beside everything that decides a number, so that records can be checked.

Each model class, the networks, the training loop, each metric and each data set carries a
``revision`` with a line of history. It goes up, by hand, when the numbers that come out change on
purpose; the golden tests (``tests/golden/``) fail when they change without it. Where code lies and
how it is worded decides nothing.

A *part* is named by its kind and, where there are several, its name: ``"model eae"``,
``"networks"``, ``"training"``, ``"data mnist"``, ``"metric frechet"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

#: part to the module whose ``REVISION`` it is
MODULES: dict[str, str] = {
    "networks": "eae_core.models.networks",
    "dense networks": "eae_core.models.dense",
    "training": "eae_core.training.loop",
    "knn entropy": "eae_core.entropy.knn",
    "regularizers": "eae_core.regularizers.registry",
    "decoder entropy": "eae_core.entropy.decoder",
    "codes": "eae_core.models.using",
    "densities": "eae_core.evaluation.densities",
    "gaussianity": "eae_core.evaluation.gaussianity",
    "metric frechet": "eae_core.evaluation.fid",
    "metric kernel": "eae_core.evaluation.fidelity",
    "features classifier": "eae_core.evaluation.features",
    "features inception": "eae_core.evaluation.inception",
    "generator networks": "eae_book.gans.lee",
    "adversarial training": "eae_book.gans.adversarial",
    "unpadded images": "eae_book.gans.unpadded",
    "image entropy": "eae_book.studies.image_entropy",
    "settled points": "eae_book.studies.settled_points",
    "preference": "eae_book.studies.preference",
    "corrected entropy": "eae_book.studies.gaussian_corrected",
    "weighted entropy": "eae_book.studies.weighted",
    "posterior bounds": "eae_book.studies.posterior_bounds",
    "encoder bounds": "eae_book.studies.encoder_bounds",
}


def _model(name: str) -> int:
    from eae_core.models.building import find_model

    return find_model(name)[0].revision


def _data(name: str) -> int:
    from eae_core.data.catalogue import dataset_info

    return dataset_info(name).revision


def _generator(name: str) -> int:
    from eae_book.gans.generators import find_generator

    return find_generator(name).revision


#: kind of a part to a function from its name to its revision
KINDS: dict[str, Callable[[str], int]] = {"model": _model, "data": _data, "generator": _generator}


def revision(part: str) -> int:
    """Today's revision of a part.

    Raises:
        ValueError: there is no such part.

    Example:
        >>> revision("model eae"), revision("networks"), revision("data mnist")
        (1, 1, 1)
    """
    kind, _, name = part.partition(" ")
    if part in MODULES:
        return int(import_module(MODULES[part]).REVISION)
    if kind in KINDS:
        return KINDS[kind](name)
    kinds = ", ".join(f"{kind} NAME" for kind in KINDS)
    raise ValueError(f"there is no part {part!r}; there are {', '.join(MODULES)}, {kinds}")


def revisions_of(parts: Iterable[str]) -> dict[str, int]:
    """Today's revisions of some parts, as a record carries them.

    Example:
        >>> revisions_of(["model vae", "training"])
        {'model vae': 1, 'training': 1}
    """
    return {part: revision(part) for part in parts}


#: what scores of a trained model depend on, besides the model and the features
SCORING = ("codes", "densities", "gaussianity", "metric frechet", "metric kernel")


def parts_of_training(
    model: str, dataset: str, *, table: bool = False, options: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """What decides the weights of a model of :func:`~eae_core.models.build_model`.

    Args:
        model: its name.
        dataset: the name of the data set, empty for own data.
        table: whether its data are a table, for which the networks are dense ones.
        options: of the model; a regularizer or a pin among them is one more part.

    Example:
        >>> parts_of_training("eae", "mnist")
        ('model eae', 'networks', 'training', 'data mnist')
        >>> parts_of_training("eae", "", options={"regularizer": "sigreg"})
        ('model eae', 'networks', 'training', 'regularizers')
    """
    networks = "dense networks" if table else "networks"
    chosen = options or {}
    other = chosen.get("regularizer", "knn_entropy") != "knn_entropy"
    more = ["regularizers"] if other or chosen.get("radial_weight") else []
    more += [f"data {dataset}"] if dataset else []
    return (f"model {model}", networks, "training", *more)


def parts_of_features(extractors: Iterable[str]) -> tuple[str, ...]:
    """What decides the features of extractors, by their names in a record.

    Example:
        >>> parts_of_features(["FD-classifier", "FID-768"])
        ('features classifier', 'features inception')
    """
    kinds = ["inception" if name.startswith("FID") else "classifier" for name in extractors]
    return tuple(f"features {kind}" for kind in dict.fromkeys(kinds))
