"""The manifest: which chapters there are, what they need, and the parameters of each profile.

Everything that has to know the chapters reads `notebooks/manifest.yml` through `load_manifest`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from eae_book.runner.strict_yaml import read_yaml
from eae_core.data.catalogue import DATASETS
from eae_core.errors import UsageError, nearest

Value = bool | int | float | str
"""What a chapter's parameter can be."""

PROFILES = ("quick", "cpu", "paper")
"""The profiles every chapter has; `cpu` is the values in its parameters cell."""


def _plain(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("should be a number, text, true or false")
    return value


def _of_each_profile(value: dict[str, Any]) -> dict[str, Any]:
    if missing := [name for name in PROFILES if name not in value]:
        raise ValueError(f"should hold each of {', '.join(PROFILES)}; {missing[0]} is missing")
    if value["cpu"] and isinstance(value["cpu"], dict):
        raise ValueError("cpu should be {}: change values in the notebook's parameters cell")
    return value


def _known_sets(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in DATASETS]:
        raise ValueError(f"should name data sets; {nearest(unknown[0], DATASETS)}")
    return names


Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Names = Annotated[tuple[str, ...], Strict(False)]  # the file has lists
#: an experiment, or some of its runs; never a place outside data/results
Pattern = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._*-]*)?$")]
Minutes = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Parameters = dict[str, Annotated[Any, AfterValidator(_plain)]]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Chapter(_Entry):
    """One entry of the manifest."""

    id: Word
    slug: Word
    title: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$")]
    needs: Annotated[Names, AfterValidator(_known_sets)]
    minutes: Annotated[dict[str, Minutes], AfterValidator(_of_each_profile)]
    inputs: Annotated[tuple[Pattern, ...], Strict(False)]
    outputs: Names
    profiles: Annotated[dict[Word, Parameters], AfterValidator(_of_each_profile)]
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.001
    """How far a number may lie from the committed one on another processor, relative to its size:
    enough for rounding, too little for a network, which training moves further."""

    @property
    def name(self) -> str:
        """The notebook's file name without its ending."""
        return f"{self.id}_{self.slug}"


class _File(_Entry):
    chapters: list[Chapter]


class Manifest(_Entry):
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
            same_number = (
                word.isdecimal() and chapter.id.isdecimal() and int(word) == int(chapter.id)
            )
            if same_number or word in (chapter.id, chapter.slug, chapter.name):
                return chapter
        options = [name for c in self.chapters for name in (c.id, c.slug, c.name)]
        hint = nearest(word, options)
        if hint.startswith("possible"):
            hint = f"possible: {', '.join(c.name for c in self.chapters)}"
        raise UsageError(f"there is no chapter {request!r}; {hint}")


def load_manifest(path: Path) -> Manifest:
    """Read and validate the manifest; `UsageError` names the entry and what is wrong with it."""
    try:
        chapters = _File.model_validate(read_yaml(path)).chapters
    except ValidationError as error:
        raise UsageError(f"{path}{_explanation(error)}") from error
    for field in ("id", "slug"):
        values = [getattr(chapter, field) for chapter in chapters]
        if twice := [value for value in values if values.count(value) > 1]:
            raise UsageError(f"{path}: two chapters have the {field} {twice[0]!r}")
    return Manifest(path=path, chapters=tuple(chapters))


def _explanation(error: ValidationError) -> str:
    """The first complaint: where it is, what is wrong, what was given."""
    first = error.errors(include_url=False)[0]
    place = [*first["loc"]]
    where = f", entry {int(place[1]) + 1}" if len(place) > 1 else ""
    key, known = str(place[-1] if place else ""), Chapter if where else _File
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}; {nearest(key, known.model_fields)}"
    if first["type"] == "missing":
        return f"{where}: the key {key!r} is missing"
    where += "".join(f", {part}" for part in (place[2:] if where else place))
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    problem = re.sub(r"valid dictionary.*", "mapping", problem).replace("valid tuple", "list")
    quotes = " (write it in quotes)" if first["type"] == "string_type" else ""
    return f"{where}: {problem}, not {first['input']!r}{quotes}"
