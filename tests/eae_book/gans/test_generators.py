"""The generators by name."""

import json

import pytest
import torch

from eae_book.gans.generators import GENERATORS, build_generator, rebuild_generator
from eae_book.gans.wasserstein_gan import WGANOptions
from eae_core.models import Autoencoder

NAMES = ("gan", "wgan", "wgan_gp", "wgan_gp_corrected", "lee_vae")


def test_there_are_the_models_of_table_2_and_the_corrected_one():
    assert tuple(GENERATORS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_generator_has_the_same_face(name):
    model = build_generator(name, latent_dim=4, width=2).eval()
    assert (model.name, model.latent_dim) == (name, 4)
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    x = model.decode(z)
    assert x.shape == (6, 1, 28, 28)
    assert 0 <= x.min() <= x.max() <= 1
    torch.testing.assert_close(model.decode(z[:1]), x[:1])  # each code by itself
    assert json.loads(json.dumps(model.config)) == model.config
    again = rebuild_generator(model.config)
    assert type(again) is type(model)
    assert again.config == model.config
    assert {k: v.shape for k, v in again.state_dict().items()} == {
        k: v.shape for k, v in model.state_dict().items()
    }


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # by torch.func itself
@pytest.mark.parametrize("name", NAMES)
def test_the_jacobian_can_be_taken_code_by_code(name):
    """What the entropy of a decoder asks for: forward mode under vmap."""
    model = build_generator(name, latent_dim=3, width=1).eval()
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    jacobian = torch.func.vmap(torch.func.jacfwd(lambda u: model.decode(u[None])[0]))(z)
    assert jacobian.shape == (2, 1, 28, 28, 3)
    step = 1e-2 * torch.eye(3)[0]
    with torch.no_grad():
        slope = (model.decode(z + step) - model.decode(z - step)) / 2e-2
    torch.testing.assert_close(jacobian[..., 0], slope, atol=1e-4, rtol=1e-2)


def test_only_the_corrected_critic_treats_each_image_by_itself():
    x = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for name in NAMES[:-1]:
        critic = build_generator(name, latent_dim=3, width=2).critic
        alone = torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-6)
        assert alone is (name == "wgan_gp_corrected")


def test_the_variational_one_is_an_autoencoder_and_options_are_kept():
    assert isinstance(build_generator("lee_vae", latent_dim=2, width=1), Autoencoder)
    model = build_generator("wgan", latent_dim=2, width=1, options=WGANOptions(clip=0.5))
    assert rebuild_generator(model.config).options == WGANOptions(clip=0.5)


def test_the_unknown_is_named():
    with pytest.raises(ValueError, match=r"unknown generator 'vae'; did you mean 'lee_vae'\?"):
        build_generator("vae")
    with pytest.raises(ValueError, match="width must be at least 1"):
        build_generator("gan", width=0)
    with pytest.raises(TypeError, match="takes ModelOptions, got WGANOptions"):
        build_generator("lee_vae", latent_dim=2, width=1, options=WGANOptions())
    with pytest.raises(ValueError, match="model config lacks options, width"):
        rebuild_generator({"name": "gan", "latent_dim": 2})
    config = build_generator("gan", latent_dim=2, width=1).config
    with pytest.raises(TypeError, match="colour"):
        rebuild_generator(config | {"options": {"colour": 1}})
