"""The guards on their own."""

import signal

import pytest
import torch

from eae_core.training.guards import (
    LossLog,
    compiler_failure,
    first_nonfinite,
    first_nonfinite_output,
    stop_requests,
)


def test_a_log_goes_on_from_saved_rows():
    whole, first = LossLog(steps=3), LossLog(steps=3)
    terms = [{"loss": torch.tensor(x), "part": torch.tensor(-x)} for x in (1.0, 2.0, 6.0)]
    for each in terms:
        whole.add(each)
    first.add(terms[0])
    second = LossLog(3, first.names, first.rows.clone())
    for each in terms[1:]:
        second.add(each)
    assert torch.equal(second.rows, whole.rows)
    assert second.means() == whole.means() == {"loss": 3.0, "part": -3.0}
    assert second.last() == {"loss": 6.0, "part": -6.0}


def test_an_empty_log_has_nothing_to_say():
    log = LossLog(steps=3)
    assert log.first_bad() is None
    assert log.last() == {}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_log_finds_the_first_bad_step(bad):
    log = LossLog(steps=4)
    for value in (1.0, bad, 2.0, bad):
        log.add({"loss": torch.tensor(0.5), "part": torch.tensor(value)})
    step, terms = log.first_bad()
    assert step == 2
    assert terms["loss"] == 0.5
    assert terms["part"] == pytest.approx(bad, nan_ok=True)


def test_means_are_in_double_precision():
    log = LossLog(steps=1000)
    for _ in range(1000):
        log.add({"loss": torch.tensor(0.1)})
    # A float32 running sum would be off by about 1e-6.
    assert log.means()["loss"] == pytest.approx(float(torch.tensor(0.1)), rel=1e-14)


def test_a_handler_that_python_did_not_install_gives_way_to_pythons(monkeypatch):
    set_handlers = []

    def fake(number, handler):
        set_handlers.append(handler)

    monkeypatch.setattr(signal, "signal", fake)  # returns None: the old one is not Python's
    monkeypatch.setattr(signal, "getsignal", lambda _: None)
    with stop_requests() as stop:
        assert not stop.is_set()
    assert set_handlers[3:] == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]


def test_a_signal_that_is_ignored_stays_ignored():
    """nohup and a shell's background jobs ask for this."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_requests() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_layer_that_breaks_is_named_and_the_hooks_are_gone(tiny):
    model = tiny()
    x = torch.rand(5, 2, 4, 4)
    assert first_nonfinite_output(model, x) is None
    model.decoder.weight.data[0, 0] = float("inf")
    assert first_nonfinite_output(model, x) == "decoder"
    assert first_nonfinite_output(model, x * float("nan")) == "encoder.0"
    assert not any(module._forward_hooks for module in model.modules())


def test_the_first_weight_or_moment_that_breaks_is_named(tiny):
    model = tiny()
    assert first_nonfinite(model.state_dict()) is None
    model.norm.running_var[1] = float("nan")
    assert first_nonfinite(model.state_dict()) == "norm.running_var"


def test_only_errors_of_the_compiler_blame_the_compiler():
    assert compiler_failure(ValueError("mine")) is None
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = type("Oops", (Exception,), {"__module__": "torch._inductor.exc"})("x")
    assert "compile=False. It said: outer" in str(compiler_failure(wrapped))
