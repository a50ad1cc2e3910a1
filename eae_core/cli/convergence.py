"""The word --score-at of the verb train: scores on the way, as curves of the record."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eae_core.cli.results import Plan

BETWEEN = "scores.json"  # in the folder of a run: scores of epochs before the last


def scored_epochs(arguments: argparse.Namespace) -> list[int]:
    """The epochs of --score-at, at least the first, and the last one."""
    shares = (max(1, round(share * arguments.epochs)) for share in arguments.score_at or [])
    return sorted({*shares, arguments.epochs})


def score_between(
    arguments: argparse.Namespace, plan: Plan, folder: Path
) -> Callable[[int], None] | None:
    """What scores the model after the epochs of --score-at; they stay in the folder, one by one."""
    from eae_core.evaluation import convergence_scores
    from eae_core.files import replacing
    from eae_core.hardware import resolve_device

    if not arguments.score_at:
        return None
    due = scored_epochs(arguments)[:-1]  # the last one is scored in full
    device = resolve_device(arguments.device)
    train, test = plan.images.to(device), plan.judged.to(device)

    def score_epoch(epoch: int) -> None:
        known = read_between(folder)
        if epoch not in due or epoch in known:
            return
        network, count = plan.networks[0], arguments.samples
        known[epoch] = convergence_scores(plan.model, train, test, network, samples=count)
        with replacing(folder / BETWEEN) as temporary:
            temporary.write_text(json.dumps(known), encoding="utf-8")

    return score_epoch


def read_between(folder: Path) -> dict[int, dict[str, float]]:
    """What the folder holds of scores between, by epoch."""
    path = folder / BETWEEN
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {int(epoch): values for epoch, values in found.items()}


def convergence_curves(
    arguments: argparse.Namespace, last: Mapping[str, float], folder: Path
) -> dict[str, list[Any]]:
    """Scores after the epochs of --score-at and the last; None where one could not be computed."""
    if not arguments.score_at:
        return {}
    epochs = scored_epochs(arguments)
    rows = read_between(folder) | {epochs[-1]: last}
    names = dict.fromkeys(name for epoch in epochs[:-1] for name in rows.get(epoch, {}))
    curves = {f"scored_{name}": [rows.get(e, {}).get(name) for e in epochs] for name in names}
    return {"scored_epochs": epochs, **curves}
