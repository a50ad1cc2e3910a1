r"""What Gaussian posteriors of a decoder can reach at best, from its Jacobian alone.

For images x = d(z_0) and :math:`q(z \mid x) = N(z_0, s^2 S)` the bound of
:mod:`eae_core.evaluation.encoder_bounds` is, to second order in s,

.. math:: \frac d2 \log 2\pi + \frac12 \lVert z_0 \rVert^2
    + \frac12 \operatorname{tr}(M S) - \frac12 \log \det S - \frac d2, \qquad M = J^\top J + s^2 I .

It is convex in S, and each family of S has its optimum in closed form. So a fitted encoder's bound
splits into what its family cannot do and what its fit did not reach.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from eae_core.entropy.law import whole

LOG_TWO_PI = math.log(2 * math.pi)


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
    sampled: float  #: the best full covariance with codes drawn from it: no linearisation
    standard_error: float  #: of ``full``
    sampled_standard_error: float  #: of ``sampled``
    samples: int
    scale: float


def posterior_bounds(
    decode: Callable[[Tensor], Tensor],
    latent_dim: int,
    *,
    samples: int = 500,
    scale: float = 1e-4,
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

    ``sampled`` draws :math:`z \sim N(z_0, s^2 M^{-1})` and decodes it. It is a bound whatever the
    decoder, and it lies at ``full`` where the decoder is linear over the width of the posterior.

    Args:
        decode: codes (n, d) to images (n, ...), each image from its own code: a network in
            evaluation mode.
        latent_dim: d.
        samples: codes from N(0, I), at least 2.
        scale: s, the standard deviation of the pixels' noise.
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
    for name, value, least in (("latent_dim", latent_dim, 1), ("samples", samples, 2)):
        if whole(name, value) < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    generator = torch.Generator().manual_seed(seed)
    parts = []
    sum_of_metrics = torch.zeros(latent_dim, latent_dim, dtype=torch.float64, device=device)
    codes = torch.randn(samples, latent_dim, generator=generator, dtype=torch.float64)
    noise = torch.randn(samples, latent_dim, generator=generator, dtype=torch.float64)
    batches = list(zip(codes.split(batch_size), noise.split(batch_size), strict=True))
    for z, epsilon in tqdm(batches, desc="posteriors", disable=not progress):
        z, epsilon = z.to(device), epsilon.to(device)
        metric = decoder_metric(decode, z.to(dtype)) + scale**2 * torch.eye(
            latent_dim, dtype=torch.float64, device=device
        )
        sum_of_metrics += metric.sum(0)
        parts.append(_bounds_of_codes(decode, z, epsilon, metric, scale, dtype))
    full, diagonal, sampled, prior = torch.cat(parts, 1).cpu()  # (samples,) each
    mean_metric = (sum_of_metrics / samples).cpu()
    return PosteriorBounds(
        full=float(full.mean()),
        diagonal=float(diagonal.mean()),
        constant_full=float(prior.mean() + 0.5 * torch.logdet(mean_metric)),
        constant_diagonal=float(prior.mean() + 0.5 * mean_metric.diagonal().log().sum()),
        sampled=float(sampled.mean()),
        standard_error=float(full.std() / math.sqrt(samples)),
        sampled_standard_error=float(sampled.std() / math.sqrt(samples)),
        samples=samples,
        scale=scale,
    )


def _bounds_of_codes(
    decode: Callable[[Tensor], Tensor],
    z: Tensor,
    epsilon: Tensor,
    metric: Tensor,
    scale: float,
    dtype: torch.dtype,
) -> Tensor:
    """(4, n): full, diagonal, sampled, and minus the log density of each code."""
    d = z.shape[1]
    prior = 0.5 * d * LOG_TWO_PI + 0.5 * z.square().sum(1)
    factor, failed = torch.linalg.cholesky_ex(metric)  # M = C C^T
    if failed.any():
        raise ValueError(
            f"J^T J + s^2 I is not positive definite with scale = {scale:g}: the decoder gives NaN "
            "or infinity, or rounding hides s^2; raise the scale or decode in float64"
        )
    half_log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
    half_log_diagonal = 0.5 * metric.diagonal(dim1=1, dim2=2).log().sum(1)
    identity = torch.eye(d, dtype=torch.float64, device=z.device).expand_as(metric)
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False)  # M^-1 = C^-T C^-1
    drawn = z + scale * (inverse.mT @ epsilon[..., None])[..., 0]
    with torch.no_grad():
        misfit = misfit_of(decode(z.to(dtype)), decode(drawn.to(dtype)), scale)
    trace = scale**2 * inverse.square().sum((1, 2))
    sampled = bound_values(misfit, z, trace, -half_log_det)
    return torch.stack((prior + half_log_det, prior + half_log_diagonal, sampled, prior))


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
    columns = []
    with torch.no_grad(), warnings.catch_warnings():
        # torch's forward mode scripts some of its own functions when it is first used.
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        for j in range(z.shape[1]):
            direction = torch.zeros_like(z)
            direction[:, j] = 1
            columns.append(torch.func.jvp(decode, (z,), (direction,))[1].flatten(1))
    jacobian = torch.stack(columns, 2).double()  # n x D x d
    metric: Tensor = jacobian.mT @ jacobian
    return metric


def check_scale(scale: float) -> None:
    """Raise ValueError unless s is above 0 and finite."""
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be above 0 and finite, got {scale}")
