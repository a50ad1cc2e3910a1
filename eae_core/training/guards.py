"""What ends a run before its last step: Ctrl-C, and a loss that is no longer a number."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, nn

from eae_core.models import Autoencoder


class TrainingDiverged(RuntimeError):  # noqa: N818 (it reads as what happened)
    """A loss term, or a weight, became infinite or not a number.

    Args:
        message: where, what, and what to try.
        epoch: counted from 1.
        step: within the epoch, counted from 1.
        term: the first that was not finite.
        last_good: the checkpoint from before, if there is one.
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
    """Loss terms of the steps of one epoch.

    They stay on the device, so that no step has to wait until they are known.

    Args:
        steps: of the epoch, which is the number of rows.
        names: of the terms, if some steps were done before.
        rows: (steps done, terms), their values.

    Example:
        >>> log = LossLog(steps=2)
        >>> log.add({"loss": torch.tensor(3.0)})
        >>> log.add({"loss": torch.tensor(float("inf"))})
        >>> log.means(), log.first_bad()
        ({'loss': inf}, (2, {'loss': inf}))
    """

    def __init__(
        self, steps: int, names: list[str] | None = None, rows: Tensor | None = None
    ) -> None:
        self.names = names or []
        self.done = 0 if rows is None else len(rows)
        self._values = torch.empty(0)  # (steps, terms) after the first step
        if rows is not None and self.done:
            self._values = rows.new_zeros(steps, rows.shape[1])
            self._values[: self.done] = rows
        self._steps = steps

    @property
    def rows(self) -> Tensor:
        """(steps done, terms)."""
        return self._values[: self.done]

    def add(self, terms: dict[str, Tensor]) -> None:
        """Note the terms of the next step."""
        values = torch.stack([term.detach() for term in terms.values()])
        if not self.done:
            self.names = list(terms)
            self._values = values.new_zeros(self._steps, len(terms), dtype=torch.float64)
        elif self.names != list(terms):
            raise ValueError(
                f"the objective returned {', '.join(terms)} after {', '.join(self.names)}"
            )
        self._values[self.done] = values
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


def check_named(terms: dict[str, Tensor], call: str) -> None:
    """Raise ValueError unless these terms, which a call returned, say what to minimise.

    Example:
        >>> check_named({"cost": torch.tensor(1.0)}, "loss(x)")
        Traceback (most recent call last):
        ...
        ValueError: loss(x) must return a term 'loss', got cost
    """
    if "loss" not in terms:
        raise ValueError(f"{call} must return a term 'loss', got {', '.join(terms) or 'none'}")


@contextmanager
def finish_step_on_interrupt() -> Iterator[threading.Event]:
    """Within the block Ctrl-C sets the event instead of raising; a second one raises at once.

    Only the main thread hears signals: in another one the event is never set.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(signal_number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        # None: a handler that Python did not install, and cannot put back.
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)


def first_nonfinite_output(model: Autoencoder, x: Tensor) -> str | None:
    """Name of the first layer whose output on x is not finite, found by computing the loss again.

    For a loss that refused to be computed, of which therefore no term is known.
    """
    found: list[str] = []

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def look(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and not output.isfinite().all():
                found.append(name)

        return module.register_forward_hook(look)

    handles = [watch(name, module) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad(), suppress(Exception):  # it will fail as it did before
            model.loss(x)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None


def first_nonfinite_weight(model: nn.Module) -> str | None:
    """Name of the first parameter or running moment that is not finite."""
    for name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            return name
    return None


def compiler_failure(error: BaseException) -> RuntimeError | None:
    """What to say if torch.compile itself failed, rather than the code it was given."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.startswith(("torch._dynamo", "torch._inductor")):
            said = " ".join(str(error).split("\n\n")[0].split())  # without the pages that follow
            return RuntimeError(
                "torch.compile failed: it needs a C++ compiler (g++ or clang), on a GPU Triton "
                f"too. Install it, or train with compile=False. It said: {said}"
            )
        cause = cause.__cause__
    return None
