"""What a model produces, and that looking at it does not change it."""

import pytest
import torch

from eae_core import build_model
from eae_core.data import load_images
from eae_core.evaluation import (
    decode_codes,
    encode_images,
    interpolate,
    reconstruct,
    reconstruction_error,
    sample_images,
)
from eae_core.models.using import linear_path, spherical_path


@pytest.fixture
def digits():
    return load_images("digits", limit=23)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model("eae", (1, 32, 32), 4, width=2)


def test_batches_do_not_matter_and_the_mode_is_left_alone(model, digits):
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    z = encode_images(model, digits, batch_size=5)
    torch.testing.assert_close(z, encode_images(model, digits, batch_size=100))
    assert z.shape == (23, 4)
    assert not z.requires_grad
    assert model.training
    for name, value in model.state_dict().items():  # running moments included
        assert torch.equal(value, state[name])


def test_a_part_that_was_frozen_stays_frozen(model):
    model.train()
    model.encoder.eval()
    sample_images(model, 2, seed=0)
    assert (model.training, model.decoder.training, model.encoder.training) == (True, True, False)


def test_reconstruction_is_decoding_of_the_code(model, digits):
    x = digits.batch(torch.arange(23))
    torch.testing.assert_close(
        reconstruct(model, x), decode_codes(model, encode_images(model, digits))
    )
    expected = (x - reconstruct(model, x)).square().sum((1, 2, 3)).mean()
    assert reconstruction_error(model, digits, batch_size=7) == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_samples_follow_the_seed(model):
    a = sample_images(model, 3, seed=1)
    assert a.shape == (3, 1, 32, 32)
    assert torch.equal(a, sample_images(model, 3, seed=1))
    assert not torch.equal(a, sample_images(model, 3, seed=2))
    codes = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(a, decode_codes(model, codes))


def test_interpolation_ends_at_the_reconstructions(model, digits):
    x = digits.batch(torch.arange(6))
    for path in ("spherical", "linear"):
        images = interpolate(model, x[:3], x[3:], steps=5, path=path)
        assert images.shape == (3, 5, 1, 32, 32)
        torch.testing.assert_close(images[:, 0], reconstruct(model, x[:3]), atol=1e-5, rtol=0)
        torch.testing.assert_close(images[:, -1], reconstruct(model, x[3:]), atol=1e-5, rtol=0)


def test_spherical_path_turns_at_a_constant_rate_and_keeps_the_norm():
    start, end = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    path = spherical_path(start, end, torch.linspace(0, 1, 4))[0]
    angles = torch.atan2(path[:, 1], path[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, torch.pi / 2, 4))
    torch.testing.assert_close(path.norm(dim=1), torch.linspace(3, 5, 4))


def test_spherical_path_between_parallel_codes_is_the_segment():
    start = torch.tensor([[1.0, 2.0]])
    t = torch.linspace(0, 1, 5)
    torch.testing.assert_close(
        spherical_path(start, 2 * start, t), linear_path(start, 2 * start, t)
    )
    assert spherical_path(torch.zeros(1, 2), start, t).isfinite().all()


def test_refuses(model, digits):
    x = digits.batch(torch.arange(2))
    with pytest.raises(ValueError, match="n x 4"):
        decode_codes(model, torch.rand(3, 5))
    with pytest.raises(ValueError, match="at least 1"):
        sample_images(model, 0)
    with pytest.raises(ValueError, match="two ends"):
        interpolate(model, x, x, steps=1)
    with pytest.raises(ValueError, match="spherical"):
        interpolate(model, x, x, path="round")
