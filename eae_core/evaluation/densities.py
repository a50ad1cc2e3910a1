r"""Ex-post densities: fitted to the codes of a trained model, to draw new codes from.

All three of the papers are mixtures of Gaussians,
:math:`p(z) = \sum_j \pi_j\, N(z; \mu_j, \Sigma_j)`, of one component or of ten, so one class
draws from them and measures them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eae_core.errors import check_integer, nearest
from eae_core.evaluation.distances import check_codes
from eae_core.seeds import check_seed

REVISION = 1  # 1: as first recorded; see eae_book.revisions

#: What :func:`fit_density` knows, with the number of components each fits.
DENSITIES = {"standard": 0, "gaussian": 1, "mixture": 10}


class DegenerateCodesError(ValueError):
    """Codes that fill no volume, so that they have no density."""


@dataclass(frozen=True, eq=False)
class Density:
    """A mixture of Gaussians on R^d, in float64 on the CPU; see :func:`fit_density`."""

    name: str  #: "standard", "gaussian" or "mixture"
    weights: Tensor = field(repr=False)  #: (c,), they sum to one
    means: Tensor = field(repr=False)  #: (c, d)
    factors: Tensor = field(repr=False)  #: (c, d, d) lower triangular, covariance = L L^T
    fitted_codes: int = 0  #: number of codes it was fitted to; 0 where nothing was fitted
    iterations: int = 0  #: of expectation maximisation
    converged: bool = True  #: whether those were enough

    @property
    def dimension(self) -> int:
        """Of the codes, d."""
        return self.means.shape[1]

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draw n >= 1 independent codes (n, d), float32; the same on every device, shuffled."""
        generator = torch.Generator().manual_seed(seed)
        component = torch.multinomial(
            self.weights, check_integer("n", n), replacement=True, generator=generator
        )
        noise = torch.randn(n, self.dimension, generator=generator, dtype=torch.float64)
        codes = torch.empty_like(noise)
        for j, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            rows = component == j
            codes[rows] = mean + noise[rows] @ factor.T
        return codes.float()

    def log_density(self, z: Tensor) -> Tensor:
        """Logarithm of p at finite codes z (n, d), in nats: (n,) float64 on the CPU.

        Example:
            >>> density = fit_density("standard", torch.zeros(2, 1))
            >>> density.log_density(torch.zeros(1, 1))  # -log(2 pi) / 2
            tensor([-0.9189], dtype=torch.float64)
        """
        if z.ndim != 2 or z.shape[1] != self.dimension:
            raise ValueError(f"codes must be n x {self.dimension}, got shape {tuple(z.shape)}")
        z = z.detach().double().cpu()
        if not z.isfinite().all():
            raise ValueError("codes hold NaN or infinity")
        terms = torch.empty(len(z), len(self.weights), dtype=torch.float64)
        for j, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            white = torch.linalg.solve_triangular(factor, (z - mean).T, upper=False)  # (d, n)
            terms[:, j] = self.weights[j].log() - factor.diagonal().log().sum()
            terms[:, j] -= 0.5 * white.square().sum(0)
        return terms.logsumexp(1) - 0.5 * self.dimension * math.log(2 * math.pi)


