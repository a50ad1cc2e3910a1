"""Two-stage VAE: its objectives, the change of stage, and that training may stop anywhere."""

import math
import os
import signal
from functools import partial

import pytest
import torch
from torch.distributions import Normal

from eae_core.data import load_images
from eae_core.models import TwoStageVAE, TwoStageVAEOptions, build_model, gaussian_kl
from eae_core.models.two_stage import SecondStage, gaussian_code_length
from eae_core.training import TrainOptions, fit, load_model


def built(seed=0, **changes):
    torch.manual_seed(seed)
    options = TwoStageVAEOptions(hidden=8, **changes)
    return build_model("two_stage_vae", (1, 32, 32), 3, width=1, options=options)


def test_code_length_is_minus_the_log_density():
    x, mean = torch.rand(5, 7), torch.rand(5, 7)
    error = (x - mean).square().sum(1).mean()
    expected = -Normal(mean, 0.3).log_prob(x).sum(1).mean()
    found = gaussian_code_length(error, torch.tensor(math.log(0.3)), 7)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_best_gamma_is_the_root_mean_square():
    log_gamma = torch.tensor(math.log(0.2), requires_grad=True)
    gaussian_code_length(torch.tensor(10 * 0.2**2), log_gamma, 10).backward()
    assert log_gamma.grad.item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("second", [False, True])
def test_loss_is_the_bound_of_the_stage_under_way(linear_encoder, grey, second):
    torch.manual_seed(0)
    options = TwoStageVAEOptions(hidden=8, first_gamma=0.5)
    model = TwoStageVAE(linear_encoder(6), grey(0.25), 3, options)
    model.start_epoch(int(second), 2)
    x = torch.rand(9, 1, 2, 2)
    terms = model.loss(x)
    error = (x - 0.25).square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(terms["reconstruction"], error)
    torch.testing.assert_close(terms["kl"], gaussian_kl(*model.posterior(x)))
    assert terms["gamma"].item() == terms["code_gamma"].item() == pytest.approx(0.5)
    size, prefix = (3, "code_") if second else (4, "")
    squares = terms["code_error"] if second else error
    constant = size * (math.log(0.5) + 0.5 * math.log(2 * math.pi))
    expected = 2 * squares + constant + terms[f"{prefix}kl"]
    torch.testing.assert_close(terms["loss"], expected)


def test_each_stage_trains_its_own_weights():
    model = built()
    x = torch.rand(6, 1, 32, 32)
    for epoch in (0, 1):
        model.train()
        model.start_epoch(epoch, 2)
        model.loss(x)["loss"].backward()
        for name, parameter in model.named_parameters():
            trained = parameter.grad is not None
            assert trained == (name.startswith("second.") == (epoch == 1)), name
            parameter.grad = None


def test_the_frozen_stage_keeps_its_running_moments():
    model = built()
    model.start_epoch(1, 2)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    model.train()  # as the loop and the evaluation do
    model.loss(torch.rand(6, 1, 32, 32))
    assert not model.encoder.training
    assert not model.decoder.training
    assert model.second.training
    after = model.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    model.start_epoch(0, 2)  # a new run of the same model
    assert model.encoder.training
    assert all(p.requires_grad for p in model.encoder.parameters())


@pytest.mark.parametrize(
    ("share", "epochs", "first"),
    [(0.5, 2, 1), (0.5, 100, 50), (0.25, 8, 6), (0.01, 5, 4), (0.99, 5, 1), (0.5, 3, 2)],
)
def test_stages_share_the_epochs_and_each_has_one(share, epochs, first):
    model = built(second_stage_share=share)
    stages = []
    for epoch in range(epochs):
        model.start_epoch(epoch, epochs)
        stages.append(model.in_second_stage)
    assert stages == [False] * first + [True] * (epochs - first)


def test_one_epoch_is_not_enough():
    with pytest.raises(ValueError, match="needs 2 epochs or more"):
        built().start_epoch(0, 1)


