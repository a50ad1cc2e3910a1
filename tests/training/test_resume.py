"""Checkpoints in use: resume, Ctrl-C, divergence, and what is refused."""

import os
import signal
import threading
from dataclasses import asdict

import pytest
import torch

from eae_core.training import CheckpointError, TrainingDiverged, TrainOptions, fit, run, trainer
from eae_core.training.checkpoints import read_checkpoint

STEPS = 4  # of an epoch: 22 images in batches of 5


def options(**changes):
    values = {"epochs": 4, "batch_size": 5, "learning_rate": 0.01, "learning_rate_decay": 0.9}
    values |= {"device": "cpu", "progress": False, "recompute_moments": False}
    return TrainOptions(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "tiny.safetensors"


def without_time(history):
    kept = asdict(history)
    epochs = [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in kept["epochs"]]
    return epochs, kept["interrupted"]


@pytest.mark.parametrize("channels_last", [False, True])
def test_training_on_from_an_epochs_end_changes_nothing(
    tiny, images, path, assert_same_weights, channels_last
):
    whole, first, then = tiny(), tiny(), tiny(seed=9)  # other weights: the file's count
    straight = fit(whole, images(), options(channels_last=channels_last))
    fit(first, images(), options(epochs=2, channels_last=channels_last), checkpoint=path)
    history = fit(then, images(), options(channels_last=channels_last), checkpoint=path)
    assert_same_weights(then, whole)
    assert without_time(history) == without_time(straight)
    assert then.calls == 2 * STEPS


@pytest.mark.parametrize("steps_done", [1, STEPS - 1, STEPS, STEPS + 2, 4 * STEPS - 1])
def test_going_on_after_ctrl_c_changes_nothing(
    tiny, images, path, press_ctrl_c, assert_same_weights, steps_done
):
    whole, stopped, resumed = tiny(), tiny(), tiny(seed=9)
    straight = fit(whole, images(), options())

    stopped.before_loss[steps_done] = press_ctrl_c
    history = fit(stopped, images(), options(), checkpoint=path)
    assert history.interrupted
    assert stopped.calls == steps_done  # the step was finished, no other begun
    assert len(history.epochs) == steps_done // STEPS
    saved = read_checkpoint(path)
    assert (saved.epoch, saved.step) == divmod(steps_done, STEPS)
    assert history.images_per_second == pytest.approx(5 * steps_done / history.seconds)

    history = fit(resumed, images(), options(), checkpoint=path)
    assert_same_weights(resumed, whole)
    assert without_time(history) == without_time(straight)
    assert resumed.calls == 4 * STEPS - steps_done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_scheduler_or_a_closed_terminal_is_as_ctrl_c(
    tiny, images, path, assert_same_weights, number
):
    whole, stopped, resumed = tiny(), tiny(), tiny(seed=9)
    fit(whole, images(), options())
    stopped.before_loss[STEPS + 2] = lambda: os.kill(os.getpid(), number)
    assert fit(stopped, images(), options(), checkpoint=path).interrupted
    assert stopped.calls == STEPS + 2
    assert signal.getsignal(number) is signal.SIG_DFL
    fit(resumed, images(), options(), checkpoint=path)
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_model_is_made_ready_stops_before_the_first_step(
    tiny, images, path, tiny_kind, press_ctrl_c, number
):
    class Slow(tiny_kind):
        def to(self, *args, **kwargs):
            os.kill(os.getpid(), number)
            return super().to(*args, **kwargs)

    model = tiny(kind=Slow)
    history = fit(model, images(), options(), checkpoint=path)
    assert (history.interrupted, history.epochs, model.calls) == (True, [], 0)
    assert not path.exists()


def test_a_resumption_is_said(tiny, images, path, capsys):
    fit(tiny(), images(), options(epochs=1), checkpoint=path)
    history = fit(tiny(), images(), options(progress=True), checkpoint=path)
    assert history.notes == [f"going on from {path}: 1 of 4 epochs were done"]
    assert history.notes[0] in capsys.readouterr().err
    assert fit(tiny(), images(), options(), checkpoint=path, resume=False).notes == []


@pytest.mark.parametrize("loaded", [False, True])
def test_a_dataset_and_a_loader_resume_to_the_same_bits(
    tiny, images, path, press_ctrl_c, assert_same_weights, loaded
):
    class Noisy(torch.utils.data.Dataset):
        """Augmented by torch's generator."""

        def __len__(self):
            return 22

        def __getitem__(self, index):
            return (images().batch([index])[0] + 0.1 * torch.rand(2, 4, 4)).clamp(0, 1)

    def data():
        if not loaded:
            return Noisy()
        return torch.utils.data.DataLoader(Noisy(), 5, shuffle=True, drop_last=True)

    whole, stopped, resumed = tiny(), tiny(), tiny(seed=9)
    fit(whole, data(), options(epochs=2))
    stopped.before_loss[STEPS + 2] = press_ctrl_c
    fit(stopped, data(), options(epochs=2), checkpoint=path)
    fit(resumed, data(), options(epochs=2), checkpoint=path)
    assert_same_weights(resumed, whole)


def test_a_run_may_be_interrupted_again_and_again(
    tiny, images, path, press_ctrl_c, assert_same_weights
):
    whole = tiny()
    straight = fit(whole, images(), options())
    for _ in range(5):  # three steps each
        model = tiny()
        model.before_loss[3] = press_ctrl_c
        assert fit(model, images(), options(), checkpoint=path).interrupted
    history = fit(model, images(), options(), checkpoint=path)
    assert_same_weights(model, whole)
    assert without_time(history) == without_time(straight)


def test_ctrl_c_needs_no_checkpoint_and_leaves_the_handler_as_it_was(tiny, images, press_ctrl_c):
    model = tiny()
    model.before_loss[2] = press_ctrl_c
    assert fit(model, images(), options()).interrupted
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_raises_at_once_and_leaves_the_last_checkpoint(
    tiny, images, path, press_ctrl_c
):
    model = tiny()
    model.before_loss[STEPS + 2] = lambda: (press_ctrl_c(), press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        fit(model, images(), options(), checkpoint=path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    saved = read_checkpoint(path)
    assert (saved.epoch, saved.step) == (1, 0)
    assert os.listdir(path.parent) == [path.name]


def test_another_thread_can_train_too(tiny, images):
    result = []
    thread = threading.Thread(target=lambda: result.append(fit(tiny(), images(), options())))
    thread.start()
    thread.join()
    assert len(result[0].epochs) == 4


def test_a_finished_run_is_loaded_and_not_trained(tiny, images, path, assert_same_weights):
    model, again = tiny(), tiny(seed=9)
    history = fit(model, images(), options(), checkpoint=path)
    written = path.stat().st_mtime_ns
    assert fit(again, images(), options(progress=True), checkpoint=path) == history
    assert again.calls == 0
    assert not again.training
    assert path.stat().st_mtime_ns == written
    assert_same_weights(again, model)


def test_without_resume_the_run_starts_anew(tiny, images, path, assert_same_weights):
    fit(tiny(seed=9), images(), options(epochs=2), checkpoint=path)
    model, fresh = tiny(), tiny()
    fit(model, images(), options(epochs=2), checkpoint=path, resume=False)
    fit(fresh, images(), options(epochs=2))
    assert_same_weights(model, fresh)
    assert torch.equal(read_checkpoint(path).weights["decoder.bias"], fresh.decoder.bias)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 6},
        {"learning_rate": 0.02},
        {"learning_rate_decay": 1.0},
        {"seed": 1},
        {"precision": "bf16-mixed"},
        {"channels_last": True},
        {"compile": True},
    ],
)
def test_other_options_are_refused_by_name(tiny, images, path, change):
    fit(tiny(), images(), options(epochs=1), checkpoint=path)
    model = tiny()
    (name,) = change
    with pytest.raises(CheckpointError, match=rf"tiny\.safetensors .* options\.{name} \(saved "):
        fit(model, images(), options(**change), checkpoint=path)
    assert model.calls == 0


