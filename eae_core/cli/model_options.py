"""The words of the verb train that choose a model's options, read from the models themselves."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields, replace
from inspect import getdoc
from typing import Any, get_type_hints

from eae_core.data.catalogue import DATASETS
from eae_core.errors import UsageError, nearest
from eae_core.models import MODELS, ModelOptions, published_options

PREFIX = "option_"  # of their names among the arguments


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add a word for every option of every model; what is not given stays None."""
    group = parser.add_argument_group(
        "options of the models",
        f"Models: {', '.join(MODELS)}.\n"
        "Where nothing is given, the weights are those published for the data set; for own data\n"
        "they are the models' defaults.",
    )
    owners: dict[str, list[str]] = {}
    for name, (_, options_class) in MODELS.items():
        for field in fields(options_class):
            owners.setdefault(field.name, []).append(name)
    for option, models in owners.items():
        options_class = MODELS[models[0]][1]
        kind = get_type_hints(options_class)[option]
        words: dict[str, Any] = {"dest": PREFIX + option, "default": None}
        if kind is bool:
            words["action"] = argparse.BooleanOptionalAction
        else:
            words |= {"type": kind, "metavar": {int: "N", float: "W", str: "NAME"}[kind]}
        text = f"{', '.join(models)}: {description(options_class, option)}"
        group.add_argument(flag(option), help=text.replace("%", "%%"), **words)


def description(options_class: type[ModelOptions], option: str) -> str:
    """What the docstring of a model's options says about one of them, without its marks."""
    found = re.search(
        rf"^    {option}: (.+?)\.?(?=\n    \w|\n\S|\Z)", getdoc(options_class) or "", re.M | re.S
    )
    text = " ".join(found[1].split()) if found else ""
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)


def flag(option: str) -> str:
    """How the command line calls an option."""
    return f"--{option.replace('_', '-')}"


def chosen_options(arguments: argparse.Namespace) -> ModelOptions:
    """The options that were given, and else those published for the data set.

    For own data they are the model's defaults, which are those published for MNIST.
    """
    name = arguments.model
    words = {k.removeprefix(PREFIX): v for k, v in vars(arguments).items() if k.startswith(PREFIX)}
    given = {option: value for option, value in words.items() if value is not None}
    if name not in MODELS:
        raise UsageError(f"there is no model {name!r}; {nearest(name, MODELS)}")
    known = [field.name for field in fields(MODELS[name][1])]
    if odd := [option for option in given if option not in known]:
        has = ", ".join(map(flag, known))
        raise UsageError(f"the model {name} has no {flag(odd[0])}; it has {has}")
    if arguments.dataset in DATASETS:
        return replace(published_options(name, arguments.dataset), **given)
    return MODELS[name][1](**given)
