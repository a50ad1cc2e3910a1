"""Training: loops on Lightning Fabric, checkpoints, resume, Ctrl-C, divergence."""

from eae_core.training.adversarial import fit_adversarial
from eae_core.training.checkpoints import CheckpointError, load_generator, load_model
from eae_core.training.guards import TrainingDiverged
from eae_core.training.loop import fit
from eae_core.training.options import AdversarialOptions, History, LoopOptions, TrainOptions

__all__ = [
    "AdversarialOptions",
    "CheckpointError",
    "History",
    "LoopOptions",
    "TrainOptions",
    "TrainingDiverged",
    "fit",
    "fit_adversarial",
    "load_generator",
    "load_model",
]
