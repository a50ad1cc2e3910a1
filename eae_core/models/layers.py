"""What a constraint on a code is, and what its layers share."""

from __future__ import annotations

from typing import ClassVar

import torch
from scipy import stats
from torch import Tensor, nn

from eae_core.entropy import knn_entropy
from eae_core.entropy.law import Law


class CodeConstraint(nn.Module):
    """A layer (n, d) to (n, d) that holds something about the code fixed.

    Where something is fixed, one law has the largest entropy; an entropy term drives the code
    towards it, and it is what new codes are drawn from.
    """

    name: ClassVar[str]  #: how :func:`~eae_core.models.build_constraint` calls it

    @property
    def law(self) -> Law:
        """The law of largest entropy under the constraint, with its entropy in nats and a sampler.

        Example:
            >>> import torch
            >>> from eae_core.models import build_constraint
            >>> law = build_constraint("l1_norm", 2).law
            >>> law.name, round(law.entropy, 4)  # 2 (1 + log 2)
            ('Laplace', 3.3863)
            >>> law.sample(5, generator=torch.Generator().manual_seed(0)).shape
            torch.Size([5, 2])
        """
        raise NotImplementedError

    @property
    def marginal(self) -> stats.rv_continuous:
        """The law of one coordinate under :attr:`law`, frozen, from ``scipy.stats``."""
        raise NotImplementedError

    def entropy(self, z: Tensor, k: int = 1) -> Tensor:
        """Nearest-neighbour estimate of the entropy of constrained codes z (n, d), in nats."""
        return knn_entropy(z, k)


class ConstraintLayer(CodeConstraint):
    """Shape and precision, which all constraints treat alike."""

    smallest_dim = 1
    smallest_batch = 1  # in training mode

    def __init__(self, latent_dim: int) -> None:
        if isinstance(latent_dim, bool) or not isinstance(latent_dim, int):
            raise TypeError(f"latent_dim must be an integer, got {latent_dim!r}")
        if latent_dim < self.smallest_dim:
            raise ValueError(
                f"latent_dim must be at least {self.smallest_dim} for the constraint "
                f"{self.name!r}, got {latent_dim}"
            )
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"codes must be n x {self.latent_dim}, got shape {tuple(z.shape)}")
        if self.training and len(z) < self.smallest_batch:
            raise ValueError(
                f"a batch of {len(z)} has no averages to hold fixed: train with at least "
                f"{self.smallest_batch} images a batch, or call eval()"
            )
        with torch.autocast(z.device.type, enabled=False):
            return self.constrain(z if z.dtype == torch.float64 else z.float())

    def constrain(self, z: Tensor) -> Tensor:
        """Constrained codes (n, d) of codes z (n, d) in float32 or float64."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return str(self.latent_dim)
