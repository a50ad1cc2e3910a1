r"""Upper bounds of a decoder's entropy by a fitted encoder.

Noise of standard deviation s on every pixel gives an image x = d(z_0) the density p(x), and an
encoder q bounds it by a variational argument:
:math:`-\log p(x) \le -\mathbb E_q \log \frac{p(x, z)}{q(z \mid x)}` with
:math:`p(x \mid z) = N(d(z), s^2 I)`. For small s the left side is, on average,
:math:`\frac{D - d}2 \log 2\pi s^2 + H` with H of
:func:`eae_core.entropy.decoder_entropy`, for images of D numbers. So

.. math:: H \;\le\; \hat H_q = -\mathbb E_x \mathbb E_q \log \frac{p(x, z)}{q(z \mid x)}
    - \frac{D - d}2 \log 2\pi s^2 .

That is the scale correction as the paper prints it, with the sign that its equation 18 asks for.
With :math:`q = N(\mu(x), s^2 L(x) L(x)^\top)` every logarithm of s cancels:

.. math:: \hat H_q = \mathbb E \Bigl[ \frac d2 \log 2\pi
    + \frac{\lVert x - d(z) \rVert^2}{2 s^2} + \frac12 \lVert \mu \rVert^2
    + \frac{s^2}2 \lVert L \rVert_F^2 - \frac d2 - \log \det L \Bigr] ,

which is what :func:`fit_encoder_bound` minimises, so nothing of the order of log s is ever added
and taken away again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn
from tqdm import trange

from eae_book.studies.posterior_bounds import bound_values, check_scale, decoder_metric, misfit_of
from eae_book.studies.posterior_encoder import EncoderOptions, PosteriorEncoder
from eae_core.errors import check_integer
from eae_core.hardware import resolve_device

REVISION = 1  # 1: as first recorded; see eae_book.revisions

CURVE_POINTS = 50  # of a fit


@dataclass(frozen=True, eq=False)
class EncoderBound:
    """A bound in nats, measured on images that the encoder was not fitted to."""

    bound: float  #: mean of ``values``
    standard_error: float  #: of ``bound``
    misfit: float  #: the part from ||x - d(z)||^2 / (2 s^2); d / 2 at the best posterior
    start: float  #: the bound before the first step
    curve: dict[str, list[float]] = field(repr=False)  #: "step", and mean "bound" of those before
    values: Tensor = field(repr=False)  #: (samples,) float64, one draw from each posterior
    encoder: nn.Module = field(repr=False)  #: the fitted network


def fit_encoder_bound(
    decode: Callable[[Tensor], Tensor],
    latent_dim: int,
    image_shape: Sequence[int],
    options: EncoderOptions | None = None,
    *,
    scale: float = 1e-4,
    samples: int = 1000,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> EncoderBound:
    r"""Fit an encoder to a fixed decoder, and measure the upper bound of its entropy.

    Images are drawn from the decoder, new ones at every step, so there is nothing to overfit. The
    decoder's weights get no gradient. The bound holds up to o(1) as s goes to zero: -log p(x) also
    counts other codes of the same image, if there are any, and then lies below the entropy
    formula. For a linear decoder and the decoder-aware mean it holds exactly, at every s.

    Args:
        decode: codes (n, d) to images (n, ...) in float32, each image from its own code: a network
            in evaluation mode, on ``device``.
        latent_dim: d.
        image_shape: of one image: three numbers (c, h, w) with sides that 4 divides get a
            convolutional encoder, any other shape a dense one.
        options: the family and the fit, :class:`EncoderOptions` by default.
        scale: s, the standard deviation of the pixels' noise.
        samples: new images to measure the bound on, at least 2.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        progress: show a bar.

    Raises:
        ValueError: an impossible size, or a decoder that gives images of another shape.
        FloatingPointError: the bound became infinite or not a number, at which step, and what to
            change.

    Source:
        Struminsky et al., appendix C and Table 4.

    Example:
        >>> matrix = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
        >>> options = EncoderOptions(mean="decoder", covariance="full", steps=10)
        >>> found = fit_encoder_bound(lambda z: z @ matrix, 2, (9,), options)
        >>> entropy = 2 * 1.418939 + 0.5 * torch.logdet(matrix @ matrix.T)
        >>> bool(abs(found.bound - entropy) < 5 * found.standard_error)
        True
    """
    options = options or EncoderOptions()
    check_scale(scale)
    check_integer("latent_dim", latent_dim)
    if check_integer("samples", samples) < 2:
        raise ValueError("samples must be at least 2: one value has no spread")
    where = resolve_device(device)
    with torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(options.seed)
        fit = _Fit(decode, latent_dim, tuple(image_shape), options, scale, where)
        start = fit.measure(samples)[0].mean()
        curve = fit.train(progress)
        values, misfit = fit.measure(samples)
    return EncoderBound(
        bound=float(values.mean()),
        standard_error=float(values.std() / math.sqrt(samples)),
        misfit=float(misfit.mean()),
        start=float(start),
        curve=curve,
        values=values.cpu(),
        encoder=fit.encoder.eval(),
    )


class _Fit:
    """An encoder, its optimiser, and the draws that feed it."""

    def __init__(
        self,
        decode: Callable[[Tensor], Tensor],
        latent_dim: int,
        image_shape: tuple[int, ...],
        options: EncoderOptions,
        scale: float,
        device: torch.device,
    ) -> None:
        self.decode, self.options, self.scale, self.device = decode, options, scale, device
        self.latent_dim = latent_dim
        self.generator = Generator().manual_seed(options.seed)
        found = tuple(self.images(self.codes(2)).shape[1:])
        if found != image_shape:
            raise ValueError(f"decode gives images of shape {found}, image_shape is {image_shape}")
        start = self.first_factor()
        self.encoder = PosteriorEncoder(image_shape, latent_dim, start, options).to(device)

    def codes(self, n: int) -> Tensor:
        """Draws (n, d) of N(0, I), the same on every device."""
        return torch.randn(n, self.latent_dim, generator=self.generator).to(self.device)

    def images(self, z: Tensor) -> Tensor:
        """What the decoder makes of codes z (n, d), as data: without gradient."""
        with torch.no_grad():
            x: Tensor = self.decode(z)
        return x

    def first_factor(self) -> Tensor:
        """L of the start: (d, d), lower triangular."""
        identity = torch.eye(self.latent_dim, dtype=torch.float64, device=self.device)
        if self.options.start == "noise":
            return identity
        if self.options.start == "prior":
            return identity / self.scale
        parts = self.codes(self.options.metric_samples).split(self.options.batch_size)
        metric = torch.cat([decoder_metric(self.decode, z) for z in parts]).mean(0)
        metric = metric + self.scale**2 * identity
        if self.options.covariance == "diagonal":
            return metric.diagonal().rsqrt().diag()
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(metric))
        factor: Tensor = torch.linalg.cholesky(inverse)
        return factor

    def bound(self, n: int) -> tuple[Tensor, Tensor]:
        """The bound at n new images, one draw from each posterior, and its misfit: (n,) each."""
        code = self.codes(n)
        noise = self.codes(n)
        x = self.images(code)
        mean, factor, log_det = self.encoder(x, code)
        z = mean + self.scale * (factor @ noise[..., None])[..., 0]
        misfit = misfit_of(x, self.decode(z), self.scale)
        trace = self.scale**2 * factor.square().sum((1, 2))
        return bound_values(misfit, mean, trace, log_det), misfit

    @torch.no_grad()
    def measure(self, samples: int) -> tuple[Tensor, Tensor]:
        """Bound and misfit at new images, (samples,) each in float64."""
        size = self.options.batch_size
        sizes = [size] * (samples // size) + [samples % size] * (samples % size > 0)
        found = [self.bound(n) for n in sizes]
        bounds, misfits = (torch.cat(part).double() for part in zip(*found, strict=True))
        return bounds, misfits

    def train(self, progress: bool) -> dict[str, list[float]]:
        """Take the steps; means of the bound over the stretches between the curve's points."""
        options = self.options
        weights = list(self.encoder.parameters())
        optimizer = torch.optim.Adam(weights, lr=options.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
        every = max(1, options.steps // CURVE_POINTS)
        curve: dict[str, list[float]] = {"step": [], "bound": []}
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for step in trange(1, options.steps + 1, desc="encoder", disable=not progress):
            loss = self.bound(options.batch_size)[0].mean()
            # Not backward(): the decoder is not ours, and gets no gradient.
            for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                weight.grad = slope
            optimizer.step()
            schedule.step()
            total += loss.detach()
            if step % every == 0:
                mean = float(total) / every
                if not math.isfinite(mean):
                    raise FloatingPointError(
                        f"the bound is {mean} within the {every} steps before step {step}: try a "
                        f"learning_rate below {options.learning_rate:g}, or start='metric'"
                    )
                curve["step"].append(step)
                curve["bound"].append(mean)
                total.zero_()
        return curve
