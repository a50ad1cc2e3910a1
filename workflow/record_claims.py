"""Run chapters at other seeds than their own, and count the claims that still hold.

A chapter checks its claims at one seed, so a claim may owe its truth to that seed. One record a
chapter and profile lands in data/results/claims/: how many claims each other seed checked and how
many of them failed, with the failing lines in the notes. A chapter that has a record is skipped;
delete the record to count again. Claims about recorded runs count too, though no seed of a
chapter changes them.

Example:
    python workflow/record_claims.py --profiles quick              # 15 minutes on one core
    python workflow/record_claims.py --chapters 05 08 --seeds 1 2
    python workflow/record_claims.py --dry-run
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recording import add_places, is_recorded, new_record, one_by_one, run_script, script_parser

from eae_book.checks import FAILS, HOLDS
from eae_book.records import read_record, write_record
from eae_book.runner.chapter import plan, printed_lines, read_notebook, run
from eae_book.runner.manifest import Chapter, Manifest, load_manifest
from eae_book.runner.project import Project, find_project
from eae_core.errors import CommandError

EXPERIMENT = "claims"
PROFILES = ("quick", "cpu")


@dataclass(frozen=True)
class Counted:
    """A chapter at the sizes of a profile."""

    chapter: Chapter
    profile: str
    seeds: list[int]

    @property
    def name(self) -> str:
        """Of its record."""
        return f"{self.chapter.id}-{self.profile}"

    @property
    def parameters(self) -> dict[str, Any]:
        """What its record is about."""
        return {"chapter": self.chapter.name, "profile": self.profile, "seeds": self.seeds}


def main(words: list[str] | None = None) -> int:
    """Count and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_claims", lambda: work(arguments))


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_claims", __doc__)
    add = parser.add_argument
    add("--profiles", nargs="+", choices=PROFILES, default=PROFILES, help="default: quick cpu")
    add("--chapters", nargs="+", metavar="ID", help="their numbers or names, default: all")
    add("--seeds", nargs="+", type=int, default=[10, 20, 30], metavar="S", help="default: 10 20 30")
    add("--dry-run", action="store_true", help="only say what there is to do")
    add("--root", type=Path, help="the checkout, default: the one the package lies in")
    add_places(parser)
    return parser.parse_args(words)


def work(arguments: argparse.Namespace) -> int:
    """The chapters one after the other; the status of the script."""
    try:
        project = find_project(arguments.root)
        manifest = load_manifest(project.manifest)
        asked = arguments.chapters or [chapter.id for chapter in manifest.chapters]
        chapters = [manifest.find(word) for word in asked]
        seeds = arguments.seeds
        counted = [Counted(c, p, seeds) for p in arguments.profiles for c in chapters]
        root = arguments.records
        todo = [c for c in counted if not is_recorded(EXPERIMENT, c.name, c.parameters, root)]
        print(f"{len(counted)} to count, {len(counted) - len(todo)} recorded already", flush=True)

        def record(each: Counted) -> None:
            count(each, project, manifest, root)

        return one_by_one(todo, record, dry_run=arguments.dry_run)
    except CommandError as error:
        raise ValueError(str(error)) from error


def count(each: Counted, project: Project, manifest: Manifest, root: Path | None) -> None:
    """Run one chapter once a seed and write what became of its claims."""
    began, memory = time.perf_counter(), 0
    checked, failed, notes = [], [], []
    for seed in each.seeds:
        planned = plan(
            manifest, each.chapter, profile=each.profile, assignments={"seed": str(seed)}
        )
        done = run(project, planned, progress=False)
        lines = [*printed_lines(read_notebook(done.notebook))]
        fails = [line for line in lines if line.startswith(FAILS)]
        checked.append(sum(line.startswith((HOLDS, FAILS)) for line in lines))
        failed.append(len(fails))
        notes += [f"seed {seed} {line}" for line in fails]
        memory = max(memory, read_record(done.record).peak_memory_bytes)
        print(f"  seed {seed}: {checked[-1]} claims, {len(fails)} fail", flush=True)
    write_record(
        new_record(
            EXPERIMENT,
            each.name,
            parameters=each.parameters,
            seeds=each.seeds,
            metrics={"claims": checked, "failed": failed},
            seconds=time.perf_counter() - began,
            peak_memory_bytes=memory,
            device="cpu",
            notes="\n".join(notes),
        ),
        root,
    )


if __name__ == "__main__":
    raise SystemExit(main())
