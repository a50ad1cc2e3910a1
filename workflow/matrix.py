"""What there is to run: the cells of workflow/matrix.yml, and which of them have no valid record.

Example:
    python workflow/matrix.py cpu    # lists the cells of a profile that are to be run, and why
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from parts import parts_of
from recording import add_places, run_script, script_parser

from eae_book.cli.parser import build_parser
from eae_book.cli.train import decisive
from eae_book.records import Record, recorded, stale, with_defaults
from eae_book.revisions import parts_of_training, revisions_of
from eae_book.runner.strict_yaml import read_yaml
from eae_core.cli.model_options import chosen_options
from eae_core.errors import nearest
from eae_core.models import MODELS

MATRIX = Path(__file__).parent / "matrix.yml"
KEYS = {"seeds", "models", "defaults", "datasets", "variants", "by_model"}  # of a profile


@dataclass(frozen=True, eq=False)
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
    def key(self) -> str:
        """Changes with anything that decides the numbers: words, options and revisions."""
        options = self.asked["options"]
        parts = revisions_of(parts_of_training(self.model, self.dataset, options=options))
        text = json.dumps([self.asked, parts], sort_keys=True)
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

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What a record of this cell must say: each word of train, said or not, and all options."""
        arguments = build_parser().parse_args(self.command(""))
        return decisive(arguments, asdict(chosen_options(arguments)))

    def reasons(self, records: Mapping[str, Record]) -> list[str]:
        """Why none of these records, by name, stands for this cell; nothing if one does."""
        if self.run not in records:
            return ["not recorded"]
        usual = build_parser().parse_args(["train"])
        defaults = decisive(usual, asdict(MODELS[self.model][1]()))
        found = with_defaults(records[self.run], defaults)
        return stale(found, self.asked, parts_of(self.experiment, found.parameters))


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
    matrix = read_yaml(path)
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
        for variant in _variants(plan, model)
    ]


def pending(cells: Sequence[Cell], root: str | Path | None = None) -> dict[Cell, list[str]]:
    """The cells whose record is missing or stale, each with the reasons."""
    records = recorded(cells[0].experiment, root) if cells else {}
    found = {cell: cell.reasons(records) for cell in cells}
    return {cell: reasons for cell, reasons in found.items() if reasons}


def _variants(plan: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    """A model's own variants, or those of all models."""
    own: Mapping[str, Any] = plan.get("by_model", {}).get(model, {})
    variants: Mapping[str, Any] = own.get("variants", plan.get("variants", {"": {}}))
    return variants


def _words(
    plan: Mapping[str, Any], dataset: str, variant: str, model: str
) -> tuple[tuple[str, Any], ...]:
    words: dict[str, Any] = {}
    special = dict(plan.get("by_model", {}).get(model, {}))
    special.pop("variants", None)
    more = _variants(plan, model)[variant]
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
        raise ValueError(f"no {kind} {name!r}; {nearest(str(name), sorted(known))}")
    return name


def listed(cells: Sequence[Cell], waiting: Mapping[Cell, Sequence[str]]) -> str:
    """How many cells wait for a record, which, and why."""
    lines = [f"{len(cells)} cells, {len(waiting)} without a valid record"]
    return "\n".join(lines + [f"  {cell.run}: {'; '.join(why)}" for cell, why in waiting.items()])


def main(words: list[str] | None = None) -> int:
    """Say which cells of a profile have no valid record; the status of the script."""
    parser = script_parser("matrix", __doc__)
    parser.add_argument("profile", help="of workflow/matrix.yml")
    add_places(parser)
    arguments = parser.parse_args(words)

    def work() -> int:
        cells = load_cells(arguments.profile)
        print(listed(cells, pending(cells, arguments.records)))
        return 0

    return run_script("matrix", work)


if __name__ == "__main__":
    sys.exit(main())
