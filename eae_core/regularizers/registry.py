"""All terms by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from eae_core.errors import nearest
from eae_core.regularizers.common import Regularizer
from eae_core.regularizers.covariance import CovarianceLoss
from eae_core.regularizers.cramer_wold import CramerWoldLoss
from eae_core.regularizers.energy import EnergyLoss
from eae_core.regularizers.entropy_radial import EntropyRadialLoss
from eae_core.regularizers.knn import KNNEntropyLoss
from eae_core.regularizers.koleo import KoLeoLoss
from eae_core.regularizers.mmd import MMDLoss
from eae_core.regularizers.radial import RadialLoss
from eae_core.regularizers.sigreg import SIGRegLoss
from eae_core.regularizers.sliced_wasserstein import SlicedWassersteinLoss
from eae_core.regularizers.visreg import VISRegLoss
from eae_core.regularizers.wristband import WristbandLoss

REVISION = 1  # 1: as first recorded; see eae_book.revisions

#: name to what builds the module
REGULARIZERS: dict[str, Callable[..., Regularizer]] = {
    "knn_entropy": KNNEntropyLoss,
    "entropy_radial": EntropyRadialLoss,
    "radial": RadialLoss,
    "koleo": KoLeoLoss,
    "sigreg": SIGRegLoss,
    "visreg": VISRegLoss,
    "wristband": WristbandLoss,
    "sliced_wasserstein": SlicedWassersteinLoss,
    "cramer_wold": CramerWoldLoss,
    "mmd": MMDLoss,
    "energy": EnergyLoss,
    "covariance": CovarianceLoss,
}


def regularizer_options(name: str) -> list[str]:
    """Names of the options of a term, such as k, floor, reduction and group of ``"koleo"``."""
    if name not in REGULARIZERS:
        raise ValueError(f"unknown regularizer {name!r}; {nearest(name, REGULARIZERS)}")
    return list(inspect.signature(REGULARIZERS[name]).parameters)


def build_regularizer(name: str, **options: Any) -> Regularizer:
    """A term by its name, as a module of codes z (n, d).

    Args:
        name: a key of ``REGULARIZERS``.
        options: those of its module.

    Raises:
        ValueError: unknown name; the nearest is named.
        TypeError: an option that the term does not have.

    Example:
        >>> import torch
        >>> build_regularizer("sigreg", slices=64)(torch.randn(100, 8)).shape
        torch.Size([])
        >>> build_regularizer("sigrek")
        Traceback (most recent call last):
        ...
        ValueError: unknown regularizer 'sigrek'; did you mean 'sigreg'?
    """
    known = regularizer_options(name)
    if odd := [option for option in options if option not in known]:
        raise TypeError(f"{name} has no option {odd[0]!r}; it has {', '.join(known)}")
    return REGULARIZERS[name](**options)
