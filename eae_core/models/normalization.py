"""The constraint: a code with mean 0 and variance 1 in every coordinate."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CodeBatchNorm(nn.BatchNorm1d):
    r"""Batch normalisation of a code, without scale and shift.

    In training mode each coordinate of the batch gets mean 0 and variance 1 (the biased variance,
    so up to ``eps`` it is exact); in evaluation mode the running moments of the training batches
    are used. Of all laws with these moments N(0, I) has the largest entropy, which is why this
    layer and an entropy term belong together. Always computed in float32 or better, also under
    autocast.

    Args:
        latent_dim: d, the number of coordinates.
        eps: added to the variance.
        momentum: weight of the newest batch in the running moments. PyTorch's 0.1 lets a run of
            some hundred steps reach its moments; Keras's default corresponds to 0.01.

    Shape:
        (n, d) to (n, d), n >= 2 in training mode.

    Raises:
        ValueError: latent_dim < 1, another shape, or a training batch of one.

    Source:
        Ioffe and Szegedy (2015); as a code layer: Ghose et al. (2020), section 3.

    Example:
        >>> import torch
        >>> layer = CodeBatchNorm(2)
        >>> z = layer(torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
        >>> z.mean(0).abs().max().item() < 1e-6, z.var(0, correction=0).round(decimals=4).tolist()
        (True, [1.0, 1.0])
    """

    def __init__(self, latent_dim: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, got {latent_dim}")
        super().__init__(latent_dim, eps=eps, momentum=momentum, affine=False)

    def forward(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.num_features:
            raise ValueError(f"codes must be n x {self.num_features}, got shape {tuple(z.shape)}")
        if self.training and len(z) < 2:
            raise ValueError(
                "a batch of one has no variance: train with at least two images a batch"
            )
        with torch.autocast(z.device.type, enabled=False):
            return super().forward(z if z.dtype == torch.float64 else z.float())
