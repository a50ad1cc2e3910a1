"""Two networks in turn: what a step is, and that such a run stops and goes on like any other."""

import json
from dataclasses import asdict

import pytest
import torch
from torch import nn

from eae_book.gans import AdversarialOptions, load_generator
from eae_book.gans.adversarial import fit_adversarial
from eae_book.gans.gan import GAN
from eae_book.gans.generators import build_generator
from eae_book.gans.unpadded import unpadded_images
from eae_book.gans.wasserstein_gan import WGAN, WGANGP
from eae_core.data import ImageSet
from eae_core.seeds import derived_seed, epoch_order
from eae_core.training import (
    CheckpointError,
    TrainingDiverged,
    TrainOptions,
    fit,
    load_model,
    trainer,
)
from eae_core.training.checkpoints import read_checkpoint

STEPS = 4  # of an epoch: 22 images in batches of 5


def options(**changes):
    values = {"epochs": 3, "batch_size": 5, "device": "cpu", "progress": False}
    return AdversarialOptions(**{**values, **changes})


class Noted:
    """Counts the calls of both sides; something may happen before one of them."""

    def __init__(self, *given):
        super().__init__(*given)
        self.calls = {"critic": 0, "generator": 0, "after": 0}
        self.before = {}  # (side, number of its call from 1) to what is done then

    def note(self, side):
        self.calls[side] += 1
        self.before.get((side, self.calls[side]), lambda: None)()

    def critic_loss(self, x):
        self.note("critic")
        return super().critic_loss(x)

    def generator_loss(self, n):
        self.note("generator")
        return super().generator_loss(n)

    def after_critic_step(self):
        self.note("after")
        super().after_critic_step()


@pytest.fixture
def game():
    """Builds a small model of images 2 x 4 x 4; the same seed gives the same weights."""

    def build(seed=0, *, kind=WGANGP, mixin=Noted):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            generator = nn.Sequential(
                nn.Linear(3, 32), nn.BatchNorm1d(32), nn.Unflatten(1, (2, 4, 4)), nn.Sigmoid()
            )
            critic = nn.Sequential(
                nn.Conv2d(2, 3, 3),
                nn.BatchNorm2d(3),
                nn.LeakyReLU(),
                nn.Flatten(),
                nn.Linear(12, 1),
            )
            model = type("Small", (mixin, kind), {})(generator, critic, 3)
        model.config = {"name": kind.name, "image_shape": [2, 4, 4]}
        return model

    return build


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "small.safetensors"


def without_time(history):
    return [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in history.epochs]


@pytest.mark.parametrize("kind", [GAN, WGAN, WGANGP])
def test_a_step_is_one_of_the_critic_and_one_of_the_generator(
    game, images, kind, assert_same_weights
):
    data, model, by_hand = images(22), game(kind=kind), game(kind=kind)
    rates = {"critic_learning_rate": 0.02, "generator_learning_rate": 0.01, "beta1": 0.3}
    fit_adversarial(model, data, options(epochs=2, seed=7, **rates))

    with torch.random.fork_rng([]):
        torch.manual_seed(derived_seed(7, 0))
        sides = (by_hand.critic, 0.02), (by_hand.generator, 0.01)
        critic, generator = (
            torch.optim.Adam(side.parameters(), lr=rate, betas=(0.3, 0.999)) for side, rate in sides
        )
        for epoch in range(2):
            order = epoch_order(22, 7, epoch + 1)
            for step in range(STEPS):
                critic.zero_grad()
                by_hand.critic_loss(data.batch(order[5 * step : 5 * step + 5]))["loss"].backward()
                critic.step()
                by_hand.after_critic_step()
                generator.zero_grad()
                by_hand.generator_loss(5)["loss"].backward()
                generator.step()
    assert_same_weights(model, by_hand)
    assert model.calls == {"critic": 8, "generator": 8, "after": 8}
    assert not model.training


def test_the_history_holds_the_terms_of_both_sides(game, images):
    history = fit_adversarial(game(), images(22), options())
    names = ["critic_loss", "critic_real", "critic_fake", "critic_penalty", "generator_loss"]
    assert list(history.epochs[0]) == ["epoch", *names, "seconds"]
    parts = sum(history.curve(f"critic_{part}")[0] for part in ("real", "fake"))
    penalty = 0.25 * history.curve("critic_penalty")[0]
    assert history.curve("critic_loss")[0] == pytest.approx(parts + penalty, rel=1e-5)
    assert history.images_per_second == pytest.approx(60 / history.seconds)
    assert json.loads(json.dumps(asdict(history), allow_nan=False)) == asdict(history)


