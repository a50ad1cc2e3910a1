"""The constraint: a code with mean 0 and variance 1 in every coordinate."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from eae_core.distributed import Group, gather_rows
from eae_core.entropy import knn_entropy
from eae_core.entropy.distributions import Distribution, standard_gaussian
from eae_core.entropy.samples import autocast_is_on, check_floats, no_autocast
from eae_core.errors import nearest

if TYPE_CHECKING:
    from scipy import stats


def being_traced() -> bool:
    """Whether torch.jit.trace looks on, which would keep the answer to a question about a shape."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def check_dimension(latent_dim: object, least: int, name: str) -> int:
    """The number of coordinates as an int, also NumPy's, if a constraint can have so few."""
    if isinstance(latent_dim, bool) or not isinstance(latent_dim, (int, np.integer)):
        raise TypeError(f"latent_dim must be an integer, got {latent_dim!r}")
    if latent_dim < least:
        raise ValueError(
            f"latent_dim must be at least {least} for the constraint {name!r}, got {latent_dim}"
        )
    return int(latent_dim)


def check_share(name: str, value: object, largest: float = math.inf) -> None:
    """Raise unless this is a finite number above 0 and up to the largest."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 < value <= largest or value == math.inf:
        range_ = "be finite and above 0" if largest == math.inf else f"lie in (0, {largest:g}]"
        raise ValueError(f"{name} must {range_}, got {value}")


class CodeConstraint(nn.Module):
    """A layer (n, d) to (n, d) that holds something about the code fixed.

    Where something is fixed, one distribution has the largest entropy; an entropy term drives the
    code towards it, and it is what new codes are drawn from.
    """

    name: ClassVar[str]  #: how :func:`~eae_core.constraints.build_constraint` calls it
    coordinates: ClassVar[tuple[str, ...]] = ("code", "gaussian")  #: that :meth:`entropy` takes
    averages: ClassVar[bool] = False  #: whether averages of the batch are held, in training mode
    latent_dim: int
    group: Group = None

    def forward(self, z: Tensor) -> Tensor:
        check_floats(z, "codes")  # others would be rounded, cut or broadcast in silence
        if z.ndim != 2 or (not being_traced() and z.shape[1] != self.latent_dim):
            raise ValueError(f"codes must be n x {self.latent_dim}, got shape {tuple(z.shape)}")
        everyone = self.group if self.training else None
        rows, start = (z, 0) if everyone is None else gather_rows(z, everyone)
        if self.training and self.averages and len(rows) < 2:
            raise ValueError(
                f"a batch of {len(rows)} has no averages to hold fixed: train with at least two "
                "images a batch, or call eval()"
            )
        with no_autocast(z.device):
            constrained = self.constrain(rows if rows.dtype == torch.float64 else rows.float())
        constrained = constrained.to(self.result_dtype(z, constrained.dtype))
        # Without the slice where all rows are its own: an export would fix their number.
        return constrained if rows is z else constrained[start : start + len(z)]

    def constrain(self, rows: Tensor) -> Tensor:
        """Constrained codes (n, d) of all rows (n, d) of a batch, in float32 or float64."""
        raise NotImplementedError

    def result_dtype(self, z: Tensor, wide: torch.dtype) -> torch.dtype:
        """That of constrained codes which were computed in a wide dtype: as wide under autocast."""
        return wide if autocast_is_on(z.device) else z.dtype

    @property
    def distribution(self) -> Distribution:
        """That of largest entropy under the constraint, with its entropy in nats and a sampler."""
        raise NotImplementedError

    @property
    def marginal(self) -> stats.rv_continuous:
        """One coordinate under :attr:`distribution`, frozen, from ``scipy.stats``."""
        raise NotImplementedError

    def entropy(self, z: Tensor, k: int = 1, *, coordinates: str = "code") -> Tensor:
        r"""Nearest-neighbour estimate of the entropy of constrained codes z (n, d), in nats.

        The estimator prefers an edge of the support, where its ball sticks out. The coordinates
        :math:`u = \Phi^{-1}(F(z))`, with F the distribution function of :attr:`marginal`, have no
        edge, and the change of variables is exact:

        .. math:: \hat H(z) = \hat H(u) - \frac1n \sum_i \log \left| \frac{du_i}{dz_i} \right|

        Args:
            z: (n, d) codes that this layer gave.
            k: which neighbour.
            coordinates: ``"code"`` for z itself, ``"gaussian"`` for u.

        Raises:
            ValueError: coordinates that this constraint does not have.
        """
        self.check_coordinates(coordinates)
        if coordinates == "code":
            return knn_entropy(z, k)
        u, log_stretch = self.gaussian_coordinates(z)
        return (knn_entropy(u, k) - log_stretch.mean()).to(z.dtype)

    @classmethod
    def check_coordinates(cls, coordinates: str) -> None:
        """Raise ValueError unless the entropy can be estimated in these coordinates."""
        if coordinates not in cls.coordinates:
            raise ValueError(
                f"coordinates of the constraint {cls.name!r} must be one of "
                f"{', '.join(cls.coordinates)}, got {coordinates!r}"
            )

    def gaussian_coordinates(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates u (n, d), distributed as N(0, I), and ``log |du/dz|`` (n,), in float64."""
        raise NotImplementedError


