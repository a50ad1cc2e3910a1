"""What ends a run before its last step: signals, and a loss that is no longer a number."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP")  # of which Windows lacks the last


class TrainingError(RuntimeError):
    """A training that could not begin, or not go on; the message says how to mend it."""


class TrainingDiverged(TrainingError):  # noqa: N818 (it reads as what happened)
    """A loss term, or a weight, became infinite or not a number.

    It was in step ``step`` of epoch ``epoch``, both from 1, and ``term`` the first that was not
    finite; ``last_good`` is the checkpoint from before, if there is one.
    """

    def __init__(
        self, message: str, *, epoch: int, step: int, term: str, last_good: Path | None = None
    ) -> None:
        kept = f"; {last_good} still holds the last good state" if last_good else ""
        super().__init__(f"training diverged in {message}{kept}.")
        self.epoch = epoch
        self.step = step
        self.term = term


class LossLog:
    """Loss terms of the steps of one epoch, or of those left after ``rows`` (steps done, terms).

    They stay on the device, so that no step has to wait until they are known. A term that a step
    does not return counts as 0 there.
    """

    def __init__(
        self, steps: int, names: list[str] | None = None, rows: Tensor | None = None
    ) -> None:
        self.names, self.done, self._steps = list(names or []), 0, steps
        self._values = torch.empty(0)  # (steps, terms) after the first step
        if rows is not None and len(rows):
            self.done = len(rows)
            self._values = torch.cat([rows, rows.new_zeros(steps - len(rows), rows.shape[1])])

    @property
    def rows(self) -> Tensor:
        """(steps done, terms)."""
        return self._values[: self.done]

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Note the terms of the next step."""
        values = torch.stack([term.detach() for term in terms.values()])
        if not self.done:
            self.names = list(terms)
            self._values = values.new_zeros(self._steps, len(terms), dtype=torch.float64)
        elif new := [name for name in terms if name not in self.names]:
            self.names += new
            zeros = self._values.new_zeros(self._steps, len(new))
            self._values = torch.cat([self._values, zeros], 1)
        if self.names == list(terms):
            self._values[self.done] = values
        else:
            for name, value in zip(terms, values, strict=True):
                self._values[self.done, self.names.index(name)] = value
        self.done += 1

    def last(self) -> dict[str, float]:
        """The terms of the last step."""
        return dict(zip(self.names, self.rows[-1].tolist(), strict=True)) if self.done else {}

    def means(self) -> dict[str, float]:
        """Mean of each term over the steps done."""
        return dict(zip(self.names, self.rows.cpu().mean(0).tolist(), strict=True))

    def first_bad(self) -> tuple[int, dict[str, float]] | None:
        """The first step (from 1) with a term that is not finite, and its terms."""
        if not self.done:
            return None
        bad = (~self.rows.isfinite()).any(1).nonzero()
        if not len(bad):
            return None
        step = int(bad[0])
        return step + 1, dict(zip(self.names, self.rows[step].tolist(), strict=True))


def check_named(terms: Mapping[str, Tensor], call: str) -> None:
    """Raise TypeError or ValueError unless these terms, which a call returned, have a "loss"."""
    if not isinstance(terms, Mapping):
        raise TypeError(
            f"{call} must return a dictionary of terms, such as {{'loss': loss}}, got "
            f"{type(terms).__name__}"
        )
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim:
            shown = tuple(term.shape) if isinstance(term, Tensor) else type(term).__name__
            raise TypeError(f"the term {name!r} of {call} must be a scalar tensor, got {shown}")
    if "loss" not in terms:
        raise ValueError(f"{call} must return a term 'loss', got {', '.join(terms) or 'none'}")


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Within the block Ctrl-C, SIGTERM and SIGHUP set the event instead of ending the process.

    The second one raises KeyboardInterrupt at once. What is ignored (``nohup``) stays so. Only the
    main thread hears signals: in another one the event is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(signal_number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    heard = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    heard = [number for number in heard if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, note)) for number in heard]
    try:
        yield stop
    finally:
        for number, handler in before:
            if handler is None:  # one that Python did not install, and cannot put back
                interrupts = number == signal.SIGINT
                handler = signal.default_int_handler if interrupts else signal.SIG_DFL
            signal.signal(number, handler)


def first_nonfinite_output(model: Any, x: Tensor) -> str | None:
    """Name of the first layer whose output on x is not finite, found by computing the loss again.

    For a loss that refused to be computed, of which therefore no term is known.
    """
    found: list[str] = []

    def look(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and not output.isfinite().all():
            found.append(name)

    layers = ((name, module) for name, module in model.named_modules() if name)
    handles = [module.register_forward_hook(partial(look, name)) for name, module in layers]
    try:
        with torch.no_grad(), suppress(Exception):  # it will fail as it did before
            model.loss(x)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name of the first of these parameters and running moments that is not finite."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def unwrapped(model: Any) -> Any:
    """The model itself, without what torch.compile, DataParallel, DDP or Fabric put around it.

    Example:
        >>> model = nn.Linear(2, 2)
        >>> unwrapped(torch.compile(nn.DataParallel(model))) is model
        True
    """
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif type(model).__name__ in ("DataParallel", "DistributedDataParallel", "_FabricModule"):
            model = model.module
        else:
            return model


def compiler_failure(error: BaseException) -> TrainingError | None:
    """What to say if torch.compile itself failed, rather than the code it was given."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.startswith(("torch._dynamo", "torch._inductor")):
            said = " ".join(str(error).split("\n\n")[0].split())  # without the pages that follow
            return TrainingError(
                "torch.compile failed: it needs a C++ compiler (g++ or clang), on a GPU Triton "
                f"too. Install it, or train with compile=False. It said: {said}"
            )
        cause = cause.__cause__
    return None
