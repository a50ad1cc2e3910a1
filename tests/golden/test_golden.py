"""What decides a number gives the numbers that stand under its revision."""

import golden_data  # noqa: F401 (each registers its measures)
import golden_models  # noqa: F401
import golden_runs  # noqa: F401
import golden_scores  # noqa: F401
import golden_terms  # noqa: F401
import pytest
from golden import GOLDENS, complaint, read_kept

from eae_book.gans import GENERATORS
from eae_book.revisions import MODULES
from eae_core.data import DATASETS, DataUnavailableError
from eae_core.models import MODELS


@pytest.mark.parametrize("name", GOLDENS)
def test_numbers_move_only_with_a_revision(name):
    part = GOLDENS[name]
    try:
        found = part.measure()
    except DataUnavailableError as error:
        pytest.skip(str(error).splitlines()[0])
    problem = complaint(part, read_kept().get(name), found)
    assert not problem, problem


def test_every_part_has_golden_numbers_and_no_other_has():
    named = {"model": MODELS, "generator": GENERATORS, "data": DATASETS}
    parts = {*MODULES, *(f"{kind} {name}" for kind, names in named.items() for name in names)}
    covered = {part for measure in GOLDENS.values() for part in measure.parts}
    assert covered == parts
    assert read_kept().keys() == GOLDENS.keys()
