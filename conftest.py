"""nbval on the committed notebooks: a cell may train; chapters without their data are skipped."""

from functools import cache
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent / "notebooks"
SECONDS = 1200  # for a cell, which may train

pytest_plugins = ["tiny_training"]  # in tests/; both packages train with it

# They hold no examples, and as modules of one name two of them cannot be collected together.
collect_ignore_glob = ["tests/*/conftest.py"]


@cache
def missing_data(notebook: Path) -> tuple[str, ...]:
    """The data sets that a chapter's cpu profile needs and that are not prepared."""
    from eae_book.runner.manifest import load_manifest
    from eae_core.data import data_root, dataset_info
    from eae_core.data.prepared import is_prepared

    needs = load_manifest(NOTEBOOKS / "manifest.yml").find(notebook.name).needs
    return tuple(
        name
        for name in needs
        if not dataset_info(name).embedded and not is_prepared(data_root() / name)
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark nbval's items, one a cell, before their kernel is started."""
    for item in items:
        if item.path.suffix == ".ipynb" and item.path.parent == NOTEBOOKS:
            item.add_marker(pytest.mark.timeout(SECONDS))
            missing = missing_data(item.path)
            if missing:
                reason = "; ".join(
                    f"{name} is not prepared: eae data prepare {name}" for name in missing
                )
                item.add_marker(pytest.mark.skip(reason=reason))
