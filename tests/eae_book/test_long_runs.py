"""The long runs: every data set has its models, and each is held against principal components."""

import pytest

from eae_book.long_runs import (
    LONG_RUNS,
    MEASURED_AGAIN,
    beats_linear,
    distance,
    linear_error,
    long_runs,
)
from eae_book.records import load_records

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


def small_networks(records):
    """Checksums of the classifiers that measured some runs."""
    return {
        checksum
        for record in records
        for name, checksum in record.parameters["extractors"].items()
        if name != "FID-768"
    }


def test_distances_that_are_compared_are_of_one_classifier():
    for dataset in COLOUR_AND_DIGITS:
        experiment = f"models-{'inception-' if dataset in MEASURED_AGAIN else ''}long"
        of_set = [r for r in load_records(experiment) if r.parameters["dataset"] == dataset]
        assert len(of_set) >= len(long_runs(dataset))
        assert len(small_networks(of_set)) == 1, dataset


@pytest.mark.parametrize("experiment", ["models-contest", "models-contest-trials"])
def test_one_classifier_measures_a_contest(experiment):
    records = load_records(experiment)
    for dataset in {record.parameters["dataset"] for record in records}:
        of_set = [r for r in records if r.parameters["dataset"] == dataset]
        assert len(small_networks(of_set)) == 1, dataset
