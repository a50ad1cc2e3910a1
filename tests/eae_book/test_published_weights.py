"""Published weights: the numbers of the configurations, and objectives that agree."""

import math

import pytest
import torch

from eae_book.published import PUBLISHED, convert_weight
from eae_core.data import DATASETS
from eae_core.models import (
    MODELS,
    EAEOptions,
    VAEOptions,
    gaussian_kl,
    gradient_penalty,
    imq_mmd,
    published_options,
)

PIXELS = {"mnist": 1024, "cifar10": 3072, "celeba64": 12288}
CHANNELS = {"mnist": 1, "cifar10": 3, "celeba64": 3}
DIMENSIONS = {"mnist": 16, "cifar10": 128, "celeba64": 64}

# As printed in the configurations: MNIST, CIFAR-10, CelebA.
RAE_CODE = {
    ("ae_l2", "decoder_l2"): (1e-7, 1e-6, 1e-6),
    ("rae", "latent_weight"): (5e-4, 1e-2, 1e-4),
    ("rae_l2", "latent_weight"): (1e-4, 1e-3, 1e-4),
    ("rae_l2", "decoder_l2"): (1e-7, 1e-6, 1e-7),
    ("rae_gp", "latent_weight"): (1e-4, 9e-4, 1e-4),
    ("rae_gp", "gradient_penalty"): (5e-8, 0, 1e-7),
    ("rae_sn", "latent_weight"): (9e-3, 0.03, 2.4e-3),
    ("vae", "beta"): (0.312, 0.024, 0.09024),
    ("cv_vae", "beta"): (0.039, 9e-4, 0.01),
    ("wae", "mmd_weight"): (0.03, 0.006, 100),
    ("two_stage_vae", ""): (1.5e-3, 1e-3, 2e-3),
}


def factor(model, option, dataset):
    """From a published weight to ours, by the rules of the issue's table of reductions."""
    if model in ("vae", "cv_vae"):
        return CHANNELS[dataset]  # the error is a mean over channels, summed over pixels
    if model == "two_stage_vae":
        return DIMENSIONS[dataset]  # the error of a code is a mean over its dimensions
    if model == "wae" and dataset == "celeba64":
        return 20  # 0.05 times the summed error
    pixels = PIXELS[dataset]  # the error is a mean over pixels and channels
    if option == "latent_weight":
        return 2 * pixels / DIMENSIONS[dataset]  # mean of squares, ours half their sum
    if option == "gradient_penalty":
        return pixels / DIMENSIONS[dataset]
    return pixels


def test_every_published_weight_is_there_as_published_and_converted():
    found = {
        (w.model, w.option, w.dataset): w for w in PUBLISHED if w.source.startswith("code of Ghosh")
    }
    assert len(found) == 3 * len(RAE_CODE)
    for (model, option), values in RAE_CODE.items():
        for dataset, value in zip(PIXELS, values, strict=True):
            weight = found[model, option, dataset]
            assert weight.weight == value
            assert weight.latent_dim == DIMENSIONS[dataset]
            expected = value * factor(model, option, dataset)
            assert weight.converted == pytest.approx(expected, rel=1e-11)
    official = [w for w in PUBLISHED if not w.source.startswith("code of Ghosh")]
    assert [(w.model, w.dataset, w.weight, w.latent_dim, w.converted) for w in official] == [
        ("wae", "mnist", 10, 8, 200),
        ("wae", "celeba64", 100, 64, 500),
    ]


def test_published_options_of_every_model_and_data_set():
    for name in MODELS:
        for dataset in PIXELS:
            options = published_options(name, dataset)
            for (model, option), values in RAE_CODE.items():
                if model == name and option:
                    value = dict(zip(PIXELS, values, strict=True))[dataset]
                    expected = pytest.approx(value * factor(model, option, dataset), rel=1e-11)
                    assert getattr(options, option) == expected
    assert published_options("vae", "celeba") == VAEOptions(beta=0.27072)


@pytest.mark.parametrize("name", MODELS)
def test_defaults_are_those_of_mnist(name):
    assert published_options(name, "mnist") == MODELS[name][1]()


def test_settings_that_are_no_weights():
    for name in ("ae_l2", "rae_l2"):
        stems = [published_options(name, dataset).decoder_l2_stem for dataset in PIXELS]
        assert stems == [False, False, True]
    noise = [published_options("wae", dataset).input_noise for dataset in PIXELS]
    assert noise == [0, 0, 0.01]
    assert published_options("eae", "cifar10") == EAEOptions(decoder_l2=3.072e-3)
    assert published_options("eae", "celeba64") == EAEOptions(spectral_norm=True)