def test_other_images_and_another_model_are_refused_by_name(tiny, images, path):
    fit(tiny(), images(), options(epochs=1), checkpoint=path)
    with pytest.raises(
        CheckpointError, match=r"images\.checksum \(saved 'tiny-1', asked 'other'\)"
    ):
        fit(tiny(), images(checksum="other"), options(), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"images\.number \(saved 22, asked 25\)"):
        fit(tiny(), images(25), options(), checkpoint=path)
    with pytest.raises(
        CheckpointError, match=r"config\.options\.penalty_weight \(saved 0\.1, asked 0\.2\)"
    ):
        fit(tiny(penalty_weight=0.2), images(), options(), checkpoint=path)


def test_all_differences_are_named_at_once(tiny, images, path):
    fit(tiny(), images(), options(epochs=2), checkpoint=path)
    with pytest.raises(CheckpointError, match=r"options\.seed .*; epochs \(saved 2, asked 1"):
        fit(tiny(), images(), options(epochs=1, seed=3), checkpoint=path)


def test_another_device_matters_only_while_something_is_left_to_compute(
    tiny, images, path, monkeypatch
):
    fit(tiny(), images(), options(epochs=2), checkpoint=path)
    saved = read_checkpoint(path)
    saved.options["device"] = "cuda"
    monkeypatch.setattr(run, "read_checkpoint", lambda _: saved)
    assert len(fit(tiny(), images(), options(epochs=2), checkpoint=path).epochs) == 2
    with pytest.raises(CheckpointError, match=r"options\.device \(saved 'cuda', asked 'cpu'\)"):
        fit(tiny(), images(), options(epochs=3), checkpoint=path)


def test_a_folder_that_cannot_be_written_is_said_before_training(tiny, images, tmp_path):
    (tmp_path / "runs").write_text("a file in place of the folder")
    model = tiny()
    with pytest.raises(OSError, match=r"cannot write .*runs .*: choose a place that is writable"):
        fit(model, images(), options(), checkpoint=tmp_path / "runs" / "tiny.safetensors")
    assert model.calls == 0


