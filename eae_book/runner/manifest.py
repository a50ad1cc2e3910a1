"""The manifest: which chapters there are, what they need, and the parameters of each profile.

Everything that has to know the chapters reads `notebooks/manifest.yml` through `load_manifest`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from eae_book.runner.strict_yaml import read_yaml
from eae_core.errors import UsageError, nearest

Value = bool | int | float | str
"""What a chapter's parameter can be."""

PROFILES = ("quick", "cpu", "paper")
"""The profiles every chapter has; `cpu` is the values in its parameters cell."""


@dataclass(frozen=True)
class Chapter:
    """One entry of the manifest."""

    id: str
    slug: str
    title: str
    needs: tuple[str, ...]
    minutes: Mapping[str, float]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    profiles: Mapping[str, Mapping[str, Value]]
    tolerance: float = 0.001
    """How far a number may lie from the committed one on another processor, relative to its size:
    enough for rounding, too little for a network, which training moves further."""

    @property
    def name(self) -> str:
        """The notebook's file name without its ending."""
        return f"{self.id}_{self.slug}"


@dataclass(frozen=True)
class Manifest:
    """The chapters, in the book's order, and the file they were read from."""

    path: Path
    chapters: tuple[Chapter, ...]

    def notebook(self, chapter: Chapter) -> Path:
        """Where the chapter's notebook lies: beside the manifest."""
        return self.path.parent / f"{chapter.name}.ipynb"

    def find(self, request: str) -> Chapter:
        """The chapter with this id, slug or file name; `UsageError` names the nearest ones."""
        word = Path(request).name.removesuffix(".ipynb")
        for chapter in self.chapters:
            same_number = word.isdigit() and chapter.id.isdigit() and int(word) == int(chapter.id)
            if same_number or word in (chapter.id, chapter.slug, chapter.name):
                return chapter
        options = [name for c in self.chapters for name in (c.id, c.slug, c.name)]
        hint = nearest(word, options)
        if hint.startswith("possible"):
            hint = f"possible: {', '.join(c.name for c in self.chapters)}"
        raise UsageError(f"there is no chapter {request!r}; {hint}")


def load_manifest(path: Path) -> Manifest:
    """Read and validate the manifest; `UsageError` names the entry and what is wrong with it."""
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("chapters"), list):
        raise UsageError(f"{path} must hold a list named 'chapters'")
    unknown = [key for key in content if key != "chapters"]
    if unknown:
        raise UsageError(f"{path}: unknown key {unknown[0]!r}; {nearest(unknown[0], ['chapters'])}")
    chapters = tuple(
        _chapter(entry, where=f"{path}, entry {number}")
        for number, entry in enumerate(content["chapters"], start=1)
    )
    for field in ("id", "slug"):
        values = [getattr(chapter, field) for chapter in chapters]
        twice = [value for value in values if values.count(value) > 1]
        if twice:
            raise UsageError(f"{path}: two chapters have the {field} {twice[0]!r}")
    return Manifest(path=path, chapters=chapters)


def _chapter(entry: Any, *, where: str) -> Chapter:
    """One validated entry."""
    names = [field.name for field in fields(Chapter)]
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: must be a mapping with the keys {', '.join(names)}")
    for key in entry:
        if key not in names:
            raise UsageError(f"{where}: unknown key {key!r}; {nearest(str(key), names)}")
    missing = [name for name in names if name not in (*entry, "tolerance")]
    if missing:
        raise UsageError(f"{where}: the key {missing[0]!r} is missing")
    for name in ("id", "slug", "title"):
        if not isinstance(entry[name], str) or not entry[name]:
            raise UsageError(f'{where}: {name} must be text, written in quotes ("01")')
    for name in ("id", "slug"):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", entry[name]):
            raise UsageError(f"{where}: {name} {entry[name]!r} may hold letters, digits, _ and -")
    return Chapter(
        id=entry["id"],
        slug=entry["slug"],
        title=entry["title"],
        needs=_names(entry["needs"], where=f"{where}, needs"),
        minutes=_minutes(entry["minutes"], where=f"{where}, minutes"),
        inputs=_names(entry["inputs"], where=f"{where}, inputs"),
        outputs=_names(entry["outputs"], where=f"{where}, outputs"),
        profiles=_profiles(entry["profiles"], where=f"{where}, profiles"),
        tolerance=_tolerance(entry.get("tolerance", Chapter.tolerance), where=where),
    )


def _tolerance(value: Any, *, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UsageError(f"{where}: tolerance must be a number from 0 to below 1, not {value!r}")
    return float(value)


def _names(value: Any, *, where: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{where}: must be a list of names, such as [digits, mnist] or []")
    if isinstance(value, str):
        raise UsageError(f"{where}: must be a list; write [{value}]")
    return tuple(value)


def _minutes(value: Any, *, where: str) -> dict[str, float]:
    if not isinstance(value, dict) or set(value) != set(PROFILES):
        raise UsageError(f"{where}: must give a number for each of {', '.join(PROFILES)}")
    for profile, minutes in value.items():
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or minutes < 0:
            raise UsageError(f"{where}: {profile} must be a number of minutes, not {minutes!r}")
    return {profile: float(minutes) for profile, minutes in value.items()}


def _profiles(value: Any, *, where: str) -> dict[str, dict[str, Value]]:
    if not isinstance(value, dict) or not set(PROFILES) <= set(value):
        raise UsageError(f"{where}: must hold {', '.join(PROFILES)}, each a mapping (or {{}})")
    profiles: dict[str, dict[str, Value]] = {}
    for profile, parameters in value.items():
        if not isinstance(profile, str) or not isinstance(parameters, dict):
            raise UsageError(f"{where}: {profile} must be a mapping of parameters (or {{}})")
        for name, parameter in parameters.items():
            if not isinstance(name, str) or not isinstance(parameter, bool | int | float | str):
                raise UsageError(
                    f"{where}: {profile}.{name} must be a number, text, true or false, "
                    f"not {parameter!r}"
                )
        profiles[profile] = dict(parameters)
    if profiles["cpu"]:
        raise UsageError(
            f"{where}: cpu must be {{}}, because it stands for the values in the parameters cell; "
            f"change {next(iter(profiles['cpu']))!r} there"
        )
    return profiles