def test_every_data_set_has_options_like_its_family():
    for dataset in DATASETS:
        published_options("rae", dataset)
    for stand_in, real in (
        ("digits", "mnist"), ("fashion_mnist", "mnist"),
        ("shapes32", "cifar10"), ("faces64", "celeba64"), ("celeba", "celeba64"),
    ):  # fmt: skip
        assert published_options("rae_l2", stand_in) == published_options("rae_l2", real)


SHAPE, D = (3, 4, 4), 5


@pytest.fixture
def batch():
    """Images, reconstructions and codes."""
    g = torch.Generator().manual_seed(0)
    x, decoded = torch.rand(2, 6, *SHAPE, generator=g, dtype=torch.float64)
    return x, decoded, torch.randn(6, D, generator=g, dtype=torch.float64)


def ours(error, term, weight):
    return error + weight * term


CASES = ["rae", "rae_gp", "vae", "wae", "wae official", "wae official faces", "second stage"]


@pytest.mark.parametrize("case", CASES)
def test_a_converted_objective_is_the_published_one_times_a_constant(batch, case):
    """Each published loss written as its code reduces it, for one weight of 0.7."""
    x, decoded, z = batch
    squares = (x - decoded).square()
    summed = squares.sum((1, 2, 3)).mean()
    sizes = {"image_shape": SHAPE, "latent_dim": D}
    if case == "rae":
        published = squares.mean() + 0.7 * z.square().mean(1).mean()
        term, scale = 0.5 * z.square().sum(1).mean(), 1 / 48
        weight = convert_weight(0.7, error="mean", term="mean without half", **sizes)
    elif case == "rae_gp":
        matrix = torch.randn(4, D, dtype=torch.float64)
        slope = 2 * z @ matrix.T @ matrix
        published = squares.mean() + 0.7 * slope.square().mean()
        term = gradient_penalty(lambda z: z @ matrix.T.to(z), z)[1].double()
        scale = 1 / 48
        weight = convert_weight(0.7, error="mean", term="mean", **sizes)
    elif case == "vae":
        term, scale = gaussian_kl(z, 0.1 * z), 1 / 3
        published = squares.mean(1).sum((1, 2)).mean() + 0.7 * term
        weight = convert_weight(0.7, error="channel mean", **sizes)
    elif case == "second stage":
        term, scale = gaussian_kl(z, 0.1 * z), 1 / D
        errors = (z - 0.5).square()
        published, summed = errors.mean(1).mean() + 0.7 * term, errors.sum(1).mean()
        weight = convert_weight(0.7, error="code mean", **sizes)
    elif case == "wae official faces":  # of pixels in [-1, 1]
        term, scale = imq_mmd(z, z.flip(1)), 0.2
        wide = ((2 * x - 1) - (2 * decoded - 1)).square().sum((1, 2, 3)).mean()
        published = 0.05 * wide + 0.7 * term
        weight = convert_weight(0.7, error="sum / 20 in [-1, 1]", **sizes)
    else:
        term = imq_mmd(z, z.flip(1))
        official = case == "wae official"
        scale = 0.05 if official else 1 / 48
        published = scale * summed + 0.7 * term
        weight = convert_weight(0.7, error="sum / 20" if official else "mean", **sizes)
    assert ours(summed, term, weight).item() * scale == pytest.approx(published.item(), rel=1e-6)


def test_a_sum_is_what_we_have():
    assert convert_weight(0.3, error="sum", image_shape=SHAPE, latent_dim=D) == 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: published_options("vea", "mnist"), "did you mean 'vae'"),
        (lambda: published_options("vae", "minst"), "'minst'; did you mean 'mnist'"),
        (lambda: published_options("vae", "imagenet"), "no weights are published .* mnist, fash"),
        (
            lambda: convert_weight(1, error="median", image_shape=SHAPE, latent_dim=D),
            "error must be one of sum, mean, ",
        ),
        (
            lambda: convert_weight(1, error="sum", term="max", image_shape=SHAPE, latent_dim=D),
            "term must be one of sum, mean, ",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_weights_are_finite_and_not_negative():
    assert all(0 <= weight.converted < math.inf for weight in PUBLISHED)
