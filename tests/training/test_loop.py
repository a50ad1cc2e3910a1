"""The fit loop: what it computes, and what it says when it cannot."""

import csv
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import torch
from lightning_fabric.loggers.csv_logs import CSVLogger

from eae_core.seeds import derived_seed, epoch_order
from eae_core.training import TrainOptions, fit


def options(**changes):
    values = {"epochs": 2, "batch_size": 5, "device": "cpu", "progress": False}
    return TrainOptions(**{"recompute_moments": False, **values, **changes})


def test_the_loop_is_adam_on_shuffled_batches(tiny, images, assert_same_weights):
    data, model, by_hand = images(22), tiny(), tiny()
    fit(model, data, options(epochs=3, learning_rate=0.01, learning_rate_decay=0.5, seed=7))

    with torch.random.fork_rng([]):
        torch.manual_seed(derived_seed(7, 0))
        adam = torch.optim.Adam(by_hand.parameters())
        for epoch in range(3):
            adam.param_groups[0]["lr"] = 0.01 * 0.5**epoch
            order = epoch_order(22, 7, epoch + 1)
            for step in range(4):  # 4 batches of 5; the last 2 images are left out
                adam.zero_grad()
                by_hand.loss(data.batch(order[5 * step : 5 * step + 5]))["loss"].backward()
                adam.step()
    assert_same_weights(model, by_hand)


def test_a_model_is_told_when_an_epoch_starts_also_after_a_resume(
    tiny, images, tiny_kind, tmp_path
):
    told = []

    class Told(tiny_kind):
        def start_epoch(self, epoch, epochs):
            assert self.training
            told.append((epoch, epochs, self.calls))

    path = tmp_path / "told.safetensors"
    fit(tiny(kind=Told), images(22), options(), checkpoint=path)
    assert told == [(0, 2, 0), (1, 2, 4)]
    fit(tiny(kind=Told), images(22), options(epochs=3), checkpoint=path)
    assert told[2:] == [(2, 3, 0)]


def test_history_holds_the_epochs_means_of_every_term(tiny, images, tiny_kind):
    seen = []

    class Noted(tiny_kind):
        def loss(self, x):
            terms = super().loss(x)
            seen.append({name: term.item() for name, term in terms.items()})
            return terms

    history = fit(tiny(kind=Noted), images(22), options())
    assert [epoch["epoch"] for epoch in history.epochs] == [1, 2]
    for name in ("loss", "reconstruction", "penalty"):
        values = [terms[name] for terms in seen]
        expected = [sum(values[:4]) / 4, sum(values[4:]) / 4]
        assert history.curve(name) == pytest.approx(expected, rel=1e-12)
    assert history.seconds == sum(history.curve("seconds")) > 0
    assert history.images_per_second == pytest.approx(40 / history.seconds)
    assert history.peak_memory_bytes > 10**7
    assert not history.interrupted
    assert json.loads(json.dumps(asdict(history), allow_nan=False)) == asdict(history)


def test_data_of_any_kind_train_the_same_weights(tiny, images, assert_same_weights):
    data, expected = images(), tiny()
    fit(expected, data, options())
    floats = data.images.float() / 255
    for other in (
        data.images,
        floats,
        floats.movedim(1, 3).numpy(),
        torch.utils.data.TensorDataset(data.images, torch.arange(22)),
        torch.utils.data.Subset(floats, range(22)),
    ):
        model = tiny()
        fit(model, other, options())
        assert_same_weights(model, expected)


def test_what_is_no_data_is_said_before_training(tiny):
    with pytest.raises(TypeError, match="training takes a tensor, an array, a torch Dataset"):
        fit(tiny(), "mnist", options())


def test_whole_numbers_of_numpy_are_whole_numbers():
    made = options(epochs=np.int64(3), batch_size=np.int32(5), seed=np.uint8(1))
    assert made == options(epochs=3, batch_size=5, seed=1)
    assert json.loads(json.dumps(asdict(made)))["epochs"] == 3


def test_loggers_get_the_terms_of_each_epoch(tiny, images, tmp_path):
    logger = CSVLogger(tmp_path, name="log", version="")
    history = fit(tiny(), images(), options(), logger=logger)
    with (tmp_path / "log" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "8"]
    for term in ("loss", "reconstruction", "penalty"):
        assert [float(row[term]) for row in rows] == pytest.approx(history.curve(term))


def test_the_loss_falls(tiny, images):
    curve = fit(tiny(), images(), options(epochs=20, learning_rate=0.01)).curve("reconstruction")
    assert curve[-1] < 0.8 * curve[0]


def test_a_seed_decides_the_weights(tiny, images, assert_same_weights):
    models = [tiny(), tiny(), tiny()]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        torch.rand(1)  # what was drawn before does not matter
        fit(model, images(), options(seed=seed))
    assert_same_weights(models[0], models[1])
    assert not torch.equal(models[0].decoder.weight, models[2].decoder.weight)


def test_the_callers_random_numbers_go_on_as_if_nothing_had_been_trained(tiny, images):
    before = torch.get_rng_state()
    fit(tiny(), images(), options())
    assert torch.equal(torch.get_rng_state(), before)


