"""What goes into training besides a model and data, and what comes out besides its weights."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from numbers import Real
from typing import Literal

from torch import nn

from eae_core.data import Source
from eae_core.models.autoencoders import check_shape
from eae_core.seeds import check_seed

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """What every loop is told; TypeError or ValueError for an option that is not possible."""

    epochs: int
    batch_size: int = 100  #: of the whole batch, however many devices share it
    seed: int = 0  #: of the order of the data and of the model's random draws
    device: str = "auto"  #: see :func:`eae_core.hardware.resolve_device`
    devices: int = 1  #: of one machine, each with a process of its own
    num_nodes: int = 1  #: machines
    strategy: str = "auto"  #: Lightning Fabric's: auto, ddp or ddp_find_unused_parameters_true
    precision: Literal["32-true", "bf16-mixed"] = "32-true"  #: weights are float32 in both
    channels_last: bool = False  #: memory layout, which many GPUs prefer under bf16
    progress: bool = True  #: a bar on stderr

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "devices", "num_nodes"):
            object.__setattr__(self, name, _count(name, getattr(self, name)))
        object.__setattr__(self, "seed", check_seed(self.seed))
        for name in ("channels_last", "progress", "compile"):
            if not isinstance(value := getattr(self, name, False), bool):
                raise TypeError(f"{name} must be True or False, got {value!r}")
        for name, known in (("precision", PRECISIONS), ("strategy", STRATEGIES)):
            if (value := getattr(self, name)) not in known:
                choice = f"{', '.join(known[:-1])} or {known[-1]}"
                raise ValueError(f"{name} must be {choice}, got {value!r}")
        if self.devices > 1 and ":" in str(self.device):
            raise ValueError(
                f"device must be auto, cpu or cuda where there are several, got {self.device!r}"
            )

    def check_adam(self, *rates: str) -> None:
        """Raise TypeError or ValueError unless these learning rates and ``beta1`` are possible."""
        for name in (*rates, "beta1", "learning_rate_decay"):
            if isinstance(value := getattr(self, name, 0.0), bool) or not isinstance(value, Real):
                raise TypeError(f"{name} must be a number, got {value!r}")
        for name in rates:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        beta1 = getattr(self, "beta1", 0.0)
        if not 0 <= beta1 < 1:
            raise ValueError(f"beta1 must be at least 0 and below 1, got {beta1}")


def _count(name: str, value: object) -> int:
    """The value as an int, NumPy's integers included; ValueError unless it is at least 1."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return number


@dataclass(frozen=True, kw_only=True)
class TrainOptions(LoopOptions):
    """How to train: Adam on shuffled batches, the last incomplete batch of an epoch left out.

    Example:
        >>> TrainOptions(epochs=0)
        Traceback (most recent call last):
        ...
        ValueError: epochs must be an integer of at least 1, got 0
    """

    learning_rate: float = 1e-3  #: Adam's, in the first epoch
    learning_rate_decay: float = 1.0  #: factor from one epoch to the next
    beta1: float = 0.9  #: Adam's memory of gradients
    compile: bool = False  #: torch.compile the loss: a minute first, faster steps afterwards
    #: compute running moments anew at the end, over all data; "auto": after fewer than 100 steps
    recompute_moments: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_adam("learning_rate")
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(
                f"learning_rate_decay must be above 0 and at most 1, got {self.learning_rate_decay}"
            )
        if self.recompute_moments not in (True, False, "auto"):
            raise ValueError(
                f"recompute_moments must be True, False or 'auto', got {self.recompute_moments!r}"
            )


@dataclass(frozen=True)
class History:
    """What happened in training; ``dataclasses.asdict`` makes plain JSON of it.

    Example:
        >>> epochs = [{"epoch": 1, "loss": 9.0}, {"epoch": 2, "loss": 7.5}]
        >>> History(epochs, 4.0, 500.0, 10**8, interrupted=False).curve("loss")
        [9.0, 7.5]
    """

    epochs: list[dict[str, float]]  #: for each: epoch (from 1), mean of every term, seconds
    seconds: float  #: in the loop, earlier parts of a resumed run included
    images_per_second: float  #: over those seconds, compilation included
    peak_memory_bytes: int  #: see :func:`eae_core.hardware.peak_memory_bytes`
    interrupted: bool  #: ended by Ctrl-C, SIGTERM or SIGHUP
    notes: list[str] = field(default_factory=list, compare=False)  #: what else should be known

    @property
    def terms(self) -> list[str]:
        """The terms that were noted in any epoch."""
        names = dict.fromkeys(name for epoch in self.epochs for name in epoch)
        return [name for name in names if name not in ("epoch", "seconds")]

    def curve(self, term: str) -> list[float]:
        """The epochs' means of a term, in its own unit; 0 in an epoch that had no such term."""
        if self.epochs and term not in (known := [*self.terms, "epoch", "seconds"]):
            raise KeyError(f"no term {term!r} in the history; there are {', '.join(known)}")
        return [epoch.get(term, 0.0) for epoch in self.epochs]


def check_sizes(model: nn.Module, source: Source, options: LoopOptions) -> None:
    """Raise ValueError unless model, data and batch size fit together."""
    size, smallest = options.batch_size, getattr(model, "minimum_batch_size", 1)
    if size < smallest:
        raise ValueError(
            f"batch_size {size} is too small: this model needs {smallest} images a batch or more"
        )
    if size > len(source):
        raise ValueError(
            f"batch_size {size} is larger than the set: {source.name} ({source.split}) has "
            f"{len(source)} images here; make it {len(source)} or less"
        )
    check_shape(model, source)
