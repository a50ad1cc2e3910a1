"""A tiny model, scored from end to end, against the parts computed one by one."""

import dataclasses
import math

import pytest
import torch
from torch import nn

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_core import build_model
from eae_core.data import load_images
from eae_core.evaluation import (
    classifier_features,
    decode_codes,
    encode_images,
    fit_density,
    frechet_distance,
    gaussianity_report,
    kernel_distance,
    precision_recall,
    reconstruct,
    reconstruction_error,
    score_model,
)
from eae_core.evaluation.image_metrics import ImageMetrics, MadeImages, metric_names
from eae_core.models import EAEOptions

SAMPLES = 60


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def train():
    return load_images("digits", limit=300)


@pytest.fixture(scope="module")
def held_out():
    return load_images("digits", "test", limit=80)


@pytest.fixture(scope="module")
def judge(train, root):
    return classifier_features(train, epochs=2, device="cpu", root=root)


@pytest.fixture(scope="module")
def model(train):
    torch.manual_seed(0)
    model = build_model("eae", (1, 32, 32), 3, width=2)
    for rows in torch.arange(300).split(50):
        model(train.batch(rows))  # the running moments
    return model.train()


@pytest.fixture(scope="module")
def scores(model, train, held_out, judge, root):
    return score_model(
        model,
        train,
        held_out,
        extractors=[judge],
        samples=SAMPLES,
        seed=3,
        batch_size=37,
        root=root,
    )


def test_names_and_numbers(scores, judge):
    metrics = scores.metrics()
    assert scores.missing == {}
    assert scores.extractors == {"FD-classifier": judge.checksum}
    counts = ("samples", "reference_images", "reconstructions", "fitted_codes")
    assert [metrics[name] for name in counts] == [SAMPLES, 80, SAMPLES, 300]
    kinds = ("fd_classifier", "kid_classifier", "kid_sd_classifier")
    expected = {
        f"{kind}_{density}"
        for kind in (*kinds, "precision_classifier", "recall_classifier", "log_density")
        for density in ("standard", "gaussian", "mixture")
    }
    expected |= {
        f"fd_classifier_{name}"
        for name in ("reconstruction", "interpolation", "interpolation_linear", "real")
    }
    plain = {name for name in metrics if not name.startswith("gaussianity_")}
    assert plain == expected | {*counts, "reconstruction_error"}
    assert all(type(value) is float and math.isfinite(value) for value in metrics.values())


def test_samples_are_those_of_the_density(scores, model, train, held_out, judge):
    codes = encode_images(model, train)
    density = fit_density("mixture", codes, seed=3)
    features = judge.features(decode_codes(model, density.sample(SAMPLES, seed=3)))
    real = judge.features(held_out.batch(slice(None)))
    values = scores.values
    close = {"rel": 1e-3, "abs": 1e-6}  # features are in float32, and came in other batches
    assert values["fd_classifier_mixture"] == pytest.approx(
        frechet_distance(features, real), **close
    )
    kid = kernel_distance(features, real, subsets=20, seed=3)
    assert values["kid_classifier_mixture"] == pytest.approx(kid.mean, **close)
    assert values["kid_sd_classifier_mixture"] == pytest.approx(kid.sd, **close)
    share = precision_recall(features, real)
    assert values["precision_classifier_mixture"] == pytest.approx(share.precision, abs=0.04)
    assert values["recall_classifier_mixture"] == pytest.approx(share.recall, abs=0.04)
    mean = density.log_density(encode_images(model, held_out)).mean().item()
    assert values["log_density_mixture"] == pytest.approx(mean, rel=1e-5)


def test_reconstructions_and_real_images(scores, model, train, held_out, judge):
    real = judge.features(held_out.batch(slice(None)))
    rebuilt = judge.features(reconstruct(model, held_out.batch(slice(0, SAMPLES))))
    values = scores.values
    assert values["fd_classifier_reconstruction"] == pytest.approx(
        frechet_distance(rebuilt, real), rel=1e-3
    )
    expected = frechet_distance(judge.features(train.batch(slice(0, SAMPLES))), real)
    assert values["fd_classifier_real"] == pytest.approx(expected, rel=1e-3)
    assert values["reconstruction_error"] == pytest.approx(
        reconstruction_error(model, held_out), rel=1e-5
    )
    # An untrained decoder makes nothing like a digit; real digits are near real digits.
    assert values["fd_classifier_real"] < 0.2 * values["fd_classifier_mixture"]


def test_the_report_of_the_codes(scores, model, held_out):
    report = gaussianity_report(encode_images(model, held_out)[:SAMPLES])
    for name in ("worst_ks", "norm_sd", "sliced_wasserstein", "entropy_gap", "d"):
        expected = pytest.approx(getattr(report, name), rel=1e-4, abs=1e-5)
        assert scores.values[f"gaussianity_{name}"] == expected
    assert scores.values["gaussianity_energy_distance_high"] == report.energy_distance_band.high


def test_same_seed_same_scores_and_the_model_is_left_alone(
    scores, model, train, held_out, judge, root
):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    options = {"samples": SAMPLES, "batch_size": 37, "root": root}
    again = score_model(model, train, held_out, extractors=[judge], seed=3, **options)
    assert again == scores
    assert torch.equal(torch.rand(1), expected)
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])
    other = score_model(
        model, train, held_out, extractors=[judge], densities=["mixture"], seed=4, **options
    )
    assert other.values["fd_classifier_mixture"] != scores.values["fd_classifier_mixture"]
    assert "fd_classifier_gaussian" not in other.values


