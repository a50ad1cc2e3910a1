"""The numbers of Struminsky et al."""

from typing import get_args

import pytest

from eae_book.published.entropies import Bound, published_entropies
from eae_core.data import DATASETS


def test_every_number_stands_once_and_the_tables_have_their_size():
    found = published_entropies()
    places = [(p.table, p.subject, p.model, p.scale, p.classes, p.bound) for p in found]
    assert len(set(places)) == len(places)
    assert [len(published_entropies(table)) for table in (1, 2, 3, 4)] == [4, 8, 10, 10]
    assert {p.subject for p in found} <= {*DATASETS, "half_sphere"}
    assert {p.bound for p in found} == set(get_args(Bound))
    assert {p.source for p in found} == {"struminsky"}


def test_only_table_1_has_a_spread_and_it_shrinks_with_the_scale():
    assert all(p.spread is None for p in published_entropies() if p.table > 1)
    rows = sorted(published_entropies(1), key=lambda p: p.scale)
    assert [p.spread for p in rows] == sorted(p.spread for p in rows)
    assert {p.classes for p in rows} == {None}


def test_table_4_repeats_table_2_rounded():
    full = {p.model: p.value for p in published_entropies(2) if p.subject == "mnist"}
    for p in published_entropies(4):
        if not p.bound:
            assert p.value == round(full[p.model])


def test_another_table_is_refused():
    with pytest.raises(ValueError, match="1 to 4"):
        published_entropies(5)
