r"""What Gaussian posteriors of a decoder can reach at best, from its Jacobian alone.

For images x = d(z_0) and :math:`q(z \mid x) = N(z_0, s^2 S)` the bound of
:mod:`eae_book.studies.encoder_bounds` is, to second order in s,

.. math:: \frac d2 \log 2\pi + \frac12 \lVert z_0 \rVert^2
    + \frac12 \operatorname{tr}(M S) - \frac12 \log \det S - \frac d2, \qquad M = J^\top J + s^2 I .

It is convex in S, and each family of S has its optimum in closed form. So a fitted encoder's bound
splits into what its family cannot do and what its fit did not reach.

The second order is not always enough. Where M has eigenvalues near s^2 the best S reaches as far as
the prior, across a decoder that is not linear over such a distance. Damping,
:math:`S = (J^\top J + c^2 I)^{-1}` with c > s, keeps it near; with codes drawn from it and decoded
that is a bound with no approximation in it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp, vmap
from tqdm import tqdm

from eae_core.errors import check_integer

REVISION = 1  # 1: as first recorded; see eae_book.revisions

LOG_TWO_PI = math.log(2 * math.pi)
TANGENTS = 1024  # pushed through the decoder at a time
DAMPINGS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # candidates for c; s where they are below it


@dataclass(frozen=True)
class SampledBound:
    """A bound in nats from codes drawn from :math:`N(z_0, s^2 (J^T J + c^2 I)^{-1})`."""

    damping: float  #: c
    bound: float
    standard_error: float


@dataclass(frozen=True)
class PosteriorBounds:
    """Best bounds in nats of posteriors centred on the code, see :func:`posterior_bounds`.

    From tight to loose: ``full <= diagonal`` and ``full <= constant_full``, and both are at most
    ``constant_diagonal``.
    """

    full: float  #: any covariance for each image: the entropy of the decoder itself
    diagonal: float  #: a diagonal covariance for each image
    constant_full: float  #: one full covariance for all images
    constant_diagonal: float  #: one diagonal covariance for all images
    standard_error: float  #: of ``full``
    sampled: tuple[SampledBound, ...]  #: one for each damping, with no linearisation
    samples: int
    scale: float

    @property
    def tightest(self) -> SampledBound:
        """The smallest of the sampled bounds."""
        return min(self.sampled, key=lambda found: found.bound)


def posterior_bounds(
    decode: Callable[[Tensor], Tensor],
    latent_dim: int,
    *,
    samples: int = 500,
    scale: float = 1e-4,
    dampings: Sequence[float] = DAMPINGS,
    batch_size: int = 100,
    seed: int = 0,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: bool = False,
) -> PosteriorBounds:
    r"""The best bound of each family of covariances, with no network to fit.

    With :math:`M = J^\top J + s^2 I` at each code, the optima are

    .. math:: S = M^{-1}, \qquad S_{jj} = 1 / M_{jj}, \qquad S = (\mathbb E M)^{-1},
        \qquad S_{jj} = 1 / \mathbb E M_{jj}

    for a full, a diagonal, a constant full and a constant diagonal covariance. The diagonal loses
    :math:`\frac12 \mathbb E (\sum_j \log M_{jj} - \log \det M)`, at least 0 by Hadamard's
    inequality and 0 only where the columns of the Jacobian are orthogonal. The two constant ones
    are measured on the codes that they are fitted to, so they lean to the low side.

    ``sampled`` draws :math:`z \sim N(z_0, s^2 (J^\top J + c^2 I)^{-1})` and decodes it. It is a
    bound whatever the decoder and c. At c = s it lies at ``full`` where the decoder is linear over
    the width of the posterior; elsewhere a few images can raise it without limit.

    Args:
        decode: codes (n, d) to images (n, ...), each image from its own code: a network in
            evaluation mode.
        latent_dim: d.
        samples: codes from N(0, I), at least 2.
        scale: s, the standard deviation of the pixels' noise.
        dampings: values of c; any below s stands for s itself.
        batch_size: codes at a time.
        seed: of the codes; the same on every device.
        device: where ``decode`` computes.
        dtype: of the codes that ``decode`` is given; all after the Jacobian is in float64.
        progress: show a bar.

    Raises:
        ValueError: an impossible size or scale, or a decoder that gives NaN or infinity.

    Source:
        Struminsky et al., appendix A, for the full covariance; the other three follow likewise.

    Example:
        >>> found = posterior_bounds(lambda z: z @ torch.tensor([[2.0, 0, 0], [0, 1, 1]]), 2)
        >>> abs(found.diagonal - found.full) < 1e-6  # orthogonal columns
        True
    """
    check_scale(scale)
    check_integer("latent_dim", latent_dim)
    if check_integer("samples", samples) < 2:
        raise ValueError("samples must be at least 2: one value has no spread")
    cs = sorted({max(float(c), scale) for c in dampings})
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randn(samples, latent_dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(samples, latent_dim, generator=generator, dtype=torch.float64)
    identity = torch.eye(latent_dim, dtype=torch.float64, device=device)
    sum_of_metrics = torch.zeros_like(identity)
    parts = []
    batches = list(zip(codes.split(batch_size), noise.split(batch_size), strict=True))
    for z, epsilon in tqdm(batches, desc="posteriors", disable=not progress):
        z, epsilon = z.to(device), epsilon.to(device)
        metric = decoder_metric(decode, z.to(dtype))
        sum_of_metrics += metric.sum(0)
        rows = _closed_forms(z, metric + scale**2 * identity)
        for c in cs:
            factor = _factor(metric + c**2 * identity)
            rows.append(_sampled(decode, z, epsilon, factor, scale, dtype))
        parts.append(torch.stack(rows))
    prior, full, diagonal, *sampled = torch.cat(parts, 1).cpu()  # (samples,) each
    mean_metric = (sum_of_metrics / samples + scale**2 * identity).cpu()
    root = math.sqrt(samples)
    return PosteriorBounds(
        full=float(full.mean()),
        diagonal=float(diagonal.mean()),
        constant_full=float(prior.mean() + 0.5 * torch.logdet(mean_metric)),
        constant_diagonal=float(prior.mean() + 0.5 * mean_metric.diagonal().log().sum()),
        standard_error=float(full.std() / root),
        sampled=tuple(
            SampledBound(c, float(values.mean()), float(values.std() / root))
            for c, values in zip(cs, sampled, strict=True)
        ),
        samples=samples,
        scale=scale,
    )


def _closed_forms(z: Tensor, metric: Tensor) -> list[Tensor]:
    """-log p(z), and the bounds of the best full and the best diagonal covariance: (n,) each."""
    prior = 0.5 * z.shape[1] * LOG_TWO_PI + 0.5 * z.square().sum(1)
    full = prior + _half_log_det(_factor(metric))
    return [prior, full, prior + 0.5 * metric.diagonal(dim1=1, dim2=2).log().sum(1)]


def _factor(metric: Tensor) -> Tensor:
    """C lower triangular with M = C C^T, (n, d, d)."""
    factor, failed = torch.linalg.cholesky_ex(metric)
    if failed.any():
        raise ValueError(
            "J^T J + s^2 I is not positive definite: the decoder gives NaN or infinity, or "
            "rounding hides s^2; raise the scale"
        )
    lower: Tensor = factor
    return lower


def _half_log_det(factor: Tensor) -> Tensor:
    """Half the logarithm of det C C^T, (n,)."""
    return factor.diagonal(dim1=1, dim2=2).log().sum(1)


def _sampled(
    decode: Callable[[Tensor], Tensor],
    z: Tensor,
    epsilon: Tensor,
    factor: Tensor,
    scale: float,
    dtype: torch.dtype,
) -> Tensor:
    """The bound (n,) with one draw from each posterior, whose precision is C C^T / s^2."""
    identity = torch.eye(z.shape[1], dtype=factor.dtype, device=factor.device)
    inverse = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
    drawn = z + scale * (inverse.mT @ epsilon[..., None])[..., 0]
    with torch.no_grad():
        misfit = misfit_of(decode(z.to(dtype)), decode(drawn.to(dtype)), scale)
    trace = scale**2 * inverse.square().sum((1, 2))
    return bound_values(misfit, z, trace, -_half_log_det(factor))


def bound_values(misfit: Tensor, mean: Tensor, trace: Tensor, log_det: Tensor) -> Tensor:
    r"""The bound (n,) at each image, with one code z from its posterior :math:`N(\mu, s^2 S)`.

    .. math:: \frac d2 \log 2\pi + \frac{\lVert x - d(z) \rVert^2}{2 s^2}
        + \frac12 \lVert \mu \rVert^2 + \frac{s^2}2 \operatorname{tr} S - \frac d2
        - \frac12 \log \det S

    Args:
        misfit: (n,) the second term, see :func:`misfit_of`.
        mean: (n, d) of the posterior.
        trace: (n,) of the covariance :math:`s^2 S`.
        log_det: (n,) :math:`\frac12 \log \det S`.
    """
    constant = 0.5 * mean.shape[1] * (LOG_TWO_PI - 1)
    return constant + misfit + 0.5 * mean.square().sum(1) + 0.5 * trace - log_det


def misfit_of(x: Tensor, decoded: Tensor, scale: float) -> Tensor:
    """Squared distance over 2 s^2 for each image: (n,), in the images' precision."""
    # Divided first: the squares of small differences would be lost.
    squares: Tensor = ((x - decoded) / scale).flatten(1).square().sum(1)
    return 0.5 * squares


def decoder_metric(decode: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    r""":math:`J^\top J` of the decoder at codes z (n, d): (n, d, d) in float64.

    Example:
        >>> decoder_metric(lambda z: 3 * z, torch.zeros(1, 2))
        tensor([[[9., 0.],
                 [0., 9.]]], dtype=torch.float64)
    """
    d = z.shape[1]
    basis = torch.eye(d, dtype=z.dtype, device=z.device)
    parts = []
    with torch.no_grad(), warnings.catch_warnings():
        # torch's forward mode scripts some of its own functions when it is first used.
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        for rows in z.split(max(1, TANGENTS // d)):

            def column(direction: Tensor, rows: Tensor = rows) -> Tensor:
                moved: Tensor = jvp(decode, (rows,), (direction.expand_as(rows).contiguous(),))[1]
                return moved

            columns = vmap(column)(basis)  # d x n x ...
            jacobian = columns.flatten(2).permute(1, 2, 0).double()  # n x D x d
            parts.append(jacobian.mT @ jacobian)
    return torch.cat(parts)


def check_scale(scale: float) -> None:
    """Raise ValueError unless s is above 0 and finite."""
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be above 0 and finite, got {scale}")