def test_the_second_stage_learns_the_law_of_codes():
    """Codes from N(m, s^2), of dimension 2, come back out of N(0, I)."""
    torch.manual_seed(0)
    options = TwoStageVAEOptions(hidden=32, layers=1)
    stage = SecondStage(2, options)
    law = Normal(torch.tensor([3.0, -1.0]), torch.tensor([0.5, 2.0]))
    optimizer = torch.optim.Adam(stage.parameters(), lr=5e-3)
    for _ in range(800):
        optimizer.zero_grad()
        terms = stage.loss(law.sample((200,)))
        terms["loss"].backward()
        optimizer.step()
    # The bound is not below the entropy of the law, and close to it.
    entropy = law.entropy().sum().item()
    assert entropy - 0.3 < terms["loss"].item() < entropy + 0.5
    with torch.no_grad():
        u = torch.randn(4000, 2)
        drawn = stage.decoder(u) + terms["code_gamma"] * torch.randn(4000, 2)
    torch.testing.assert_close(drawn.mean(0), law.loc, atol=0.25, rtol=0)
    torch.testing.assert_close(drawn.std(0), law.scale, atol=0.25, rtol=0)


def test_drawn_codes_go_through_the_second_stage_with_its_noise():
    model = built()
    with torch.no_grad():
        for parameter in model.second.decoder.parameters():
            parameter.zero_()
        model.second.decoder.last.bias[:] = torch.tensor([1.0, 2.0, 3.0])
        model.second.log_gamma.fill_(math.log(0.1))
    n = 4000
    z = model.draw_codes(n, generator=torch.Generator().manual_seed(0))
    assert not z.requires_grad
    torch.testing.assert_close(z.mean(0), torch.tensor([1.0, 2.0, 3.0]), atol=0.008, rtol=0)
    # Standard errors of a deviation: 0.1 / sqrt(2 n).
    torch.testing.assert_close(z.std(0), torch.full((3,), 0.1), atol=0.005, rtol=0)
    again = model.draw_codes(n, generator=torch.Generator().manual_seed(0))
    assert torch.equal(z, again)


# --- in training


def training(epochs=4, **changes):
    return TrainOptions(epochs=epochs, batch_size=10, device="cpu", progress=False, **changes)


def test_a_run_reports_the_same_terms_in_both_stages():
    model = built()
    history = fit(model, load_images("digits", limit=40), training())
    assert len(history.curve("code_error")) == len(history.curve("reconstruction")) == 4
    gammas = history.curve("gamma")
    assert gammas[1] > gammas[2] == gammas[3]
    assert gammas[3] == pytest.approx(model.log_gamma.exp().item(), rel=1e-6)
    codes = history.curve("code_gamma")
    assert codes[0] == codes[1] == 1
    assert len({*codes[1:]}) == 3  # learned from the third epoch on


@pytest.mark.parametrize("steps", [2, 4, 8, 9, 13])
def test_a_run_may_stop_before_at_and_after_the_change(tmp_path, steps, monkeypatch):
    """4 steps an epoch, the change after 8: bit for bit the run that was not stopped."""
    images, path = load_images("digits", limit=40), tmp_path / "run.safetensors"
    whole = built()
    straight = fit(whole, images, training())

    stopped = built()
    calls = []
    real = type(stopped).loss

    def loss(self, x):
        calls.append(None)
        if len(calls) == steps:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, x)

    monkeypatch.setattr(TwoStageVAE, "loss", loss)
    assert fit(stopped, images, training(), checkpoint=path).interrupted
    assert len(calls) == steps
    monkeypatch.setattr(TwoStageVAE, "loss", real)
    resumed = built(seed=9)
    history = fit(resumed, images, training(), checkpoint=path)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    for term in ("loss", "reconstruction", "code_kl"):
        assert history.curve(term) == straight.curve(term)
    loaded = load_model(path)
    seeded = torch.Generator().manual_seed
    assert torch.equal(
        loaded.draw_codes(5, generator=seeded(1)), whole.draw_codes(5, generator=seeded(1))
    )


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_the_change_of_stage_survives_compilation(monkeypatch):
    original = torch.compile
    monkeypatch.setattr(torch, "compile", partial(original, backend="eager"))
    images = load_images("digits", limit=20)
    plain, compiled = built(), built()
    try:
        expected = fit(plain, images, training(2))
        history = fit(compiled, images, training(2, compile=True))
    finally:
        torch._dynamo.reset()
    for term in ("loss", "reconstruction", "code_error"):
        assert history.curve(term) == pytest.approx(expected.curve(term), rel=1e-4)
    torch.testing.assert_close(compiled.state_dict(), plain.state_dict(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"second_stage_share": 0.0}, "above 0 and below 1"),
        ({"second_stage_share": 1.0}, "above 0 and below 1"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"first_gamma": 0.0}, "first_gamma must be finite and above 0"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        TwoStageVAEOptions(**options)
