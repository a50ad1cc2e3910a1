"""The constraint: a code with mean 0 and variance 1 in every coordinate."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn

from eae_core.constraints.base import CodeConstraint, check_code, check_dimension, check_share
from eae_core.distributed import Group, gather_rows
from eae_core.entropy.distributions import Law
from eae_core.entropy.references import gaussian
from eae_core.entropy.samples import no_autocast

if TYPE_CHECKING:
    from scipy import stats


def standard_gaussian(latent_dim: int) -> Law:
    """N(0, I), drawn in single precision: seeded codes are those that torch.randn gives.

    Example:
        >>> standard_gaussian(1)
        Law(name='Gaussian', dimension=1, entropy=1.418...)
    """

    def draw(n: int, generator: Generator) -> Tensor:
        return torch.randn(n, latent_dim, generator=generator, device=generator.device).double()

    return replace(gaussian(latent_dim), draw=draw)


class CodeBatchNorm(nn.BatchNorm1d, CodeConstraint):
    r"""Batch normalisation of a code, without scale and shift.

    In training mode each coordinate of the batch gets mean 0 and variance 1 (the biased variance,
    so up to ``eps`` it is exact); in evaluation mode the running moments of the training batches
    are used. Of all laws with these moments N(0, I) has the largest entropy, which is why this
    layer and an entropy term belong together. Always computed in float32 or better, also under
    autocast.

    It takes what ``torch.nn.BatchNorm1d`` takes but for scale and shift, and
    ``torch.optim.swa_utils.update_bn`` renews its moments. In a layer of half precision the result
    is rounded back to the input's dtype.

    Args:
        latent_dim: d, the number of coordinates.
        eps: added to the variance, above 0: a coordinate that is constant has none.
        momentum: weight of the newest batch in the running moments, or None for the plain average
            of all batches. PyTorch's 0.1 lets a run of some hundred steps reach its moments;
            Keras's default corresponds to 0.01.
        group: torch.distributed ranks that hold the batch together, or ``"world"`` for all of them,
            looked up when it is used: moments are those of all rows, with gradient, so that the
            constraint and an entropy with the same ``group`` see one sample. Buffers stay equal on
            all ranks. A copied layer keeps its group; a saved one keeps ``"world"`` and no other.
        device: of the running moments.
        dtype: of the running moments.

    Shape:
        (n, d) to (n, d), n >= 2 in training mode.

    Raises:
        TypeError: latent_dim is no integer, or the code no tensor of floats.
        ValueError: latent_dim < 1, another impossible option or shape, or a training batch of one.

    Source:
        Ioffe and Szegedy (2015); as a code layer: Ghose et al. (2020), section 3.

    Example:
        >>> import torch
        >>> layer = CodeBatchNorm(2)
        >>> z = layer(torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
        >>> z.mean(0).abs().max().item() < 1e-6, z.var(0, correction=0).round(decimals=4).tolist()
        (True, [1.0, 1.0])
    """

    name = "batch_norm"

    def __init__(
        self,
        latent_dim: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        *,
        group: Group = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        latent_dim = check_dimension(latent_dim, 1, self.name)
        check_share("eps", eps)
        if momentum is not None:
            check_share("momentum", momentum, 1)
        super().__init__(latent_dim, eps, momentum, affine=False, device=device, dtype=dtype)
        self.group = group

    def forward(self, z: Tensor) -> Tensor:
        check_code(z, self.num_features)
        if self.training and self.group is not None:
            rows, start = gather_rows(z, self.group)
        else:
            rows, start = z, 0
        if self.training and len(rows) < 2:
            raise ValueError(
                "a batch of one has no variance: train with at least two images a batch"
            )
        with no_autocast(z.device):
            normalized = self._normalize(rows if rows.dtype == torch.float64 else rows.float())
        if self.running_mean is not None and z.dtype == self.running_mean.dtype:
            normalized = normalized.to(z.dtype)  # of a layer in half precision
        # Without the slice where all rows are its own: an export would fix their number.
        return normalized if rows is z else normalized[start : start + len(z)]

    def _normalize(self, rows: Tensor) -> Tensor:
        """Batch normalisation with moments in the dtype of the rows, whatever that of the buffers.

        PyTorch's own refuses double codes beside the buffers of a layer in single precision.
        """
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if mean is None or var is None or count is None or mean.dtype == rows.dtype:
            return super().forward(rows)
        if self.training:
            count.add_(1)
        newest = 1 / float(count) if self.training and self.momentum is None else self.momentum
        moments = mean.to(rows.dtype), var.to(rows.dtype)
        normalized = nn.functional.batch_norm(
            rows, *moments, None, None, self.training, newest or 0.0, self.eps
        )
        if self.training:
            mean.copy_(moments[0])
            var.copy_(moments[1])
        return normalized

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__ = {
            name: value if name == "group" else copy.deepcopy(value, memo)
            for name, value in self.__dict__.items()
        }
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """What is saved: a process group is no value that another process could use."""
        group = self.group
        if group is not None and group != "world":
            everyone = dist.is_initialized() and group == dist.group.WORLD
            group = "world" if everyone else None
            if not everyone:
                warnings.warn(
                    "a process group cannot be saved: set layer.group again after loading",
                    stacklevel=2,
                )
        return {**self.__dict__, "group": group}

    def gaussian_coordinates(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z.double(), z.new_zeros(len(z), dtype=torch.float64)

    @property
    def law(self) -> Law:
        return standard_gaussian(self.num_features)

    @property
    def marginal(self) -> stats.rv_continuous:
        from scipy import stats  # half a second, of every import otherwise

        return stats.norm()
