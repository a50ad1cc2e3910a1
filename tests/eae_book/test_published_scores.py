"""The papers' numbers."""

from eae_book.published.scores import published_scores
from eae_core.data import DATASETS
from eae_core.models import MODELS


def test_names_are_ours_and_no_number_stands_twice():
    scores = published_scores()
    assert {score.model for score in scores} == set(MODELS)
    assert {score.dataset for score in scores} <= set(DATASETS)
    places = [(score.dataset, score.model, score.images) for score in scores]
    assert len(set(places)) == len(places)
    # The supplement's table has 5 models under N(0, I), 7 under MVG, 10 under GMM, 11 in all.
    counts = {"standard": 5, "gaussian": 7, "mixture": 10, "reconstruction": 11}
    for images, count in counts.items():
        for dataset in ("cifar10", "celeba64"):
            found = [s for s in scores if (s.dataset, s.images) == (dataset, images)]
            assert len(found) == count
    assert len([s for s in scores if s.dataset == "mnist"]) == 2 + 8


def test_one_model_has_one_reconstruction_whatever_it_is_sampled_from():
    found = [s for s in published_scores() if s.images == "reconstruction"]
    assert len(found) == 2 * len(MODELS)
    best = {
        d: min((s for s in found if s.dataset == d), key=lambda s: s.value)
        for d in ("cifar10", "celeba64")
    }
    assert (best["cifar10"].model, best["celeba64"].model) == ("rae_sn", "wae")
