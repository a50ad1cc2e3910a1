"""Put runs that were made again beside their records, and say whether they are the same runs.

Another processor, or another number of threads, rounds otherwise, and training magnifies that until
a run is another draw, as of another seed. So the yardstick is the spread over seeds: of each
number the relative standard deviation within all cells of the experiment and data set that have
several seeds, together (of all models on the data set, if the experiment has one seed). A
difference of two draws has sqrt(2) times that. A number that is further off than FAR of these, or
a root mean square over all numbers above TYPICAL, is more than another processor explains. Where
there are no seeds, numbers must agree to SAME.

Distances on the features of a classifier that was itself trained anew (its checksum says so) are
shown, and not counted. Each comparison can be kept, as a record of the experiment "repeats".

Example:
    python -m eae_book train ... --file-as models-cpu/mnist-ae-seed0 --records repeated
    python workflow/compare_records.py repeated
    python workflow/compare_records.py repeated --write
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance

from recording import add_places, new_record, run_script, script_parser

from eae_book.records import Record, experiments, recorded, write_record

EXPERIMENT = "repeats"
FAR, TYPICAL = 5.0, 1.5  # in standard deviations of a difference of two draws
SAME = 1e-4  # relative, where nothing is drawn anew
SEED = re.compile(r"-seed\d+")
SPEED = ("images_per_second", "seconds", "peak_memory")  # of the machine


@dataclass(frozen=True)
class Difference:
    """Of one number."""

    name: str
    old: float
    new: float
    deviations: float | None  #: in units of what another seed makes; None where it makes nothing
    counted: bool

    @property
    def relative(self) -> float:
        """To the recorded number."""
        return (self.new - self.old) / abs(self.old) if self.old else math.copysign(0, self.new)

    @property
    def within(self) -> bool:
        """Whether another processor explains it."""
        if not self.counted:
            return True
        if self.deviations is None:
            return abs(self.new - self.old) <= SAME * abs(self.old)
        return abs(self.deviations) <= FAR


def main(words: list[str] | None = None) -> int:
    """Compare all records of a folder; status 1 if one differs by more than a processor makes."""
    parser = script_parser("compare_records", __doc__)
    parser.add_argument("repeated", type=Path, help="folder of the records that were made again")
    parser.add_argument("--write", action="store_true", help="keep the comparisons as records")
    add_places(parser)
    arguments = parser.parse_args(words)
    return run_script("compare_records", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """Print a table for each run; the status of the script."""
    differ = []
    for experiment in experiments(arguments.repeated):
        committed = recorded(experiment, arguments.records)
        for run, new in recorded(experiment, arguments.repeated).items():
            if run not in committed:
                raise ValueError(f"{experiment}/{run} has no record to compare it with")
            old = committed[run]
            spread = spreads(old, committed.values()) or spreads(old, trained(arguments.records))
            found = differences(old, new, spread)
            said = verdict(found)
            print(f"\n{experiment} {run}: {said}")
            print("\n".join(map(_line, found)))
            if not same(found):
                differ.append(run)
            if arguments.write:
                write_record(comparison(old, new, found, said), arguments.records)
    print(f"\n{len(differ)} differ by more than another processor explains: {', '.join(differ)}")
    return 1 if differ else 0


def differences(old: Record, new: Record, spread: Mapping[str, float]) -> list[Difference]:
    """Of every number that both records have."""
    before, after = numbers(old), numbers(new)
    others = [
        name.lower().replace("-", "_").partition("_")[2]
        for name, checksum in old.parameters.get("extractors", {}).items()
        if new.parameters.get("extractors", {}).get(name) != checksum
    ]
    if old.experiment == "batch-rewards" or old.experiment.startswith("generators-"):
        others = ["frechet", "classifier"]  # trained anew by each run
    found = []
    for name, value in before.items():
        if name not in after:
            continue
        judged = any(part in name for part in others)
        unit = spread.get(name)
        deviations = (after[name] - value) / abs(value) / unit if unit and value else None
        found.append(Difference(name, value, after[name], deviations, not judged))
    return found


def numbers(record: Record) -> dict[str, float]:
    """All numbers of a record that its run decided."""
    flat: dict[str, float] = {}

    def note(name: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                note(f"{name} {key}".strip(), item)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for i, item in enumerate(value):
                note(f"{name} {i}", item)
        elif isinstance(value, int | float) and not name.startswith(SPEED):
            flat[name] = float(value)

    note("", record.metrics)
    return flat


def trained(root: Path | None) -> list[Record]:
    """The records of all models of the matrix."""
    names = (name for name in experiments(root) if name.startswith("models-"))
    return [record for name in names for record in recorded(name, root).values()]


def spreads(record: Record, records: Iterable[Record]) -> dict[str, float]:
    """The standard deviation that a difference of two seeds has, relative, for each number."""
    cells = defaultdict(list)
    for other in records:
        if other.parameters.get("dataset") == record.parameters.get("dataset"):
            cells[other.experiment, SEED.sub("", other.run)].append(numbers(other))
    pooled = defaultdict(list)
    for seeds in cells.values():
        for name in seeds[0] if len(seeds) > 1 else ():
            values = [one[name] for one in seeds if name in one]
            if len(values) > 1 and fmean(values):
                pooled[name] += [variance(values) / fmean(values) ** 2] * (len(values) - 1)
    return {name: math.sqrt(2 * fmean(shares)) for name, shares in pooled.items()}


def counted(found: Sequence[Difference]) -> list[float]:
    """The deviations that a verdict rests on."""
    return [d.deviations for d in found if d.counted and d.deviations]


def same(found: Sequence[Difference]) -> bool:
    """Whether another processor explains all differences."""
    size = math.sqrt(fmean([d**2 for d in counted(found)] or [0.0]))
    return size <= TYPICAL and all(d.within for d in found)


def verdict(found: Sequence[Difference]) -> str:
    """In words and numbers."""
    deviations = counted(found)
    if not deviations:
        most = max((abs(d.relative) for d in found), default=0.0)
        text = f"{len(found)} numbers, largest relative difference {most:.1e}"
    else:
        size = math.sqrt(fmean([d**2 for d in deviations]))
        text = (
            f"{len(deviations)} numbers differ by {size:.2f} standard deviations over seeds, the "
            f"furthest by {max(map(abs, deviations)):.2f}"
        )
    return f"{text}: {'the same' if same(found) else 'NOT the same'}"


def comparison(old: Record, new: Record, found: Sequence[Difference], said: str) -> Record:
    """What is kept: each number as it was recorded and as it came out again."""
    return new_record(
        EXPERIMENT,
        f"{old.experiment}-{old.run}",
        parameters={
            "experiment": old.experiment,
            "run": old.run,
            "recorded": old.created,
            "recorded_on": old.device,
            "repeated": new.created,
        },
        metrics={d.name: [_short(d.old), _short(d.new)] for d in found},
        seeds=old.seeds,
        seconds=new.seconds,
        notes=said,
    )


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _line(d: Difference) -> str:
    deviations = "" if d.deviations is None else f"{d.deviations:+8.2f}"
    remark = "" if d.within else "  <- far"
    judge = "" if d.counted else "  (another classifier)"
    return (
        f"  {d.name:44.44s}{d.old:12.5g}{d.new:12.5g}{d.relative:+11.1e}{deviations}{judge}{remark}"
    )


if __name__ == "__main__":
    sys.exit(main())