class CodeBatchNorm(CodeConstraint, nn.BatchNorm1d):
    r"""Batch normalisation of a code, without scale and shift.

    In training mode each coordinate of the batch gets mean 0 and variance 1 (the biased variance,
    so up to ``eps`` it is exact); in evaluation mode the running moments of the training batches
    are used. Of all distributions with these moments N(0, I) has the largest entropy. Always
    computed in float32 or better, also under autocast.

    It takes what ``torch.nn.BatchNorm1d`` takes but for scale and shift, and
    ``torch.optim.swa_utils.update_bn`` renews its moments. In a layer of half precision the result
    is rounded back to the input's dtype.

    Args:
        latent_dim: d, the number of coordinates.
        eps: added to the variance, above 0: a coordinate that is constant has none.
        momentum: weight of the newest batch in the running moments, or None for the plain average
            of all batches. PyTorch's 0.1 lets a run of some hundred steps reach its moments;
            Keras's default corresponds to 0.01.
        group: torch.distributed ranks that hold the batch together, or ``"world"`` for all of them:
            moments are those of all rows, with gradient, and buffers stay equal on all ranks. A
            copied layer keeps its group; a saved one keeps ``"world"`` and no other.
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
        >>> layer = CodeBatchNorm(2)
        >>> z = layer(torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
        >>> z.mean(0).abs().max().item() < 1e-6, z.var(0, correction=0).round(decimals=4).tolist()
        (True, [1.0, 1.0])
    """

    name = "batch_norm"
    averages = True

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
        self.group, self.latent_dim = group, latent_dim

    def result_dtype(self, z: Tensor, wide: torch.dtype) -> torch.dtype:
        half = self.running_mean is not None and z.dtype == self.running_mean.dtype
        return z.dtype if half else wide

    def constrain(self, rows: Tensor) -> Tensor:
        """Batch normalisation with moments in the dtype of the rows, whatever that of the buffers.

        PyTorch's own refuses double codes beside the buffers of a layer in single precision.
        """
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        if mean is None or var is None or count is None or mean.dtype == rows.dtype:
            return nn.BatchNorm1d.forward(self, rows)
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
        memo[id(self.group)] = self.group  # one that cannot be copied
        copied.__dict__ = copy.deepcopy(self.__dict__, memo)
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
    def distribution(self) -> Distribution:
        return standard_gaussian(self.num_features)

    @property
    def marginal(self) -> stats.rv_continuous:
        from scipy import stats  # half a second, of every import otherwise

        return stats.norm()


#: name to layer; :mod:`eae_book.constraints` has four more, with other distributions
CONSTRAINTS: dict[str, type[CodeConstraint]] = {"batch_norm": CodeBatchNorm}


def check_constraint(name: str, coordinates: str = "code") -> None:
    """Raise ValueError unless there is such a constraint, with an entropy in these coordinates."""
    if name not in CONSTRAINTS:
        raise ValueError(f"unknown constraint {name!r}; {nearest(name, CONSTRAINTS)}")
    CONSTRAINTS[name].check_coordinates(coordinates)


def build_constraint(name: str, latent_dim: int) -> CodeConstraint:
    """The layer that holds something about a code (n, d) fixed, by its name.

    Args:
        name: ``"batch_norm"``, or one that was put into :data:`CONSTRAINTS`.
        latent_dim: d.

    Raises:
        ValueError: unknown name (the nearest is named), or an impossible dimension.

    Example:
        >>> build_constraint("batch_norm", 16).distribution.name
        'Gaussian'
    """
    check_constraint(name)
    build: Callable[[int], CodeConstraint] = CONSTRAINTS[name]
    return build(latent_dim)