def test_every_epoch_has_its_own_order_of_all_images():
    orders = [epoch_order(50, s, e).tolist() for s in (0, 1) for e in (1, 2)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4


@pytest.mark.parametrize("loaded", [False, True])
def test_every_epoch_draws_its_own_augmentation(tiny, tiny_kind, loaded):
    seen = []

    class Noise(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, index):
            return torch.rand(2, 4, 4)

    class Seen(tiny_kind):
        def loss(self, x):
            seen.append(x)
            return super().loss(x)

    data = torch.utils.data.DataLoader(Noise(), 5) if loaded else Noise()
    fit(tiny(kind=Seen), data, options())
    assert len(torch.cat(seen).unique(dim=0)) == 2 * 20


def test_the_model_ends_in_evaluation_mode_with_float32_weights(tiny, images):
    model = tiny()
    fit(model, images(), options(precision="bf16-mixed", channels_last=True))
    assert not model.training
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_bf16_reaches_the_layers_and_not_the_terms(tiny, images, tiny_kind):
    inside, outside = [], []

    class Noted(tiny_kind):
        def loss(self, x):
            self.decoder.register_forward_hook(lambda *args: inside.append(args[2].dtype))
            terms = super().loss(x)
            outside.extend([x.dtype, terms["reconstruction"].dtype])
            return terms

    history = fit(tiny(kind=Noted), images(), options(epochs=1, precision="bf16-mixed"))
    assert set(inside) == {torch.bfloat16}
    assert set(outside) == {torch.float32}
    exact = fit(tiny(), images(), options(epochs=1))
    # bfloat16 keeps 8 bits: 0.4 % an operation.
    assert history.curve("reconstruction") == pytest.approx(exact.curve("reconstruction"), rel=0.02)


def test_channels_last_changes_the_layout_and_not_the_result(tiny, images, tiny_kind):
    layouts = []

    class Noted(tiny_kind):
        def loss(self, x):
            weight = self.encoder[0].weight
            layouts.append(
                [t.is_contiguous(memory_format=torch.channels_last) for t in (x, weight)]
            )
            return super().loss(x)

    plain, other = tiny(), tiny(kind=Noted)
    expected = fit(plain, images(), options())
    history = fit(other, images(), options(channels_last=True))
    assert all(all(pair) for pair in layouts)
    # Not the weights: the gradient of a bias in front of batch normalisation is zero but for
    # rounding, of which Adam makes full steps. They change no loss.
    for term in ("loss", "reconstruction", "penalty"):
        assert history.curve(term) == pytest.approx(expected.curve(term), rel=1e-4)


def test_progress_shows_terms_and_speed_on_stderr(tiny, images, capsys):
    fit(tiny(), images(), options(progress=True))
    out, err = capsys.readouterr()
    assert out == ""
    last = err.split("\r")[-1]
    for part in ("epoch 2/2", "40/40", " images/s", "loss=", "reconstruction=", "penalty="):
        assert part in last


def test_without_progress_nothing_is_printed(tiny, images, capsys):
    fit(tiny(), images(), options())
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "data", "message"),
    [
        ({"batch_size": 2}, {}, "batch_size 2 is too small: this model needs 3 images"),
        ({"batch_size": 23}, {}, r"batch_size 23 is larger than the set: tiny \(train\) has 22"),
        ({}, {"shape": (1, 4, 4)}, r"images of shape \(2, 4, 4\) .* tiny has \(1, 4, 4\)"),
        ({"device": "gpu"}, {}, "unknown device 'gpu'"),
    ],
)
def test_what_does_not_fit_is_said_before_training(tiny, images, changes, data, message):
    model = tiny()
    with pytest.raises(ValueError, match=message):
        fit(model, images(**data), options(**changes))
    assert model.calls == 0


def test_a_model_may_say_nothing_of_its_batch(tiny, images, tiny_kind):
    class Silent(tiny_kind):
        minimum_batch_size = 1

    assert len(fit(tiny(kind=Silent), images(), options(batch_size=2)).epochs) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 0),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate_decay", 0.0),
        ("learning_rate_decay", 1.1),
        ("precision", "16-mixed"),
        ("recompute_moments", "sometimes"),
    ],
)
def test_an_impossible_option_is_named(field, value):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        options(**{field: value})


def test_an_unknown_term_names_the_known_ones(tiny, images):
    history = fit(tiny(), images(), options())
    with pytest.raises(KeyError, match=r"no term 'entropy' .* reconstruction, penalty"):
        history.curve("entropy")


def test_a_loss_must_have_its_sum(tiny, images, tiny_kind):
    class Nameless(tiny_kind):
        def loss(self, x):
            return {"cost": super().loss(x)["loss"]}

    with pytest.raises(ValueError, match="must return a term 'loss', got cost"):
        fit(tiny(kind=Nameless), images(), options())


def test_a_term_that_comes_and_goes_counts_as_zero_elsewhere(tiny, images, tiny_kind):
    class Moody(tiny_kind):
        def loss(self, x):
            terms = super().loss(x)
            if self.calls in (6, 7):
                terms["rare"] = torch.tensor(float(self.calls))
            if self.calls == 8:
                del terms["penalty"]
            return terms

    history = fit(tiny(kind=Moody), images(), options())
    assert history.terms == ["loss", "reconstruction", "penalty", "rare"]
    assert history.curve("rare") == [0, 13 / 4]
    assert history.curve("penalty")[1] > 0