def fit_density(
    name: str, codes: Tensor, *, seed: int = 0, reg_covar: float = 1e-6, max_iter: int = 2000
) -> Density:
    r"""Fit a density to codes z (n, d), which a model has made of its training images.

    * ``"standard"``: N(0, I), whatever the codes; only their dimension counts.
    * ``"gaussian"``: :math:`N(\bar z, S)` with the full sample covariance (the papers' MVG).
    * ``"mixture"``: ten Gaussians of full covariance by scikit-learn's expectation maximisation,
      until the mean log likelihood gains less than 0.001 nats (the papers' GMM).

    The codes are centred and divided by the root of their mean variance before the fit.

    Args:
        name: one of :data:`DENSITIES`.
        codes: (n, d), at least :func:`codes_needed`.
        seed: of the mixture's start.
        reg_covar: added to each fitted variance, in units of the codes' mean variance.
        max_iter: most steps of expectation maximisation. Where they end before it has settled, a
            ConvergenceWarning says so and :attr:`Density.converged` is False.

    Raises:
        TypeError, ValueError: unknown name, no n x d codes, NaN or infinity, too few codes.
        DegenerateCodesError: codes in a subspace, with ``reg_covar`` too small to fill the rest.

    Source:
        Ghosh et al. (2020), section 4; Ghose et al. (2020), section 5, both with ten components.

    Example:
        >>> codes = 3 + 2 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
        >>> fit_density("gaussian", codes).sample(5000, seed=1).std(0).round()
        tensor([2., 2.])
    """
    if name not in DENSITIES:
        raise ValueError(f"unknown density {name!r}; {nearest(name, DENSITIES)}")
    if not 0 <= reg_covar < math.inf:
        raise ValueError(f"reg_covar must be finite and at least 0, got {reg_covar}")
    z = check_codes(codes)
    n, d = z.shape
    eye = torch.eye(d, dtype=torch.float64)[None]
    one, zero = eye.new_ones(1), eye.new_zeros(1, d)
    if name == "standard":
        return Density(name, one, zero, eye)
    if n < (needed := codes_needed(name, d)):
        raise ValueError(
            f"a density {name!r} in d = {d} needs at least {needed} codes, d + 1 and all its "
            f"parameters for each component ({DENSITIES[name]}), got {n}: use more images or "
            "fewer dimensions"
        )
    centre, scale = z.mean(0), float(z.var(0).mean().sqrt())
    if not scale > 0:
        raise DegenerateCodesError(f"all {n} codes are equal: no density can be fitted to them")
    white = (z - centre) / scale
    steps, converged = 1, True
    if name == "gaussian":
        weights, means = one, white.mean(0, keepdim=True)
        covariances = torch.cov(white.T).reshape(1, d, d) + reg_covar * eye
    else:
        mixture = _fit_mixture(white.numpy(), seed, reg_covar, max_iter)
        arrays = (mixture.weights_, mixture.means_, mixture.covariances_)
        weights, means, covariances = map(torch.from_numpy, arrays)
        steps, converged = int(mixture.n_iter_), bool(mixture.converged_)
    factors = _cholesky(covariances, reg_covar)
    return Density(name, weights, centre + scale * means, scale * factors, n, steps, converged)


def codes_needed(name: str, d: int) -> int:
    """Fewest codes (n, d) for a density: d + 1 a covariance, and n d at least its free parameters.

    Example:
        >>> codes_needed("gaussian", 16), codes_needed("mixture", 16)
        (17, 170)
    """
    components = DENSITIES[name]
    parameters = components * (d + d * (d + 1) // 2) + components - 1
    return max(components * (d + 1), math.ceil(parameters / d), 1)


def _fit_mixture(z: np.ndarray, seed: int, reg_covar: float, max_iter: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(
        DENSITIES["mixture"],
        tol=1e-3,
        reg_covar=reg_covar,
        max_iter=check_integer("max_iter", max_iter),
        random_state=check_seed(seed),
    )
    with warnings.catch_warnings():
        # Both come again below, in words that say what to do: too few different codes for as many
        # starting points, and no convergence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            mixture.fit(z)
        except ValueError as error:
            if "ill-defined" not in str(error):  # scikit-learn's word for a singular covariance
                raise
            raise DegenerateCodesError(
                f"a component of the mixture fills no volume with reg_covar = {reg_covar:g} "
                f"({error}): raise reg_covar, or look for codes that are equal"
            ) from error
    if not mixture.converged_:
        warnings.warn(
            f"the mixture has not settled after {max_iter} steps: raise max_iter",
            ConvergenceWarning,
            stacklevel=3,
        )
    return mixture


def _cholesky(covariances: Tensor, reg_covar: float) -> Tensor:
    lower: Tensor
    lower, failed = torch.linalg.cholesky_ex(covariances)
    # Rounding can leave a zero eigenvalue at 1e-17, and its factor is noise.
    smallest = lower.diagonal(dim1=1, dim2=2).square().min()
    largest = covariances.diagonal(dim1=1, dim2=2).max()
    if failed.any() or not smallest > 1e-14 * largest:
        raise DegenerateCodesError(
            f"the codes lie in a subspace: their covariance is singular with reg_covar = "
            f"{reg_covar:g}. Raise reg_covar, e.g. 1e-6 of the mean variance"
        )
    return lower
