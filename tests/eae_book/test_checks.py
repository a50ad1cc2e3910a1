"""Claims that check themselves."""

import math
import re

import numpy as np
import pytest
import torch

from eae_book.checks import CheckFailed, check, check_close


def test_a_claim_that_holds_prints_value_unit_and_band(capsys):
    check("entropy of N(0, 1)", 1.41894, low=1.40, high=1.44, unit="nats")
    assert capsys.readouterr().out == (
        "holds: entropy of N(0, 1): value 1.4189 nats, band [1.4, 1.44]\n"
    )


@pytest.mark.parametrize(
    ("bounds", "band"),
    [({"low": 1}, "[1, inf)"), ({"high": 2.5}, "(-inf, 2.5]"), ({"low": 2, "high": 2}, "[2, 2]")],
)
def test_a_bound_may_be_left_out_and_is_part_of_the_band(bounds, band, capsys):
    check("x", 2, **bounds)
    assert capsys.readouterr().out == f"holds: x: value 2, band {band}\n"


@pytest.mark.parametrize("value", [0.99, 2.01, math.nan, math.inf, -math.inf])
def test_a_claim_that_fails_raises_with_the_same_line_and_prints_nothing(value, capsys):
    with pytest.raises(CheckFailed, match=r"^fails: x: value \S+ nats, band \[1, 2\]$"):
        check("x", value, low=1, high=2, unit="nats")
    assert capsys.readouterr().out == ""


def test_infinity_fails_even_where_the_band_is_open():
    with pytest.raises(CheckFailed, match="value inf"):
        check("x", math.inf, low=0)


@pytest.mark.parametrize("value", [torch.tensor(1.5), torch.tensor([1.5]), np.float32(1.5)])
def test_values_may_be_tensors_and_array_scalars(value, capsys):
    check("x", value, low=1, high=2)
    assert "value 1.5," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [({}, "needs a bound"), ({"low": 2, "high": 1}, "empty"), ({"low": math.nan}, "empty")],
)
def test_a_check_that_could_not_fail_or_hold_is_refused(bounds, reason):
    with pytest.raises(ValueError, match=reason):
        check("x", 1.0, **bounds)


def test_close_values_hold_up_to_the_tolerance(capsys):
    check_close("log 2", 0.6931, math.log(2), tolerance=1e-4, unit="nats")
    line = capsys.readouterr().out
    assert line == "holds: log 2: value 0.6931 nats, within 0.0001 of value 0.69315\n"
    with pytest.raises(CheckFailed, match=r"^fails: log 2"):
        check_close("log 2", 0.6931, math.log(2), tolerance=1e-5)


@pytest.mark.parametrize("pair", [(math.nan, 1.0), (1.0, math.nan), (math.inf, math.inf)])
def test_nothing_is_close_to_nan_and_infinity(pair):
    with pytest.raises(CheckFailed):
        check_close("x", *pair, tolerance=1.0)


@pytest.mark.parametrize("tolerance", [-1e-9, math.nan, math.inf])
def test_a_tolerance_must_mean_something(tolerance):
    with pytest.raises(ValueError, match="tolerance"):
        check_close("x", 1.0, 1.0, tolerance=tolerance)


@pytest.mark.parametrize("number", [1e-12, -3.25e7, 0.0, 123456.7, -0.001])
def test_masking_the_numbers_after_the_word_value_leaves_nothing_of_the_machine(number, capsys):
    # The pattern that comparisons of notebook outputs use.
    check("x", number, low=-1e9, high=1e9)
    check_close("x", number, number, tolerance=1e-3)
    masked = re.sub(r"value -?[0-9.]+(e[+-]?[0-9]+)?", "value", capsys.readouterr().out)
    assert (
        masked == "holds: x: value, band [-1e+09, 1e+09]\nholds: x: value, within 0.001 of value\n"
    )


def test_a_claim_that_fails_is_only_reported_where_that_is_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("EAE_CHECKS", "report")
    check("x", 3, high=0)
    check_close("y", 1, 2, tolerance=0.5)
    said = "fails: x: value 3, band (-inf, 0]\nfails: y: value 1, within 0.5 of value 2\n"
    assert capsys.readouterr().out == said
    monkeypatch.setenv("EAE_CHECKS", "stop")
    with pytest.raises(CheckFailed):
        check("x", 3, high=0)
