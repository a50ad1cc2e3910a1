"""The adversarial objectives, with critics and generators that can be worked out by hand."""

import math

import pytest
import torch
from torch import nn

from eae_book.gans.gan import GAN
from eae_book.gans.wasserstein_gan import (
    WGAN,
    WGANGP,
    CorrectedWGANGP,
    WGANGPOptions,
    WGANOptions,
)


class Fixed(nn.Module):
    """Makes the same image of every code."""

    def __init__(self, image):
        super().__init__()
        self.image = nn.Parameter(image)

    def forward(self, z):
        return self.image.expand(len(z), *self.image.shape)


def linear_critic(weight, bias=0.0):
    """C(x) = sum of weight * x + bias, for images of the weight's shape (c, h, w)."""
    layer = nn.Linear(weight.numel(), 1)
    layer.weight = nn.Parameter(weight.reshape(1, -1).clone())
    layer.bias = nn.Parameter(torch.tensor([bias]))
    return nn.Sequential(nn.Flatten(), layer)


WEIGHT = torch.tensor([[[0.3, -0.8], [0.4, 0.6]]])  # (1, 2, 2)
MADE = torch.tensor([[[0.2, 0.4], [0.6, 0.8]]])


def model_of(kind, *, bias=0.0, weight=WEIGHT, **named):
    return kind(Fixed(MADE.clone()), linear_critic(weight, bias), 3, **named)


@pytest.fixture
def given():
    return torch.rand(5, 1, 2, 2, generator=torch.Generator().manual_seed(1))


def test_gan_is_cross_entropy_at_known_logits(given):
    model = model_of(GAN, bias=0.1)
    terms = model.critic_loss(given)
    logits = (given * WEIGHT).sum((1, 2, 3)) + 0.1
    fake = 0.3 * 0.2 - 0.8 * 0.4 + 0.4 * 0.6 + 0.6 * 0.8 + 0.1
    real_by_hand = sum(-math.log(1 / (1 + math.exp(-u))) for u in logits.tolist()) / 5
    fake_by_hand = -math.log(1 - 1 / (1 + math.exp(-fake)))
    assert terms["real"].item() == pytest.approx(real_by_hand, rel=1e-6)
    assert terms["fake"].item() == pytest.approx(fake_by_hand, rel=1e-6)
    assert terms["loss"] == terms["real"] + terms["fake"]
    # not log(1 - sigmoid), which saturates, but minus log sigmoid
    by_hand = -math.log(1 / (1 + math.exp(-fake)))
    assert model.generator_loss(7)["loss"].item() == pytest.approx(by_hand, rel=1e-6)


def test_an_undecided_critic_costs_log_2_for_each_side(given):
    model = model_of(GAN, weight=torch.zeros(1, 2, 2))
    assert model.critic_loss(given)["loss"].item() == pytest.approx(2 * math.log(2))
    assert model.generator_loss(4)["loss"].item() == pytest.approx(math.log(2))


def test_gan_does_not_overflow_where_the_critic_is_sure():
    model = model_of(GAN, bias=-200.0)
    assert model.generator_loss(2)["loss"].item() == pytest.approx(200 - 0.46)
    model.generator_loss(2)["loss"].backward()
    assert model.generator.image.grad[0, 0, 0].item() == pytest.approx(-0.3)


def test_wgan_is_a_difference_of_means(given):
    model = model_of(WGAN, bias=0.3)
    fake = 0.46 + 0.3
    terms = model.critic_loss(given)
    real = ((given * WEIGHT).sum((1, 2, 3)) + 0.3).mean().item()
    assert terms["real"].item() == pytest.approx(-real)
    assert terms["fake"].item() == pytest.approx(fake)
    assert terms["loss"].item() == pytest.approx(fake - real)
    assert model.generator_loss(3)["loss"].item() == pytest.approx(-fake)


def test_wgan_clips_all_that_the_critic_learns_and_nothing_else(given):
    critic = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 1))
    model = WGAN(Fixed(MADE.clone()), critic, 3, WGANOptions(clip=0.02))
    model.critic_loss(given)  # the running moments move
    variance = critic[1].running_var.clone()
    model.after_critic_step()
    assert critic[1].weight.tolist() == pytest.approx([0.02, 0.02])  # the scale was 1
    assert max(p.abs().max().item() for p in critic.parameters()) == pytest.approx(0.02)
    assert torch.equal(critic[1].running_var, variance)
    assert torch.equal(model.generator.image, MADE)


@pytest.mark.parametrize("kind", [GAN, WGANGP, CorrectedWGANGP])
def test_the_others_do_not_clip(kind):
    model = model_of(kind)
    model.after_critic_step()
    assert torch.equal(model.critic[1].weight.reshape(1, 2, 2), WEIGHT)


def test_the_corrected_penalty_of_a_linear_critic(given):
    """The slope is the norm of the weights everywhere: sqrt(0.09 + 0.64 + 0.16 + 0.36)."""
    model = model_of(CorrectedWGANGP)
    terms = model.critic_loss(given)
    by_hand = (math.sqrt(1.25) - 1) ** 2
    assert terms["penalty"].item() == pytest.approx(by_hand, rel=1e-5)
    plain = model_of(WGAN).critic_loss(given)
    assert terms["loss"].item() == pytest.approx(plain["loss"].item() + 10 * by_hand, rel=1e-5)


