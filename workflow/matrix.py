"""What there is to run: the cells of workflow/matrix.yml, and which of them have a record."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from eae_core.models import MODELS
from eae_core.provenance import code_hash
from eae_core.records import Record, load_records

MATRIX = Path(__file__).parent / "matrix.yml"
KEYS = {"seeds", "models", "defaults", "datasets", "variants", "by_model"}  # of a profile


@dataclass(frozen=True)
class Cell:
    """One model to train and score."""

    profile: str
    dataset: str
    model: str
    variant: str  #: name of what is special about the options, "" for nothing
    seed: int
    words: tuple[tuple[str, Any], ...]  #: of the verb train, with their values

    @property
    def experiment(self) -> str:
        """Folder of the record."""
        return f"models-{self.profile}"

    @property
    def run(self) -> str:
        """Name of the record."""
        parts = (self.dataset, self.model, self.variant, f"seed{self.seed}")
        return "-".join(part for part in parts if part)

    @property
    def code(self) -> str:
        """Hash of the model's file and of those that it imports."""
        return model_code(self.model)

    @property
    def key(self) -> str:
        """Changes with anything that decides the numbers: words, and the model's sources."""
        text = json.dumps([self.dataset, self.model, self.seed, self.words, self.code])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def command(self, output: str, records: str = "") -> list[str]:
        """Words of the command that trains, scores and files this cell."""
        command = ["train", "--dataset", self.dataset, "--model", self.model]
        command += ["--seed", str(self.seed), "--output", output, "--score"]
        command += ["--file-as", f"{self.experiment}/{self.run}"]
        command += ["--records", records] if records else []
        for name, value in self.words:
            if isinstance(value, bool):
                command.append(f"--{name}" if value else f"--no-{name}")
            else:
                values = value if isinstance(value, list | tuple) else [value]
                command += [f"--{name}", *map(str, values)]
        return command

    def is_recorded(self, records: Mapping[str, Record]) -> bool:
        """Whether among these records, by name, is one of just these words and sources."""
        if self.run not in records:
            return False
        found = records[self.run].parameters
        said = {**found, **found.get("options", {})}
        asked = {name.replace("-", "_"): value for name, value in self.words}
        asked |= {"dataset": self.dataset, "model": self.model, "seed": self.seed}
        asked |= {"model_code": self.code}
        return all(said.get(name) == value for name, value in asked.items())


def load_cells(
    profile: str,
    *,
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    seeds: Sequence[int] = (),
    path: Path = MATRIX,
) -> list[Cell]:
    """The cells of a profile, seed by seed, so that a stopped matrix has all models at one seed.

    Args:
        profile: a key of ``profiles`` in the file.
        datasets: only these; all by default.
        models: likewise.
        seeds: instead of those of the profile.
        path: the file.

    Raises:
        ValueError: a profile, data set, model or key that is not there (the nearest is named).
    """
    matrix = yaml.safe_load(path.read_text(encoding="utf-8"))
    plan = matrix["profiles"][_known("profile", profile, matrix["profiles"])]
    for key in plan:
        _known(f"key of profile {profile}", key, KEYS)
    chosen_models = models or plan.get("models", matrix["models"])
    chosen_datasets = datasets or list(plan["datasets"])
    return [
        Cell(profile, dataset, model, variant, seed, _words(plan, dataset, variant, model))
        for seed in seeds or plan["seeds"]
        for dataset in (_known("data set", name, plan["datasets"]) for name in chosen_datasets)
        for model in (_known("model", name, MODELS) for name in chosen_models)
        for variant in plan.get("variants", {"": {}})
    ]


def pending(cells: Sequence[Cell], root: str | Path | None = None) -> list[Cell]:
    """The cells that have no record, or one of other words or of other sources of the model."""
    try:
        records = {r.run: r for r in load_records(cells[0].experiment, root)} if cells else {}
    except FileNotFoundError:
        records = {}
    return [cell for cell in cells if not cell.is_recorded(records)]


def _words(
    plan: Mapping[str, Any], dataset: str, variant: str, model: str
) -> tuple[tuple[str, Any], ...]:
    words: dict[str, Any] = {}
    special = plan.get("by_model", {}).get(model, {})
    more = plan.get("variants", {}).get(variant, {})
    for layer in (plan.get("defaults", {}), plan["datasets"][dataset], more, special):
        for name, value in layer.items():
            factor = re.fullmatch(r"x(\d+(\.\d+)?)", value) if isinstance(value, str) else None
            words[name] = _product(words[name], factor[1]) if factor else value
    return tuple(sorted(words.items()))


def _product(number: float, factor: str) -> float:
    """Exact in decimals, as it is written: 0.3 times 0.072 is 0.0216."""
    exact = Decimal(str(number)) * Decimal(factor)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _known(kind: str, name: str, known: Mapping[str, Any] | set[str]) -> str:
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no {kind} {name!r}{hint} There are: {', '.join(sorted(known))}")
    return name


@cache
def model_code(model: str) -> str:
    """Hash of the sources of a model."""
    return code_hash(MODELS[model][0].__module__)
