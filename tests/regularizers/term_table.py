"""The terms as the tests go through them."""

from functools import partial

import torch

from eae_core import regularizers as r


def directions(d: int, slices: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(d, slices, generator=generator, dtype=torch.float64)


def terms(d: int) -> dict:
    """Every term and its forms, with fixed directions where it draws them, as functions of z."""
    fixed = {"directions": directions(d)}
    return {
        "knn_entropy": r.knn_entropy_loss,
        "knn_entropy k=3": partial(r.knn_entropy_loss, k=3),
        "entropy_radial": r.entropy_radial_loss,
        "radial": r.radial_loss,
        "koleo": r.koleo_loss,
        "koleo k=2": partial(r.koleo_loss, k=2),
        "sigreg": partial(r.sigreg_loss, **fixed),
        "visreg": partial(r.visreg_loss, **fixed),
        "wristband": partial(r.wristband_loss, batches=16),
        "sliced_wasserstein": partial(r.sliced_wasserstein_loss, **fixed),
        "cramer_wold": r.cramer_wold_loss,
        "cramer_wold exact": partial(r.cramer_wold_loss, form="exact"),
        "mmd": r.mmd_loss,
        "mmd biased": partial(r.mmd_loss, unbiased=False),
        "energy": r.energy_loss,
        "energy biased": partial(r.energy_loss, unbiased=False),
        "covariance": r.covariance_loss,
        "covariance vicreg": partial(r.covariance_loss, form="vicreg"),
    }


NAMES = list(terms(1))
SLICED = ("sigreg", "visreg", "sliced_wasserstein")


def codes(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Codes of wrong scale and place, so that every part of every term has something to say."""
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return z * torch.linspace(0.7, 1.6, d, dtype=dtype) + 0.1
