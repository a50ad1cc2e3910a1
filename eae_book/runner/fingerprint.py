"""When an earlier run may stand for a new one: nothing that could change its outputs changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from eae_book.provenance import code_hash
from eae_book.runner.manifest import Value
from eae_core.cli.folders import installed_versions


def run_key(
    notebook: Any,
    *,
    profile: str,
    parameters: Mapping[str, Value],
    files: Iterable[Path] = (),
) -> str:
    """A hash of all that decides a chapter's outputs.

    Args:
        notebook: The chapter; its outputs do not count, its cells do.
        profile: Named in the record and on the page, so it counts.
        parameters: What the run replaces.
        files: Small files that stand for what the chapter may read: records, and the
            descriptions of data sets, which hold the checksums of their arrays.
    """
    cells = [
        (cell["cell_type"], cell["source"], cell["metadata"], cell.get("id", ""))
        for cell in notebook["cells"]
    ]
    read = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in sorted(files)]
    content = {
        "cells": cells,
        "profile": profile,
        "parameters": dict(parameters),
        "files": read,
        "code": code_hash(),
        "versions": dependency_versions(),
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


COMPUTING = ("train", "metrics")
"""Extras whose packages decide numbers; those of `book` mostly run and render chapters."""
DRAWING = ("matplotlib", "mpmath", "seaborn")
"""The others of `book`, which chapters themselves import."""


def dependency_versions() -> dict[str, str]:
    """Installed versions of everything that can change a chapter's outputs."""
    versions = installed_versions()
    try:
        needed = [text for text in requires("eae-core") or [] if _decides(text)]
    except PackageNotFoundError:  # imported from a folder, without an installation
        return versions
    for requirement in needed:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _decides(requirement: str) -> bool:
    """Whether a line of the package's requirements names something that chapters compute with."""
    extra = re.search(r"extra == [\"'](\w+)[\"']", requirement)
    return not extra or extra[1] in COMPUTING or requirement.startswith(DRAWING)
