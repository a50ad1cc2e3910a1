"""Objectives against values worked out by hand."""

import pytest
import torch
from torch import nn

from eae_core import build_model, knn_entropy
from eae_core.models import (
    AE,
    EAE,
    AEOptions,
    EAEOptions,
    rebuild_model,
)


def images(n: int = 8) -> torch.Tensor:
    return torch.rand(n, 1, 32, 32, generator=torch.Generator().manual_seed(0))


class Constant(nn.Module):
    """Decodes everything to one grey value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(z), 1, 2, 2)


def linear_encoder(d: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, d))


def test_reconstruction_is_summed_over_pixels_and_averaged_over_the_batch():
    model = AE(linear_encoder(3), Constant(0.25), 3)
    terms = model.loss(torch.ones(6, 1, 2, 2))
    assert terms["loss"].item() == pytest.approx(4 * 0.75**2)
    assert terms["reconstruction"] is terms["loss"]


@pytest.mark.parametrize("weight", [0.0, 0.05, 2.0])
def test_eae_objective_is_error_minus_weighted_entropy_of_the_normalised_code(weight):
    torch.manual_seed(0)
    model = EAE(linear_encoder(2), Constant(0.5), 2, EAEOptions(entropy_weight=weight, k=2))
    x = torch.rand(20, 1, 2, 2)
    terms = model.loss(x)
    raw = model.encoder(x).double()
    z = (raw - raw.mean(0)) / (raw.var(0, correction=0) + 1e-5).sqrt()
    error = (x - 0.5).square().sum((1, 2, 3)).mean()
    assert terms["entropy"].item() == pytest.approx(knn_entropy(z, 2).item(), abs=1e-5)
    assert terms["reconstruction"].item() == pytest.approx(error.item(), rel=1e-6)
    expected = error.item() - weight * terms["entropy"].item()
    assert terms["loss"].item() == pytest.approx(expected, abs=1e-5)


def test_the_entropy_reaches_the_encoder_only_when_it_has_weight():
    x = torch.rand(20, 1, 2, 2)
    for weight in (0.0, 1.0):
        model = EAE(linear_encoder(2), Constant(0.5), 2, EAEOptions(entropy_weight=weight))
        model.loss(x)["loss"].backward()
        gradient = model.encoder[1].weight.grad
        # Constant's decoder ignores the code: any gradient comes from the entropy.
        assert (gradient is not None and gradient.abs().max() > 0) == (weight > 0)


def test_gradient_ascent_on_the_entropy_spreads_a_clumped_code():
    torch.manual_seed(0)
    model = EAE(linear_encoder(2), Constant(0.5), 2, EAEOptions(entropy_weight=1.0))
    corners = torch.eye(4).view(4, 1, 2, 2).repeat(10, 1, 1, 1)
    x = (0.5 + 0.4 * (corners - 0.25) + 0.01 * torch.rand(40, 1, 2, 2)).clamp(0, 1)
    optimizer = torch.optim.Adam(model.encoder.parameters(), lr=0.05)
    before = model.loss(x)["entropy"].item()
    for _ in range(50):
        optimizer.zero_grad()
        model.loss(x)["loss"].backward()
        optimizer.step()
    assert model.loss(x)["entropy"].item() > before + 0.1


def test_code_of_ae_is_normalised_on_request():
    plain = build_model("ae", (1, 32, 32), 4, width=2)
    normal = build_model("ae", (1, 32, 32), 4, width=2, options=AEOptions(normalize_code=True))
    x = images()
    torch.testing.assert_close(normal.encode(x).mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    assert plain.encode(x).var(0).max() < 0.9
    assert "entropy" not in normal.loss(x)


def test_eae_without_weight_equals_the_normalised_autoencoder():
    torch.manual_seed(0)
    eae = build_model("eae", (1, 32, 32), 4, width=2, options=EAEOptions(entropy_weight=0.0))
    ae = build_model("ae", (1, 32, 32), 4, width=2, options=AEOptions(normalize_code=True))
    ae.load_state_dict(eae.state_dict())
    assert ae.loss(images())["loss"].item() == eae.loss(images())["loss"].item()


@pytest.mark.parametrize("k", [1, 3])
def test_batch_too_small_for_k(k):
    model = build_model("eae", (1, 32, 32), 4, width=2, options=EAEOptions(k=k))
    assert model.minimum_batch_size == k + 2
    with pytest.raises(ValueError, match=rf"at least k \+ 2 = {k + 2}"):
        model.loss(images(k + 1))
    assert model.loss(images(k + 2))["loss"].isfinite()


def test_images_of_another_data_set_are_refused():
    model = build_model("ae", (3, 64, 64), 4, width=2)
    with pytest.raises(ValueError, match="another data set"):
        model.loss(torch.rand(4, 3, 60, 60))


def test_config_rebuilds_the_model():
    model = build_model("eae", (3, 32, 32), 5, width=3, options=EAEOptions(0.5, k=2))
    twin = rebuild_model(model.config)
    assert twin.config == model.config
    assert twin.image_shape == (3, 32, 32)
    twin.load_state_dict(model.state_dict())  # the same shapes


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: build_model("eea", (1, 32, 32), 4), ValueError, "did you mean 'eae'"),
        (lambda: build_model("gan", (1, 32, 32), 4), ValueError, "There are: ae, ae_l2, eae, rae, "),
        (lambda: build_model("ae", (1, 32, 32), 0), ValueError, "latent_dim"),
        (lambda: build_model("ae", (1, 32, 32), 4, width=0), ValueError, "width"),
        (lambda: build_model("ae", (1, 28, 28), 4), ValueError, "no network"),
        (
            lambda: build_model("ae", (1, 32, 32), 4, options=EAEOptions()),
            TypeError,
            "takes AEOptions",
        ),
        (lambda: EAEOptions(entropy_weight=-1), ValueError, "at least 0"),
        (lambda: EAEOptions(entropy_weight=float("nan")), ValueError, "finite"),
        (lambda: EAEOptions(k=0), ValueError, "at least 1"),
        (lambda: rebuild_model({"name": "ae"}), ValueError, "lacks image_shape, latent_dim"),
    ],
)
def test_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()
