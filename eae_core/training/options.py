"""What goes into training besides a model and images, and what comes out besides its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from eae_core.data import ImageSet


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """What every loop is told: shuffled batches, the last incomplete one of an epoch left out.

    Raises:
        ValueError: an impossible option.
    """

    epochs: int
    batch_size: int = 100
    seed: int = 0  #: of the order of the images and of the model's random draws
    device: str = "auto"  #: see :func:`eae_core.hardware.resolve_device`
    precision: Literal["32-true", "bf16-mixed"] = "32-true"  #: weights are float32 in both
    channels_last: bool = False  #: memory layout, which many GPUs prefer under bf16
    progress: bool = True  #: a bar on stderr

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
        if self.precision not in ("32-true", "bf16-mixed"):
            raise ValueError(f"precision must be 32-true or bf16-mixed, got {self.precision!r}")

    def check_adam(self, *rates: str) -> None:
        """Raise ValueError unless these learning rates and ``beta1`` are possible."""
        for name in rates:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        beta1 = getattr(self, "beta1", 0.0)
        if not 0 <= beta1 < 1:
            raise ValueError(f"beta1 must be at least 0 and below 1, got {beta1}")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(LoopOptions):
    """How to train: Adam on shuffled batches, the last incomplete batch of an epoch left out.

    Raises:
        ValueError: an impossible option.

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

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_adam("learning_rate")
        if not 0 < self.learning_rate_decay <= 1:
            raise ValueError(
                f"learning_rate_decay must be above 0 and at most 1, got {self.learning_rate_decay}"
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
    interrupted: bool  #: ended by Ctrl-C

    def curve(self, term: str) -> list[float]:
        """The epochs' means of a term, in its own unit."""
        if self.epochs and term not in self.epochs[0]:
            raise KeyError(
                f"no term {term!r} in the history; there are {', '.join(self.epochs[0])}"
            )
        return [epoch[term] for epoch in self.epochs]


def check_sizes(model: nn.Module, images: ImageSet, options: LoopOptions) -> None:
    """Raise if model, images and batch size do not fit together.

    Raises:
        ValueError: a batch too small for the model or larger than the set, or another image shape.
    """
    size, smallest = options.batch_size, getattr(model, "minimum_batch_size", 1)
    if size < smallest:
        raise ValueError(
            f"batch_size {size} is too small: this model needs {smallest} images a batch or more"
        )
    if size > len(images):
        raise ValueError(
            f"batch_size {size} is larger than the set: {images.name} ({images.split}) has "
            f"{len(images)} images here"
        )
    shape = getattr(model, "config", {}).get("image_shape")
    if shape is not None and tuple(shape) != tuple(images.image_shape):
        raise ValueError(
            f"the model is for images of shape {tuple(shape)} (channels, height, width), "
            f"{images.name} has {tuple(images.image_shape)}"
        )