def test_the_norm_over_rows_alone_gives_each_column_a_slope(given):
    """On the logit: columns have slopes sqrt(0.09 + 0.16) = 0.5 and sqrt(0.64 + 0.36) = 1."""
    model = model_of(WGANGP, options=WGANGPOptions(penalty_on="logit"))
    penalty = model.critic_loss(given)["penalty"].item()
    assert penalty == pytest.approx((0.5**2 + 0.0) / 2, abs=1e-6)


def test_the_quirky_penalty_has_the_slope_of_the_sigmoid():
    """With weights so small that the sigmoid is a line of slope 1 / 4 around 0."""
    small = 1e-3 * WEIGHT
    model = model_of(WGANGP, weight=small, options=WGANGPOptions(penalty_weight=3.0))
    given = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(2))
    terms = model.critic_loss(given)
    columns = [0.25 * 1e-3 * 0.5, 0.25 * 1e-3 * 1.0]
    by_hand = sum((slope - 1) ** 2 for slope in columns) / 2
    assert terms["penalty"].item() == pytest.approx(by_hand, rel=1e-6)
    plain = model_of(WGAN, weight=small).critic_loss(given)["loss"].item()
    assert terms["loss"].item() == pytest.approx(plain + 3 * by_hand, rel=1e-6)
    assert WGANGPOptions().penalty_weight == 0.25


@pytest.mark.parametrize(
    ("kind", "per_pixel"), [(WGANGP, True), (CorrectedWGANGP, False)], ids=["quirky", "corrected"]
)
def test_where_the_slope_is_taken(kind, per_pixel):
    """Between 0 and 1, so that an image in between shows its mixing weights."""
    seen = []

    class Noted(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return x.flatten(1).sum(1, keepdim=True)

    model = kind(Fixed(torch.ones(1, 4, 4)), Noted(), 2)
    model.critic_loss(torch.zeros(300, 1, 4, 4))
    given, made, between = seen
    assert not given.any()
    assert (made == 1).all()
    shares = between.flatten(1)
    assert 0 <= shares.min() < 0.02
    assert 0.98 < shares.max() <= 1
    # uniform: mean 1/2, deviation 0.289; 300 or 4800 of them
    assert shares.mean().item() == pytest.approx(0.5, abs=0.08)
    same_in_an_image = (shares == shares[:, :1]).all().item()
    assert same_in_an_image is not per_pixel
    if per_pixel:
        assert shares.std(1).mean().item() == pytest.approx(0.289, abs=0.02)


def test_batch_normalisation_lets_the_slope_of_an_image_reach_others():
    """Quirk 5: centred over the batch, a linear score of all images has slope 0 everywhere."""

    class Centred(nn.Module):
        def forward(self, x):
            score = x.flatten(1).sum(1, keepdim=True)
            return score - score.mean()

    model = WGANGP(Fixed(MADE.clone()), Centred(), 3, WGANGPOptions(penalty_on="logit"))
    terms = model.critic_loss(torch.rand(4, 1, 2, 2))
    assert terms["penalty"].item() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", [WGANGP, CorrectedWGANGP])
def test_the_penalty_teaches_the_critic_and_a_slope_of_zero_is_no_nan(given, kind):
    model = model_of(kind)
    model.penalty(given, MADE.expand(5, 1, 2, 2)).backward()
    assert model.critic[1].weight.grad.abs().min() > 0
    flat = model_of(kind, weight=torch.zeros(1, 2, 2))
    loss = flat.critic_loss(given)["loss"]
    loss.backward()
    assert flat.critic[1].weight.grad.isfinite().all()


def test_the_penalty_pulls_a_steep_critic_to_slope_one(given):
    model = model_of(CorrectedWGANGP, weight=4 * WEIGHT)
    optimizer = torch.optim.SGD(model.critic.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        model.penalty(given, MADE.expand(5, 1, 2, 2)).backward()
        optimizer.step()
    assert model.critic[1].weight.norm().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", [GAN, WGAN, WGANGP, CorrectedWGANGP])
def test_each_side_learns_from_its_own_loss(kind, given):
    model = model_of(kind)
    model.critic_loss(given)["loss"].backward()
    assert model.generator.image.grad is None
    assert model.critic[1].weight.grad is not None
    model.generator_loss(2)["loss"].backward()
    # the generator follows the critic's weights uphill
    downhill = -model.generator.image.grad
    assert (downhill * WEIGHT > 0).all()


def test_options_of_another_model_and_impossible_ones_are_named():
    with pytest.raises(TypeError, match="model 'gan' takes ModelOptions, got WGANOptions"):
        model_of(GAN, options=WGANOptions())
    with pytest.raises(TypeError, match="model 'wgan_gp_corrected' takes CorrectedWGANGPOptions"):
        model_of(CorrectedWGANGP, options=WGANGPOptions())
    for value in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="clip must be finite and above 0"):
            WGANOptions(clip=value)
    with pytest.raises(ValueError, match="penalty_weight must be finite and at least 0"):
        WGANGPOptions(penalty_weight=-1)
    with pytest.raises(ValueError, match="penalty_on must be sigmoid or logit, got 'softmax'"):
        WGANGPOptions(penalty_on="softmax")


def test_codes_of_new_images_are_standard_gaussian():
    z = model_of(GAN).draw_codes(20_000, generator=torch.Generator().manual_seed(0))
    assert z.shape == (20_000, 3)
    assert z.mean().item() == pytest.approx(0, abs=0.02)
    assert z.std().item() == pytest.approx(1, abs=0.02)