@pytest.mark.parametrize("channels_last", [False, True])
def test_training_on_from_an_epochs_end_changes_nothing(
    game, images, path, assert_same_weights, channels_last
):
    whole, first, then = game(), game(), game(seed=9)  # other weights: the file's count
    straight = fit_adversarial(whole, images(), options(channels_last=channels_last))
    fit_adversarial(
        first, images(), options(epochs=1, channels_last=channels_last), checkpoint=path
    )
    history = fit_adversarial(then, images(), options(channels_last=channels_last), checkpoint=path)
    assert_same_weights(then, whole)
    assert without_time(history) == without_time(straight)
    assert then.calls["critic"] == 2 * STEPS


@pytest.mark.parametrize(("side", "call"), [("critic", 2), ("generator", 6), ("after", STEPS)])
def test_ctrl_c_finishes_the_step_of_both_sides(
    game, images, path, press_ctrl_c, assert_same_weights, side, call
):
    whole, interrupted, resumed = game(), game(), game(seed=9)
    straight = fit_adversarial(whole, images(), options())
    interrupted.before[side, call] = press_ctrl_c
    assert fit_adversarial(interrupted, images(), options(), checkpoint=path).interrupted
    assert set(interrupted.calls.values()) == {call}
    saved = read_checkpoint(path)
    assert (saved.epoch, saved.step) == divmod(call, STEPS)
    history = fit_adversarial(resumed, images(), options(), checkpoint=path)
    assert_same_weights(resumed, whole)
    assert without_time(history) == without_time(straight)


def test_a_finished_run_is_loaded_and_other_options_are_refused(
    game, images, path, assert_same_weights
):
    model, again = game(), game(seed=9)
    history = fit_adversarial(model, images(), options(), checkpoint=path)
    assert fit_adversarial(again, images(), options(), checkpoint=path) == history
    assert_same_weights(again, model)
    assert again.calls["critic"] == 0
    with pytest.raises(CheckpointError, match=r"options\.critic_learning_rate \(saved 0\.0002"):
        fit_adversarial(game(), images(), options(critic_learning_rate=0.1), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"config\.name \(saved 'wgan_gp', asked 'gan'\)"):
        fit_adversarial(game(kind=GAN), images(), options(), checkpoint=path)


@pytest.mark.parametrize("every", [1, 3, 100])
def test_divergence_names_epoch_step_and_term(game, images, path, monkeypatch, every):
    monkeypatch.setitem(trainer.LOG_EVERY, "cpu", every)

    class Diverging(Noted):
        def critic_loss(self, x):
            terms = super().critic_loss(x)
            bad = float("nan") if self.calls["critic"] == STEPS + 2 else 1.0
            return {**terms, "loss": terms["loss"] * bad, "penalty": terms["penalty"] * bad}

    with pytest.raises(TrainingDiverged) as caught:
        fit_adversarial(game(mixin=Diverging), images(), options(), checkpoint=path)
    error = caught.value
    assert (error.epoch, error.step, error.term) == (2, 2, "critic_penalty")
    for part in (
        f"epoch 2 of 3, step 2 of {STEPS}: the term critic_penalty (critic_loss nan, ",
        "generator_learning_rate below 0.001 or a critic_learning_rate below 0.0002",
        f"{path} still holds the last good state",
    ):
        assert part in str(error)
    assert read_checkpoint(path).epoch == 1


def test_a_generator_that_diverges_alone_keeps_its_weights(game, images):
    class Diverging(Noted):
        def generator_loss(self, n):
            return {"loss": super().generator_loss(n)["loss"] * float("inf")}

    model = game(mixin=Diverging)
    with pytest.raises(TrainingDiverged, match="epoch 1 of 3, step 1 of 4: the term generator_los"):
        fit_adversarial(model, images(), options())
    assert all(p.isfinite().all() for p in model.generator.parameters())


def test_both_sides_must_say_what_to_minimise(game, images):
    class Nameless(Noted):
        def generator_loss(self, n):
            return {"cost": super().generator_loss(n)["loss"]}

    with pytest.raises(ValueError, match="generator_loss must return a term 'loss', got cost"):
        fit_adversarial(game(mixin=Nameless), images(), options())