@pytest.mark.parametrize(
    ("name", "options"),
    [("two_stage_vae", None), ("eae", EAEOptions(constraint="l1_norm"))],
)
def test_a_model_with_its_own_law_is_judged_by_it(name, options, train, held_out, judge, root):
    torch.manual_seed(0)
    model = build_model(name, (1, 32, 32), 3, width=2, options=options)
    found = score_model(
        model,
        train,
        held_out,
        extractors=[judge],
        densities=["standard"],
        samples=SAMPLES,
        root=root,
    ).values
    assert found["fd_classifier_prior"] != found["fd_classifier_standard"]
    model.eval()
    with torch.no_grad():
        codes = model.draw_codes(SAMPLES, generator=torch.Generator().manual_seed(0))
    features = judge.features(decode_codes(model, codes))
    expected = frechet_distance(features, judge.features(held_out.batch(slice(None))))
    assert found["fd_classifier_prior"] == pytest.approx(expected, rel=1e-3)


class Own(nn.Module):
    """A reader's own model: linear, without config or law. ``bad`` makes its codes useless."""

    def __init__(self, bad=""):
        super().__init__()
        self.latent_dim, self.bad = 2, bad
        basis = torch.randn(1024, 2, generator=torch.Generator().manual_seed(0)) / 32
        self.basis = nn.Parameter(basis)

    def encode(self, x):
        z = x.flatten(1) @ self.basis
        factor = {"equal": 0.0, "nan": math.nan, "dead": torch.tensor([1.0, 0.0])}.get(self.bad, 1)
        return z * factor

    def decode(self, z):
        images = (0.5 + z @ self.basis.T).unflatten(1, (1, 32, 32))
        return (images - 10).log() if self.bad == "decoder" else images.clamp(0, 1)

    def forward(self, x):
        return self.decode(self.encode(x))


def test_a_readers_own_model(train, held_out, judge, root):
    found = score_model(Own(), train, held_out, extractors=[judge], samples=SAMPLES, root=root)
    assert "fd_classifier_prior" not in found.values
    assert found.missing == {}


def test_without_extractors_there_are_still_numbers(train, held_out):
    found = score_model(Own(), train, held_out, extractors=[], samples=SAMPLES)
    assert {"reconstruction_error", "log_density_mixture"} <= found.values.keys()
    assert not [name for name in found.values if "standard" in name and "log" not in name]


def test_codes_that_coincide_leave_gaps_with_reasons(train, held_out, judge, root):
    found = score_model(
        Own("equal"), train, held_out, extractors=[judge], samples=SAMPLES, root=root
    )
    assert set(found.missing) == {"gaussian", "mixture", "gaussianity"}
    assert "equal" in found.missing["mixture"]
    assert "coincide" in found.missing["gaussianity"]
    assert "fd_classifier_standard" in found.values
    assert not [name for name in found.values if name.endswith(("gaussian", "mixture"))]


def test_a_dead_coordinate_has_no_correlation(train, held_out):
    found = score_model(Own("dead"), train, held_out, extractors=[], samples=SAMPLES)
    undefined = ("correlation", "skewness", "kurtosis")
    assert set(found.missing) == {f"gaussianity_largest_{name}" for name in undefined}
    assert all(math.isfinite(value) for value in found.metrics().values())


def test_refuses(train, held_out, judge, root):
    def score(model=None, images=train, tests=held_out, **options):
        arguments = {"extractors": [judge], "samples": SAMPLES, "root": root} | options
        return score_model(model or Own(), images, tests, **arguments)

    with pytest.raises(ValueError, match="300 of 300 train images hold NaN"):
        score(Own("nan"))
    with pytest.raises(ValueError, match="images hold NaN or infinity: has the model diverged"):
        score(Own("decoder"))
    with pytest.raises(ValueError, match="did you mean 'mixture'"):
        score(densities=["mixtures"])
    with pytest.raises(ValueError, match="at least 30 codes"):
        score(images=train.subset(20))
    with pytest.raises(ValueError, match="at least 5"):
        score(samples=4)
    with pytest.raises(ValueError, match="at least 5"):
        score(tests=held_out.subset(3))
    with pytest.raises(ValueError, match=r"shape \(3, 32, 32\)"):
        score(build_model("ae", (3, 32, 32), 3, width=1))
    with pytest.raises(ValueError, match="different names"):
        score(extractors=[judge, dataclasses.replace(judge)])


def test_only_a_batch_of_images_exists_at_a_time(held_out, judge, root):
    sizes = []

    def make(rows):
        sizes.append(rows.stop - rows.start)
        return torch.rand(sizes[-1], 1, 32, 32)

    judges = ImageMetrics([judge], held_out, 16, 2, 0, root, progress=False)
    judges.scores({"noise": MadeImages(50, make)})
    assert sizes == [16, 16, 16, 2]


def test_a_bar_on_request(train, held_out, judge, root, capsys):
    options = {"densities": [], "samples": 20, "root": root}
    score_model(Own(), train, held_out, extractors=[judge], **options)
    assert capsys.readouterr().err == ""
    score_model(Own(), train, held_out, extractors=[judge], progress=True, **options)
    assert "reconstruction: 100%" in capsys.readouterr().err


def test_metric_names():
    assert metric_names("FID-2048") == ("fid_2048", "2048")
    assert metric_names("pixels") == ("pixels", "pixels")
