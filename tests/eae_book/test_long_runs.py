"""The long runs: every data set has its models, and each is held against principal components."""

import pytest

from eae_book.long_runs import LONG_RUNS, beats_linear, distance, linear_error, long_runs

COLOUR_AND_DIGITS = ("mnist", "cifar10", "celeba64")


@pytest.mark.parametrize("dataset", COLOUR_AND_DIGITS)
def test_rivals_and_weights_stand_beside_each_other(dataset):
    found = long_runs(dataset)
    assert {"AE", "VAE", "WAE", "RAE-L2", *list(LONG_RUNS.values())[5:]} <= set(found)
    assert list(found) == [label for label in LONG_RUNS.values() if label in found]
    assert all(
        distance(run, "real") < distance(run, "own") for runs in found.values() for run in runs
    )


def test_networks_behind_principal_components_are_known():
    behind = {
        (dataset, label)
        for dataset in COLOUR_AND_DIGITS
        for label, runs in long_runs(dataset).items()
        if not beats_linear(runs)
    }
    assert behind == {("celeba64", "WAE")}


def test_more_components_err_less():
    errors = [linear_error("cifar10", d) for d in (16, 32, 64)]
    assert errors == sorted(errors, reverse=True)