@pytest.mark.parametrize("kind", [GAN, WGANGP])
def test_bf16_reaches_the_layers_and_not_the_terms(game, images, kind):
    inside, outside = set(), set()

    class Watching(Noted):
        def compare(self, given, made):
            self.critic[0].register_forward_hook(lambda *args: inside.add(args[2].dtype))
            terms = super().compare(given, made)
            outside.update({given.dtype, made.dtype, *(term.dtype for term in terms.values())})
            return terms

    rough = game(kind=kind, mixin=Watching)
    history = fit_adversarial(rough, images(), options(epochs=1, precision="bf16-mixed"))
    assert (inside, outside) == ({torch.bfloat16}, {torch.float32})
    assert {p.dtype for p in rough.parameters()} == {torch.float32}
    exact = fit_adversarial(game(kind=kind), images(), options(epochs=1))
    # bfloat16 keeps 8 bits: 0.4 % an operation
    assert history.curve("critic_loss") == pytest.approx(exact.curve("critic_loss"), rel=0.05)


def test_progress_shows_the_terms_of_both_sides(game, images, capsys):
    fit_adversarial(game(), images(), options(progress=True))
    last = capsys.readouterr().err.split("\r")[-1]
    for part in ("epoch 3/3", "60/60", " images/s", "critic_loss=", "generator_loss="):
        assert part in last


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("critic_learning_rate", 0.0),
        ("generator_learning_rate", float("nan")),
        ("beta1", 1.0),
        ("beta1", -0.1),
        ("precision", "16-mixed"),
    ],
)
def test_an_impossible_option_is_named(field, value):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        options(**{field: value})


def test_what_does_not_fit_is_said_before_training(game, images):
    model = game()
    for changes, message in (
        ({"batch_size": 1}, "batch_size 1 is too small: this model needs 2"),
        ({"batch_size": 23}, "batch_size 23 is larger than the set"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_adversarial(model, images(22), options(**changes))
    with pytest.raises(ValueError, match="the model is for images of shape"):
        fit_adversarial(model, images(shape=(1, 4, 4)), options())
    assert model.calls["critic"] == 0


@pytest.mark.parametrize("kind", [GAN, WGAN, WGANGP])
def test_made_images_move_toward_the_given_ones(game, kind):
    """Of two halves, one dark and one bright, which the first weights know nothing of."""
    dark, bright = torch.full((200, 1, 4, 4), 40), torch.full((200, 1, 4, 4), 215)
    pixels = torch.cat([dark, bright], 1)
    pixels += torch.randint(-20, 21, pixels.shape, generator=torch.Generator().manual_seed(0))
    data = ImageSet("halves", "train", pixels.to(torch.uint8), checksum="halves")
    model = game(kind=kind)
    # Normalised batch by batch, given and made images would have the same brightness.
    model.critic[1] = nn.Identity()

    def distance():
        z = torch.randn(500, 3, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            made = model.eval().decode(z).mean((0, 2, 3))
        return (made - torch.tensor([40, 215]) / 255).abs().max().item()

    before = distance()
    rates = {"generator_learning_rate": 0.02, "critic_learning_rate": 0.02}
    fit_adversarial(model, data, options(epochs=15, batch_size=20, **rates))
    assert before > 0.25
    assert distance() < 0.12


@pytest.mark.parametrize("name", ["gan", "lee_vae"])
def test_a_generator_comes_back_from_its_checkpoint(name, path, assert_same_weights):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = build_generator(name, latent_dim=3, width=1)
    data = unpadded_images("digits", limit=40)
    if name == "lee_vae":
        words = {"batch_size": 10, "device": "cpu", "progress": False, "beta1": 0.5}
        fit(model, data, TrainOptions(epochs=1, **words), checkpoint=path)
    else:
        fit_adversarial(model, data, options(epochs=1), checkpoint=path)
    loaded = load_generator(path)
    assert_same_weights(loaded, model)
    assert not loaded.training
    assert loaded.config == model.config
    with pytest.raises(CheckpointError, match=f"cannot be rebuilt: unknown model '{name}'"):
        load_model(path)


def test_the_betas_of_the_one_loss_loop_are_known_to_its_checkpoint(tiny, images, path):
    plain = {"epochs": 1, "batch_size": 5, "device": "cpu", "progress": False}
    fit(tiny(), images(), TrainOptions(**plain), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"options\.beta1 \(saved 0\.9, asked 0\.5\)"):
        fit(tiny(), images(), TrainOptions(**plain, beta1=0.5), checkpoint=path)
