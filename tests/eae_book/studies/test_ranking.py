"""Ranks beyond the spread over seeds."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eae_book.studies.ranking import rank_models

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from("abcdef"), numbers, min_size=1))
def test_every_model_has_a_span_that_holds_its_place(values):
    ranks = rank_models(values)
    assert set(ranks) == set(values)
    means = [rank.mean for rank in ranks.values()]
    assert means == sorted(means)
    for place, rank in enumerate(ranks.values(), start=1):
        assert 1 <= rank.best <= place <= rank.worst <= len(values)
        assert rank.low - 1e-9 <= rank.mean <= rank.high + 1e-9


def test_one_seed_tells_nothing_apart():
    ranks = rank_models({"a": [1.0], "b": [2.0, 2.1], "c": [3.0, 3.1]})
    assert [rank.span for rank in ranks.values()] == ["1 to 3", "1 to 2", "2 to 3"]


@pytest.mark.parametrize(("seeds", "chance"), [(2, 1 / 3), (3, 1 / 10)])
def test_how_often_equal_models_are_told_apart(seeds, chance):
    """All orders of two models' seeds are equally likely if the models are equal."""
    orders = list(itertools.permutations(range(2 * seeds)))
    apart = sum(
        rank_models({"a": order[:seeds], "b": order[seeds:]})["a"].span in ("1", "2")
        for order in orders
    )
    assert apart / len(orders) == pytest.approx(chance)


@pytest.mark.parametrize("bad", [[], [math.nan], [1.0, math.inf]])
def test_numbers_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="b needs finite numbers"):
        rank_models({"a": [1.0], "b": bad})
