"""The entropic autoencoder against values worked out by hand."""

import math

import pytest
import torch

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_core import build_model, knn_entropy
from eae_core.models import EAE, AEOptions, EAEOptions, rebuild_model
from eae_core.models.entropic import orthonormal_rows
from eae_core.regularizers import REGULARIZERS, entropy_radial_loss, koleo_loss, radial_loss


@pytest.mark.parametrize("weight", [0.0, 0.05, 2.0])
def test_eae_objective_is_error_minus_weighted_entropy_of_the_normalised_code(
    weight, grey, linear_encoder
):
    torch.manual_seed(0)
    model = EAE(linear_encoder(2), grey(0.5), 2, EAEOptions(entropy_weight=weight, k=2))
    x = torch.rand(20, 1, 2, 2)
    terms = model.loss(x)
    raw = model.encoder(x).double()
    z = (raw - raw.mean(0)) / (raw.var(0, correction=0) + 1e-5).sqrt()
    error = (x - 0.5).square().sum((1, 2, 3)).mean()
    assert terms["entropy"].item() == pytest.approx(knn_entropy(z, 2).item(), abs=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(error.item(), rel=1e-6)
    expected = error.item() - weight * terms["entropy"].item()
    assert terms["loss"].item() == pytest.approx(expected, abs=1e-5)


def test_the_entropy_reaches_the_encoder_only_when_it_has_weight(grey, linear_encoder):
    x = torch.rand(20, 1, 2, 2)
    for weight in (0.0, 1.0):
        model = EAE(linear_encoder(2), grey(0.5), 2, EAEOptions(entropy_weight=weight))
        model.loss(x)["loss"].backward()
        gradient = model.encoder[1].weight.grad
        # Constant's decoder ignores the code: any gradient comes from the entropy.
        assert (gradient is not None and gradient.abs().max() > 0) == (weight > 0)


def test_gradient_ascent_on_the_entropy_spreads_a_clumped_code(grey, linear_encoder):
    torch.manual_seed(0)
    model = EAE(linear_encoder(2), grey(0.5), 2, EAEOptions(entropy_weight=1.0))
    corners = torch.eye(4).view(4, 1, 2, 2).repeat(10, 1, 1, 1)
    x = (0.5 + 0.4 * (corners - 0.25) + 0.01 * torch.rand(40, 1, 2, 2)).clamp(0, 1)
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=0.05)
    before = model.loss(x)["entropy"].item()
    for _ in range(50):
        optimizer.zero_grad()
        model.loss(x)["loss"].backward()
        optimizer.step()
    assert model.loss(x)["entropy"].item() > before + 0.1


def test_eae_without_weight_equals_the_normalised_autoencoder(images):
    torch.manual_seed(0)
    eae = build_model("eae", (1, 32, 32), 4, width=2, options=EAEOptions(entropy_weight=0.0))
    ae = build_model("ae", (1, 32, 32), 4, width=2, options=AEOptions(normalize_code=True))
    ae.load_state_dict(eae.state_dict())
    assert ae.loss(images())["loss"].item() == eae.loss(images())["loss"].item()


@pytest.mark.parametrize("k", [1, 3])
def test_batch_too_small_for_k(k, images):
    model = build_model("eae", (1, 32, 32), 4, width=2, options=EAEOptions(k=k))
    assert model.minimum_batch_size == k + 2
    with pytest.raises(ValueError, match=rf"at least k \+ 2 = {k + 2}"):
        model.loss(images(k + 1))
    assert model.loss(images(k + 2))["loss"].isfinite()


# --- the options that the paper mentions without saying more


def standardized(y):
    return (y - y.mean(0)) / (y.var(0, correction=0) + 1e-5).sqrt()


