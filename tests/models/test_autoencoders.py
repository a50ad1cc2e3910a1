"""What all models share, and the plain autoencoder, against values worked out by hand."""

import pytest
import torch
from torch import nn

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_core.models import AE, AEOptions, EAEOptions, build_model


def test_reconstruction_is_summed_over_pixels_and_averaged_over_the_batch(grey, linear_encoder):
    model = AE(linear_encoder(3), grey(0.25), 3)
    terms = model.loss(torch.ones(6, 1, 2, 2))
    assert terms["loss"].item() == pytest.approx(4 * 0.75**2)
    assert terms["reconstruction"] is terms["loss"]


def test_code_of_ae_is_normalised_on_request(images):
    plain = build_model("ae", (1, 32, 32), 4, width=2)
    normal = build_model("ae", (1, 32, 32), 4, width=2, options=AEOptions(normalize_code=True))
    x = images()
    torch.testing.assert_close(normal.encode(x).mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    assert plain.encode(x).var(0).max() < 0.9
    assert "entropy" not in normal.loss(x)


def test_images_of_another_data_set_are_refused():
    model = build_model("ae", (3, 64, 64), 4, width=2)
    with pytest.raises(ValueError, match="another data set"):
        model.loss(torch.rand(4, 3, 60, 60))


@pytest.mark.parametrize("name", ["ae", "ae_l2", "eae", "rae", "rae_gp", "vae", "wae"])
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 255)])
def test_a_sigmoid_decoder_refuses_images_outside_0_1(name, low, high, images):
    model = build_model(name, (1, 32, 32), 2, width=1)
    x = low + (high - low) * images()
    with pytest.raises(ValueError, match=rf"from {x.min().item():g} to {x.max().item():g}: resc"):
        model.loss(x)
    assert model.loss(x.clamp(0, 1))["loss"].isfinite()


def test_a_decoder_without_sigmoid_takes_any_range(linear_encoder, linear_decoder):
    model = AE(linear_encoder(2), linear_decoder(torch.ones(4, 2)), 2)
    assert model.loss(-5 * torch.ones(3, 1, 2, 2))["loss"].isfinite()


def test_the_range_is_looked_at_once_where_a_look_costs_time(linear_encoder, grey):
    """On any device but a CPU; meta tensors stand for them, and cannot be looked at."""
    model = AE(linear_encoder(2), nn.Sequential(grey(0.5), nn.Sigmoid()), 2)
    model.check_images(torch.rand(3, 1, 2, 2))
    model.check_images(torch.rand(3, 1, 2, 2, device="meta"))  # not looked at


def test_codes_are_drawn_from_the_law_of_the_model():
    seeded = torch.Generator().manual_seed
    plain = build_model("ae", (1, 32, 32), 3, width=1)
    law = plain.code_distribution.sample(7, generator=seeded(1))
    assert torch.equal(plain.draw_codes(7, generator=seeded(1)), law)
    boxed = build_model("eae", (1, 32, 32), 3, width=1, options=EAEOptions(constraint="box"))
    assert boxed.draw_codes(500, generator=seeded(1)).abs().max() <= 1


def test_options_of_another_model_are_refused_by_the_class_too(linear_encoder, grey):
    with pytest.raises(TypeError, match="model 'ae' takes AEOptions, got EAEOptions"):
        AE(linear_encoder(2), grey(0.5), 2, EAEOptions())