@pytest.mark.parametrize("every", [1, 3, 100])
def test_divergence_names_epoch_step_and_term(tiny, images, path, tiny_kind, monkeypatch, every):
    """However rarely the loop looks, it reports the step where it began."""
    monkeypatch.setitem(trainer.LOG_EVERY, "cpu", every)

    class Diverging(tiny_kind):
        def loss(self, x):
            terms = super().loss(x)
            bad = terms["penalty"] * (float("nan") if self.calls == STEPS + 2 else 1.0)
            return {**terms, "loss": terms["loss"] + bad, "penalty": bad}

    with pytest.raises(TrainingDiverged) as caught:
        fit(tiny(kind=Diverging), images(), options(), checkpoint=path)
    error = caught.value
    assert (error.epoch, error.step, error.term) == (2, 2, "penalty")
    message = str(error)
    assert f"epoch 2 of 4, step 2 of {STEPS}: the term penalty (loss nan, recon" in message
    assert "learning_rate below 0.01" in message
    assert f"{path} still holds the last good state" in message
    assert read_checkpoint(path).epoch == 1


def test_divergence_of_the_first_epoch_promises_no_checkpoint(tiny, images, path, tiny_kind):
    class Diverging(tiny_kind):
        def loss(self, x):
            return {"loss": super().loss(x)["loss"] * float("inf")}

    fit(tiny(), images(), options(epochs=1), checkpoint=path)  # another run's, to be replaced
    model = tiny(kind=Diverging)
    with pytest.raises(TrainingDiverged, match="the term loss") as caught:
        fit(model, images(), options(), checkpoint=path, resume=False)
    assert "still holds" not in str(caught.value)
    assert all(p.isfinite().all() for p in model.parameters())  # seen before the update


def test_ctrl_c_in_a_diverged_run_does_not_save_it(
    tiny, images, path, tiny_kind, press_ctrl_c, monkeypatch
):
    monkeypatch.setitem(trainer.LOG_EVERY, "cpu", 100)

    class Diverging(tiny_kind):
        def loss(self, x):
            terms = super().loss(x)
            return {name: t * (float("nan") if self.calls > 5 else 1) for name, t in terms.items()}

    model = tiny(kind=Diverging)
    model.before_loss[7] = press_ctrl_c
    with pytest.raises(TrainingDiverged, match="epoch 2 of 4, step 2"):
        fit(model, images(), options(), checkpoint=path)
    assert read_checkpoint(path).epoch == 1


def test_weights_that_broke_under_a_finite_loss_are_not_saved(tiny, images, path, tiny_kind):
    class Diverging(tiny_kind):
        def loss(self, x):
            terms = super().loss(x)
            # sqrt(0) is finite, its gradient is not.
            rough = (self.decoder.bias * (self.calls < 2 * STEPS)).square().sum().sqrt()
            return {"loss": terms["loss"] + rough}

    with pytest.raises(
        TrainingDiverged, match=r"epoch 2 of 4, step 4 of 4: the weight decoder\.bi"
    ):
        fit(tiny(kind=Diverging), images(), options(), checkpoint=path)
    assert read_checkpoint(path).epoch == 1


@pytest.mark.parametrize("every", [1, 100])
def test_a_loss_that_refuses_nan_counts_as_diverged(tiny, images, tiny_kind, monkeypatch, every):
    """As the entropy estimator does, so that no term is known."""
    monkeypatch.setitem(trainer.LOG_EVERY, "cpu", every)

    class Refusing(tiny_kind):
        def loss(self, x):
            terms = super().loss(x * (float("inf") if self.calls >= 2 else 1.0))
            if not terms["loss"].isfinite():
                raise ValueError("not finite")
            return terms

    with pytest.raises(
        TrainingDiverged, match=r"step 3 of 4: the output of encoder\.0 is"
    ) as caught:
        fit(tiny(kind=Refusing), images(), options())
    assert str(caught.value.__cause__) == "not finite"


def test_an_error_of_the_model_passes_with_the_place(tiny, images):
    def fail():
        raise ValueError("something else")

    model = tiny()
    model.before_loss[STEPS + 3] = fail
    with pytest.raises(ValueError, match="something else") as caught:
        fit(model, images(), options())
    assert caught.value.__notes__ == ["In training, epoch 2, step 3."]


def test_what_comes_between_epochs_changes_nothing_and_comes_again_after_a_resume(
    tiny, images, path, assert_same_weights
):
    def told(epoch):
        calls.append(epoch)
        torch.rand(3)

    calls, plain, told_of = [], tiny(), tiny()
    fit(plain, images(22), options(epochs=3))
    fit(told_of, images(22), options(epochs=2), checkpoint=path, after_epoch=told)
    again = tiny()
    fit(again, images(22), options(epochs=3), checkpoint=path, after_epoch=told)
    assert calls == [1, 2, 2, 3]
    assert_same_weights(again, plain)