def test_a_fixed_map_has_its_own_entropy(linear_encoder, grey):
    torch.manual_seed(0)
    options = EAEOptions(entropy_weight=2.0, entropy_map="fixed", entropy_dim=2)
    model = EAE(linear_encoder(4), grey(0.5), 4, options)
    x = torch.rand(30, 1, 2, 2)
    terms = model.loss(x)
    y = standardized(model.encode(x) @ model.entropy_rows.T)
    assert y.shape == (30, 2)
    assert terms["entropy"].item() == pytest.approx(knn_entropy(y).item(), abs=1e-5)
    expected = terms["reconstruction"] - 2 * terms["entropy"]
    assert terms["loss"].item() == pytest.approx(expected.item(), abs=1e-5)
    twin = EAE(linear_encoder(4), grey(0.5), 4, options)
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin.entropy_rows, model.entropy_rows)


def test_a_redrawn_map_changes_with_every_batch_and_follows_the_seed(linear_encoder, grey):
    options = EAEOptions(entropy_map="redrawn", entropy_dim=2)
    model = EAE(linear_encoder(4), grey(0.5), 4, options)
    x = torch.rand(30, 1, 2, 2)
    torch.manual_seed(1)
    first, second = (model.loss(x)["entropy"].item() for _ in range(2))
    torch.manual_seed(1)
    assert model.loss(x)["entropy"].item() == first != second
    assert "entropy_rows" not in model.state_dict()


def test_orthonormal_rows_are_uniform():
    """The first entry squared of a uniform unit vector in R^d has mean 1/d, its sign mean 0."""
    torch.manual_seed(0)
    d, n = 4, 2000
    rows = torch.stack([orthonormal_rows(2, d) for _ in range(n)])
    torch.testing.assert_close(rows @ rows.mT, torch.eye(2).expand(n, 2, 2), atol=1e-5, rtol=0)
    first = rows[:, :, 0]
    # Of z_1^2 ~ Beta(1/2, (d - 1) / 2) the variance is 2 (d - 1) / (d^2 (d + 2)).
    error = math.sqrt(2 * (d - 1) / (d**2 * (d + 2)) / n)
    assert (first.square().mean(0) - 1 / d).abs().max() < 4 * error
    assert first.mean(0).abs().max() < 4 * math.sqrt(1 / d / n)


def test_a_map_keeps_a_code_from_hiding_its_variance(linear_encoder, grey):
    """Without the second normalisation a code along the row would gain log d / 2."""
    options = EAEOptions(entropy_map="fixed", entropy_dim=1)
    model = EAE(linear_encoder(4), grey(0.5), 4, options)
    shared = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))
    model.entropy_rows = torch.full((1, 4), 0.5)
    along = model.entropy(shared.expand(-1, 4))
    assert along.item() == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.1)


