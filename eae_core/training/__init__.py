"""Training: loops on Lightning Fabric, checkpoints, resume, Ctrl-C, divergence."""

from eae_core.training.checkpoints import CheckpointError, load_model
from eae_core.training.guards import TrainingDiverged, TrainingError
from eae_core.training.loop import fit
from eae_core.training.options import History, LoopOptions, TrainOptions

__all__ = [
    "CheckpointError",
    "History",
    "LoopOptions",
    "TrainOptions",
    "TrainingDiverged",
    "TrainingError",
    "fit",
    "load_model",
]
