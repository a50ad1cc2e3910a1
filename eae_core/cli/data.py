"""The verb data: which data sets there are, whether they are here, whether they are whole."""

from __future__ import annotations

import argparse
import json

from eae_core.cli.tables import print_table
from eae_core.data import (
    DATASETS,
    DatasetInfo,
    data_root,
    dataset_info,
    load_images,
    prepare,
    verify,
)
from eae_core.data.prepared import META, is_prepared
from eae_core.errors import CommandError, refusing


def data(arguments: argparse.Namespace) -> int:
    """List, prepare or check data sets."""
    name: str | None = getattr(arguments, "name", None)
    with refusing():
        info = dataset_info(name) if name else None
    if arguments.action == "check":
        return _check(name)
    return _prepare(info) if info else _list()


def _list() -> int:
    rows = [["name", "images of", "shape", "train", "test", "state"]]
    for info in map(dataset_info, DATASETS):
        title = f"{info.title} ({info.stand_in})" if info.stand_in else info.title
        row = [info.name, title, " x ".join(map(str, info.image_shape))]
        rows.append([*row, *(f"{count:,}" for count in _counts(info)), _state(info.name)])
    print_table(rows)
    print(f"data folder: {data_root()} (EAE_DATA names another)")
    return 0


def _counts(info: DatasetInfo) -> tuple[int, int]:
    """Training and test images that are here, where a prepared set holds only some of them."""
    try:
        arrays = json.loads((data_root() / info.name / META).read_text(encoding="utf-8"))["arrays"]
        return arrays["train_images"]["shape"][0], arrays["test_images"]["shape"][0]
    except (OSError, ValueError, LookupError, TypeError):  # absent, or damaged: `check` says so
        return info.train, info.test


def _prepare(info: DatasetInfo) -> int:
    if info.embedded:
        print(f"{info.name} needs no preparation: it comes with the package")
        return 0
    try:
        folder = prepare(info.name)
        found = [f"{len(load_images(info.name, split)):,} {split}" for split in ("train", "test")]
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    print(f"{info.name} is ready in {folder}: {', '.join(found)} images")
    return 0


def _check(name: str | None) -> int:
    """Compare files with their checksums; sets that are absent fail only if asked for by name."""
    failures = []
    for each in [name] if name else DATASETS:
        state = _state(each)
        if state == "prepared" or (name and state == "absent"):
            try:
                state = f"whole, {len(verify(each))} arrays as prepared"
            except (ValueError, OSError) as error:
                state = "damaged" if state == "prepared" else state
                failures.append(f"{each}: {error}")
        print(f"{each}: {state}")
    if failures:
        raise CommandError("\n".join(failures))
    return 0


def _state(name: str) -> str:
    if dataset_info(name).embedded:
        return "comes with the package"
    return "prepared" if is_prepared(data_root() / name) else "absent"
