"""Wasserstein autoencoder: codes that together look like a sample of N(0, I)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eae_core.distributed import gather_rows, noise_like
from eae_core.models.autoencoders import Autoencoder, ModelOptions, objective, squared_error
from eae_core.regularizers.mmd import SCALES


def imq_mmd(x: Tensor, y: Tensor, *, scales: Sequence[float] = SCALES) -> Tensor:
    r"""Squared maximum mean discrepancy of two samples, under a sum of inverse multiquadrics.

    .. math::
        k(x, y) = \sum_s \frac{C_s}{C_s + \lVert x - y \rVert^2}, \qquad C_s = 2 d s

    .. math::
        \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \ne j} k(y_i, y_j)
        - \frac{2}{nm} \sum_{i,j} k(x_i, y_j)

    Unbiased, so it falls below 0 where the distributions agree. In float32 or better, also under
    autocast.

    Args:
        x: (n, d), n >= 2.
        y: (m, d), m >= 2.
        scales: s.

    Source:
        Tolstikhin et al. (2018), algorithm 2 and official code.

    Example:
        >>> x, y = torch.randn(2, 500, 3, generator=torch.Generator().manual_seed(0))
        >>> bool(imq_mmd(x, y).abs() < 0.02), bool(imq_mmd(x, y + 1) > 0.5)
        (True, True)
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            "samples must be n x d and m x d with n and m of at least 2, got shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}"
        )
    with torch.autocast(x.device.type, enabled=False):
        x, y = (z if z.dtype == torch.float64 else z.float() for z in (x, y))

        def kernel(a: Tensor, b: Tensor) -> Tensor:
            # Distances from differences: the expanded square would lose the small ones.
            squares = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
            bases = [2 * a.shape[1] * scale for scale in scales]
            return torch.stack([base / (base + squares) for base in bases]).sum(0)

        def within(z: Tensor) -> Tensor:
            # On the diagonal every kernel is 1.
            return (kernel(z, z).sum() - len(scales) * len(z)) / (len(z) * (len(z) - 1))

        return within(x) + within(y) - 2 * kernel(x, y).mean()


@dataclass(frozen=True, kw_only=True)
class WAEOptions(ModelOptions):
    """Options of :class:`WAE`.

    Attributes:
        mmd_weight: of the squared discrepancy, in units of squared error.
        input_noise: standard deviation of noise on the encoder's input, cut off at that value.
    """

    weights = ("mmd_weight", "input_noise")
    mmd_weight: float = 30.72
    input_noise: float = 0.0


class WAE(Autoencoder):
    r"""Wasserstein autoencoder with maximum mean discrepancy (WAE-MMD).

    .. math::
        \mathcal L = \frac1n \sum_i \lVert x_i - D(z_i) \rVert^2
        + \lambda \, \widehat{\mathrm{MMD}}^2(z_1, \dots, z_n; p_1, \dots, p_n)

    where :math:`z_i = E(x_i)` and :math:`p_i \sim N(0, I)`, fresh for every batch, with
    :func:`~eae_core.models.imq_mmd`.

    Source:
        Tolstikhin et al. (2018).

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("wae", (1, 32, 32), latent_dim=4, width=2)
        >>> sorted(model.loss(torch.rand(3, 1, 32, 32)))
        ['loss', 'mmd', 'reconstruction']
    """

    name = "wae"
    revision = 1  # 1: as first recorded
    options_class = WAEOptions
    options: WAEOptions

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        seen, noise = x, self.options.input_noise
        if noise:
            seen = x + noise * noise_like(x, self.group).clamp(-1, 1)
        z = self.encode(seen)
        reconstruction = squared_error(x, self.decode(z))
        if self.group is not None:
            z, _ = gather_rows(z, self.group)
        mmd = imq_mmd(z, torch.randn_like(z, dtype=torch.float32))
        return objective(reconstruction, mmd=(self.options.mmd_weight, mmd))