def test_l2_of_the_decoder_counts_kernels():
    torch.manual_seed(0)
    options = EAEOptions(entropy_weight=0.5, decoder_l2=3.0)
    model = build_model("eae", (1, 32, 32), 2, width=1, options=options)
    terms = model.loss(torch.rand(5, 1, 32, 32))
    kernels = [p for p in model.decoder.parameters() if p.ndim == 4]
    squares = sum(p.double().square().sum().item() for p in kernels)
    assert len(kernels) == 3
    assert terms["decoder_l2"].item() == pytest.approx(squares, rel=1e-5)
    expected = terms["reconstruction"] - 0.5 * terms["entropy"] + 3 * terms["decoder_l2"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_spectral_normalisation_reaches_both_networks():
    options = EAEOptions(spectral_norm=True)
    names = build_model("eae", (1, 32, 32), 2, width=1, options=options).state_dict()
    for part, layers in (("encoder", 5), ("decoder", 4)):
        assert sum(n.startswith(part) and n.endswith("weight.original") for n in names) == layers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entropy_weight": -1}, "at least 0"),
        ({"entropy_weight": float("nan")}, "finite"),
        ({"k": 0}, "k must be at least 1"),
        ({"entropy_dim": 0}, "entropy_dim must be at least 1"),
        ({"decoder_l2": -1.0}, "decoder_l2 must be finite and at least 0"),
        ({"entropy_map": "learned"}, "identity, fixed, redrawn, got 'learned'"),
        ({"entropy_map": "fixed", "constraint": "box"}, "goes with the constraint 'batch_norm'"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        EAEOptions(**options)


def test_a_map_cannot_go_to_more_dimensions():
    with pytest.raises(ValueError, match="entropy_dim 8 is above latent_dim 4"):
        build_model("eae", (1, 32, 32), 4, width=1, options=EAEOptions(entropy_map="redrawn"))


# --- other terms in place of the entropy


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_regularizer_trains_the_encoder(name, linear_encoder, grey):
    torch.manual_seed(0)
    model = EAE(linear_encoder(3), grey(0.5), 3, EAEOptions(regularizer=name, k=2))
    terms = model.loss(torch.rand(20, 1, 2, 2))
    word, sign = ("entropy", -1) if name == "knn_entropy" else ("regularizer", 1)
    assert sorted(terms) == sorted(["loss", "reconstruction", word])
    expected = terms["reconstruction"] + sign * terms[word]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    terms["loss"].backward()
    # Constant's decoder ignores the code: the gradient comes from the term.
    assert model.encoder[1].weight.grad.abs().max() > 0


def test_a_regularizer_has_the_entropys_weight_and_its_k(linear_encoder, grey):
    options = EAEOptions(entropy_weight=3.0, regularizer="koleo", k=4)
    model = EAE(linear_encoder(2), grey(0.5), 2, options)
    x = torch.rand(20, 1, 2, 2)
    terms = model.loss(x)
    z = model.encode(x)
    assert terms["regularizer"].item() == pytest.approx(koleo_loss(z, k=4).item(), rel=1e-5)
    expected = terms["reconstruction"] + 3 * terms["regularizer"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_pin_on_the_norms_is_added_in_nats(linear_encoder, grey):
    torch.manual_seed(0)
    x = torch.rand(20, 1, 2, 2)
    pinned = EAE(linear_encoder(2), grey(0.5), 2, EAEOptions(entropy_weight=2, radial_weight=5.0))
    terms = pinned.loss(x)
    z = pinned.encode(x)
    assert terms["radial"].item() == pytest.approx(radial_loss(z).item(), rel=1e-5)
    expected = terms["reconstruction"] + 2 * entropy_radial_loss(z, radial_weight=5.0)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_model_with_a_regularizer_is_read_again():
    options = EAEOptions(regularizer="energy")
    model = build_model("eae", (1, 32, 32), 2, width=1, options=options)
    assert rebuild_model(model.config).options == options
    plain = build_model("eae", (1, 32, 32), 2, width=1)
    assert plain.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "needed"), [("sigreg", 2), ("koleo", 5), ("entropy_radial", 5), ("covariance", 6)]
)
def test_batches_that_a_regularizer_needs(name, needed, linear_encoder, grey):
    model = EAE(linear_encoder(4), grey(0.5), 4, EAEOptions(regularizer=name, k=3))
    assert model.minimum_batch_size == needed
    with pytest.raises(ValueError, match=f"regularizer '{name}': use at least {needed} images"):
        model.loss(torch.rand(needed - 1, 1, 2, 2))
    assert model.loss(torch.rand(needed, 1, 2, 2))["loss"].isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regularizer": "sigrek"}, "did you mean 'sigreg'"),
        ({"radial_weight": -1.0}, "radial_weight must be finite and at least 0"),
        ({"radial_weight": 1.0, "regularizer": "mmd"}, "goes with the regularizer 'knn_entropy'"),
        ({"radial_weight": 1.0, "constraint": "box"}, "radial_weight compares the code itself"),
        ({"regularizer": "mmd", "constraint": "sphere"}, "'mmd' compares .* not with 'sphere'"),
        ({"regularizer": "mmd", "entropy_map": "fixed"}, "not with 'batch_norm' and 'fixed'"),
    ],
)
def test_impossible_regularizers(options, message):
    with pytest.raises(ValueError, match=message):
        EAEOptions(**options)
