"""RAE and its variants against values worked out by hand."""

import pytest
import torch

from eae_core.models import (
    RAE,
    RAEGP,
    RAESN,
    RAEGPOptions,
    RAEOptions,
    RAESNOptions,
    build_model,
    decoder_l2,
    gradient_penalty,
)
from eae_core.models.regularized import AEL2, RAEL2, AEL2Options, RAEL2Options


def test_rae_is_error_and_half_the_squared_norm_of_the_code(linear_encoder, grey):
    model = RAE(linear_encoder(3), grey(0.25), 3, RAEOptions(latent_weight=0.5))
    x = torch.rand(6, 1, 2, 2)
    terms = model.loss(x)
    z = model.encoder(x)
    latent = sum(0.5 * row.dot(row).item() for row in z) / 6
    error = sum((image - 0.25).square().sum().item() for image in x) / 6
    assert terms["latent"].item() == pytest.approx(latent, rel=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(error, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(error + 0.5 * latent, rel=1e-5)


@pytest.mark.parametrize("gradient", ["energy", "jacobian"])
def test_rae_gp_of_a_linear_decoder(linear_encoder, linear_decoder, gradient):
    matrix = torch.tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, 3], [0, 0, 0]])
    options = RAEGPOptions(latent_weight=0.5, gradient_penalty=0.1, gradient=gradient)
    model = RAEGP(linear_encoder(3), linear_decoder(matrix), 3, options)
    x = torch.rand(6, 1, 2, 2)
    terms = model.loss(x)
    z = model.encoder(x)
    frobenius = 1 + 4 + 9
    energy = (2 * z @ matrix.T @ matrix).square().sum(1).mean().item()
    expected = frobenius if gradient == "jacobian" else energy
    assert terms["gradient"].item() == pytest.approx(expected, rel=1e-5)
    rest = terms["reconstruction"] + 0.5 * terms["latent"]
    assert terms["loss"].item() == pytest.approx(rest.item() + 0.1 * expected, rel=1e-5)
    terms["loss"].backward()
    assert model.encoder[1].weight.grad.isfinite().all()


def test_rae_gp_without_weight_is_rae(linear_encoder, linear_decoder):
    """RAE's configuration for CIFAR-10; the second differentiation is spared."""
    encoder, decoder = linear_encoder(3), linear_decoder(torch.ones(4, 3))
    plain = RAE(encoder, decoder, 3, RAEOptions(latent_weight=0.5))
    options = RAEGPOptions(latent_weight=0.5, gradient_penalty=0.0)
    x = torch.rand(6, 1, 2, 2)
    assert RAEGP(encoder, decoder, 3, options).loss(x) == plain.loss(x)


def test_rae_gp_can_be_looked_at_without_gradient(images):
    model = build_model("rae_gp", (1, 32, 32), 4, width=2).eval()
    x = images()
    with torch.no_grad():
        silent = model.loss(x)
    torch.testing.assert_close(silent, {k: t.detach() for k, t in model.loss(x).items()})
    assert not any(term.requires_grad for term in silent.values())


def test_rae_gp_uses_the_networks_of_its_model(images):
    torch.manual_seed(0)
    model, x = build_model("rae_gp", (1, 32, 32), 4, width=2).eval(), images()
    expected = gradient_penalty(model.decode, model.encode(x))[1]
    torch.testing.assert_close(model.loss(x)["gradient"], expected)


def test_l2_variants_add_the_squared_kernels(images):
    torch.manual_seed(0)
    x = images()
    for kind, options in (
        ("ae_l2", AEL2Options(decoder_l2=2.0)),
        ("ae_l2", AEL2Options(decoder_l2=2.0, decoder_l2_stem=True)),
        ("rae_l2", RAEL2Options(decoder_l2=2.0, latent_weight=0.5)),
        ("rae_l2", RAEL2Options(decoder_l2=2.0, latent_weight=0.5, decoder_l2_stem=True)),
    ):
        model = build_model(kind, (1, 32, 32), 3, width=1, options=options)
        terms = model.loss(x)
        squares = decoder_l2(model.decoder, stem=options.decoder_l2_stem)
        assert torch.equal(terms["decoder_l2"], squares)
        latent = 0.5 * terms["latent"] if kind == "rae_l2" else 0.0
        expected = terms["reconstruction"] + latent + 2 * squares
        torch.testing.assert_close(terms["loss"], expected)
        assert list(terms)[-1] == "decoder_l2"


def test_l2_variants_of_own_networks(linear_encoder, linear_decoder):
    """A decoder of linear layers alone has its stem to penalise."""
    matrix = torch.full((4, 3), 0.5)
    for model in (
        AEL2(linear_encoder(3), linear_decoder(matrix), 3, AEL2Options(decoder_l2_stem=True)),
        RAEL2(linear_encoder(3), linear_decoder(matrix), 3, RAEL2Options(decoder_l2_stem=True)),
    ):
        assert model.loss(torch.rand(5, 1, 2, 2))["decoder_l2"].item() == 12 * 0.25


def test_rae_sn_is_rae_on_normalised_networks(linear_encoder, linear_decoder):
    model = RAESN(
        linear_encoder(3), linear_decoder(torch.ones(4, 3)), 3, RAESNOptions(latent_weight=0.5)
    )
    with torch.no_grad():
        for _ in range(50):
            model(torch.rand(5, 1, 2, 2))
    model.eval()
    x = torch.rand(5, 1, 2, 2)
    terms = model.loss(x)
    torch.testing.assert_close(terms["loss"], terms["reconstruction"] + 0.5 * terms["latent"])
    # ones(4, 3) has norm sqrt(12)
    torch.testing.assert_close(model.decoder[0].weight, torch.full((4, 3), 12**-0.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RAEOptions(latent_weight=-1), "latent_weight must be finite and at least 0"),
        (lambda: AEL2Options(decoder_l2=float("inf")), "decoder_l2 must be finite"),
        (lambda: RAEL2Options(latent_weight=-1), "latent_weight"),
        (lambda: RAEL2Options(decoder_l2=-1), "decoder_l2"),
        (lambda: RAEGPOptions(gradient_penalty=-1), "gradient_penalty"),
        (lambda: RAEGPOptions(gradient="hessian"), "energy, jacobian, got 'hessian'"),
        (lambda: RAESNOptions(latent_weight=float("nan")), "latent_weight"),
    ],
)
def test_impossible_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
