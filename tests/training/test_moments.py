"""Running moments computed anew at the end of a training."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from eae_book.constraints import build_constraint
from eae_core.data import load_images
from eae_core.models import build_model
from eae_core.training import TrainOptions, fit
from eae_core.training.checkpoints import read_checkpoint
from eae_core.training.loop import FEW_STEPS, averaging_layers, recompute_moments

MOMENTS = ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")


def options(**changes):
    values = {
        "epochs": 2,
        "batch_size": 5,
        "device": "cpu",
        "progress": False,
        "recompute_moments": "auto",
    }
    return TrainOptions(**{**values, **changes})


class Sum(nn.Module):
    """A loss from layers alone."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)

    def loss(self, x):
        return {"loss": self(x).sum()}


def test_moments_are_what_update_bn_of_torch_gives():
    generator = torch.Generator().manual_seed(0)
    batches = list(torch.randn(30, 4, generator=generator).mul(3).add(5).split(10))
    ours, torchs = (
        Sum(nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None)) for _ in range(2)
    )
    torchs.load_state_dict(ours.state_dict())
    recompute_moments(ours.train(), batches)
    update_bn(batches, torchs)
    torch.testing.assert_close(ours.state_dict(), torchs.state_dict())
    assert [layer.momentum for layer in averaging_layers(ours).values()] == [0.1, None]


@pytest.mark.parametrize("name", ["batch_norm", "l1_norm", "unit_mean"])
def test_every_constraint_with_a_running_average_is_computed_anew(name):
    model = Sum(build_constraint(name, 3))
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).mul(4).add(7)
    before = recompute_moments(model.train(), [x])
    assert {key.rpartition(".")[2][:7] for key in before} <= {"running", "num_bat"}
    expected = model(x)
    torch.testing.assert_close(model.eval()(x), expected, rtol=0.03, atol=1e-4)


def test_after_few_steps_a_model_evaluates_as_it_was_trained():
    """Fifteen steps on digits: without, the moments still hold a fifth of their first values."""
    digits = load_images("digits", limit=1500)
    x = digits.batch(torch.arange(500))
    variance, error = {}, {}
    for asked in (False, "auto"):
        torch.manual_seed(0)
        model = build_model("eae", (1, 32, 32), latent_dim=4, width=2)
        fit(model, digits, options(epochs=1, batch_size=100, recompute_moments=asked))
        with torch.no_grad():
            variance[asked] = float(model.encode(x).var(0).mean())
            error[asked] = float((model(x) - x).square().flatten(1).sum(1).mean())
    assert variance["auto"] == pytest.approx(1, abs=0.15)
    assert abs(variance[False] - 1) > 2 * abs(variance["auto"] - 1)
    assert error["auto"] < error[False]


@pytest.mark.parametrize(("asked", "done"), [("auto", True), (True, True), (False, False)])
def test_it_is_done_where_it_is_asked_for_and_said(tiny, images, asked, done):
    model, plain = tiny(), tiny()
    history = fit(model, images(), options(recompute_moments=asked))
    fit(plain, images(), options(recompute_moments=False))
    assert history.notes == (["running moments computed anew over 4 batches"] if done else [])
    assert torch.equal(model.decoder.weight, plain.decoder.weight)
    assert torch.equal(model.norm.running_var, plain.norm.running_var) == (not done)


def test_many_steps_need_none_unless_asked(tiny, images):
    enough = -(-FEW_STEPS // 4)  # epochs of four steps
    assert fit(tiny(), images(), options(epochs=enough)).notes == []
    assert fit(tiny(), images(), options(epochs=enough - 1)).notes != []
    assert fit(tiny(), images(), options(epochs=enough, recompute_moments=True)).notes != []


@pytest.mark.parametrize("more", [4, 30])
def test_training_on_after_it_changes_nothing(tiny, images, tmp_path, assert_same_weights, more):
    """Moments of the training itself go on, also where the longer run needs no recomputation."""
    path, whole, first, then = tmp_path / "a.safetensors", tiny(), tiny(), tiny(seed=9)
    fit(whole, images(), options(epochs=more))
    fit(first, images(), options(epochs=2), checkpoint=path)
    assert read_checkpoint(path).moments.keys() == set(MOMENTS)
    fit(then, images(), options(epochs=more), checkpoint=path)
    assert_same_weights(then, whole)


def test_a_finished_run_comes_back_with_its_moments(tiny, images, tmp_path, assert_same_weights):
    path, model, again = tmp_path / "a.safetensors", tiny(), tiny(seed=9)
    fit(model, images(), options(), checkpoint=path)
    fit(again, images(), options(), checkpoint=path)
    assert_same_weights(again, model)
    assert again.calls == 0


def test_a_run_killed_before_it_makes_up_for_it(
    tiny, images, tmp_path, monkeypatch, assert_same_weights
):
    path, whole, killed, then = tmp_path / "a.safetensors", tiny(), tiny(), tiny(seed=9)
    fit(whole, images(), options())
    with monkeypatch.context() as patch:
        patch.setattr("eae_core.training.loop._Minimization.finish", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit(killed, images(), options(), checkpoint=path)
    assert read_checkpoint(path).epoch == 2
    fit(then, images(), options(), checkpoint=path)
    assert then.calls == 4  # a pass over the data, and no step
    assert_same_weights(then, whole)
