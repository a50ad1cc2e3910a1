"""Terms that make a code Gaussian, one a file, each a function and a module of the same options.

A term maps codes z (n, d) to a scalar that is smaller the more the batch looks like N(0, I), to
whatever it is that the term sees. All compute in float32 or better, also under autocast; with
``group=`` every rank has the value of one process, and the mean of the gradients over the ranks is
its gradient; with ``reduction="sum"`` the value is n times as large.
"""

from eae_core.regularizers.calibration import Calibrated, calibrated
from eae_core.regularizers.common import Regularizer
from eae_core.regularizers.covariance import CovarianceLoss, covariance_loss
from eae_core.regularizers.cramer_wold import CramerWoldLoss, cramer_wold_loss
from eae_core.regularizers.energy import EnergyLoss, energy_loss
from eae_core.regularizers.entropy_radial import EntropyRadialLoss, entropy_radial_loss
from eae_core.regularizers.knn import EntropyLoss, KNNEntropyLoss, knn_entropy_loss
from eae_core.regularizers.koleo import KoLeoLoss, koleo_loss
from eae_core.regularizers.mmd import MMDLoss, mmd_loss
from eae_core.regularizers.radial import RadialLoss, radial_loss
from eae_core.regularizers.registry import REGULARIZERS, build_regularizer
from eae_core.regularizers.sigreg import SIGRegLoss, sigreg_loss
from eae_core.regularizers.sliced_wasserstein import SlicedWassersteinLoss, sliced_wasserstein_loss
from eae_core.regularizers.visreg import VISRegLoss, visreg_loss
from eae_core.regularizers.wristband import WristbandLoss, wristband_loss

__all__ = [
    "REGULARIZERS", "Calibrated", "CovarianceLoss", "CramerWoldLoss", "EnergyLoss",
    "EntropyLoss", "EntropyRadialLoss", "KNNEntropyLoss", "KoLeoLoss", "MMDLoss", "RadialLoss",
    "Regularizer",
    "SIGRegLoss", "SlicedWassersteinLoss", "VISRegLoss", "WristbandLoss", "build_regularizer",
    "calibrated", "covariance_loss", "cramer_wold_loss", "energy_loss", "entropy_radial_loss",
    "knn_entropy_loss", "koleo_loss", "mmd_loss", "radial_loss", "sigreg_loss",
    "sliced_wasserstein_loss", "visreg_loss", "wristband_loss",
]  # fmt: skip
