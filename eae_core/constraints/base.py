"""What a constraint on a code is, and what its layers share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from eae_core.entropy import knn_entropy
from eae_core.entropy.distributions import Law
from eae_core.entropy.samples import autocast_is_on, no_autocast

if TYPE_CHECKING:
    from scipy import stats


def being_traced() -> bool:
    """Whether torch.jit.trace looks on, which would keep the answer to a question about a shape."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def check_code(z: Tensor, latent_dim: int) -> None:
    """Refuse other codes than floats (n, d): they would be rounded, cut or broadcast in silence.

    Raises:
        TypeError: z is no tensor of floats.
        ValueError: another shape.
    """
    if not isinstance(z, Tensor):
        raise TypeError(f"codes must be a torch.Tensor, got {type(z).__name__}")
    if not z.is_floating_point():
        raise TypeError(f"codes must be floating point, got {z.dtype}")
    if z.layout != torch.strided:
        raise TypeError(f"codes must be dense, got {z.layout}; try codes.to_dense()")
    if z.ndim != 2 or (not being_traced() and z.shape[1] != latent_dim):
        raise ValueError(f"codes must be n x {latent_dim}, got shape {tuple(z.shape)}")


def check_dimension(latent_dim: object, least: int, name: str) -> int:
    """The number of coordinates as an int, also NumPy's.

    Raises:
        TypeError: no integer.
        ValueError: fewer than a constraint can have.
    """
    if isinstance(latent_dim, bool) or not isinstance(latent_dim, (int, np.integer)):
        raise TypeError(f"latent_dim must be an integer, got {latent_dim!r}")
    if latent_dim < least:
        raise ValueError(
            f"latent_dim must be at least {least} for the constraint {name!r}, got {latent_dim}"
        )
    return int(latent_dim)


def check_share(name: str, value: object, largest: float = math.inf) -> None:
    """Raise TypeError or ValueError unless this is a finite number above 0 and up to the largest.

    Example:
        >>> check_share("momentum", None, 1)
        Traceback (most recent call last):
        ...
        TypeError: momentum must be a number, got None
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not 0 < value <= largest or value == math.inf:
        range_ = "be finite and above 0" if largest == math.inf else f"lie in (0, {largest:g}]"
        raise ValueError(f"{name} must {range_}, got {value}")


class CodeConstraint(nn.Module):
    """A layer (n, d) to (n, d) that holds something about the code fixed.

    Where something is fixed, one law has the largest entropy; an entropy term drives the code
    towards it, and it is what new codes are drawn from.
    """

    name: ClassVar[str]  #: how :func:`~eae_core.models.build_constraint` calls it
    coordinates: ClassVar[tuple[str, ...]] = ("code", "gaussian")  #: that :meth:`entropy` takes
    smallest_share: ClassVar[str] = "tiny"  #: of the law beside a code that its precision can tell

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

    def entropy(self, z: Tensor, k: int = 1, *, coordinates: str = "code") -> Tensor:
        r"""Nearest-neighbour estimate of the entropy of constrained codes z (n, d), in nats.

        The estimator prefers an edge of the support, where its ball sticks out: by whole nats from
        about 8 dimensions on. In the coordinates :math:`u = \Phi^{-1}(F(z))`, with F the
        distribution function of a coordinate under :attr:`law`, that law is N(0, I) and has no
        edge, and the change of variables is exact:

        .. math:: \hat H(z) = \hat H(u) - \frac1n \sum_i \log \left| \frac{du_i}{dz_i} \right|

        Under :attr:`law` the bias is then that of the Gaussian, see
        :func:`~eae_core.entropy.expectation.expected_gaussian_estimate`.

        Args:
            z: (n, d) codes that this layer gave.
            k: which neighbour.
            coordinates: ``"code"`` for z itself, ``"gaussian"`` for u.

        Raises:
            ValueError: coordinates that this constraint does not have (a sphere has no edge).

        Example:
            >>> import torch
            >>> from eae_core.models import build_constraint
            >>> layer = build_constraint("box", 16)
            >>> z = layer.law.sample(500, generator=torch.Generator().manual_seed(0))
            >>> biased, better = layer.entropy(z), layer.entropy(z, coordinates="gaussian")
            >>> bool(biased - layer.law.entropy > 3), bool(better - layer.law.entropy < 1)
            (True, True)
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
        """Coordinates u (n, d), of law N(0, I), and ``log |du/dz|`` (n,), both in float64."""
        with no_autocast(z.device):
            below, above, log_density = self.tails(z.double())
            # The smaller of the two shares is exact where the other rounds to 1.
            least = getattr(torch.finfo(z.dtype), self.smallest_share)
            u = torch.special.ndtri(torch.minimum(below, above).clamp(min=least))
            u = torch.where(below < above, u, -u)
            log_normal = -0.5 * u.square() - 0.5 * math.log(2 * math.pi)
            return u, (log_density - log_normal).sum(1)

    def tails(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Share of :attr:`marginal` below z, share above, and log density, each (n, d)."""
        raise NotImplementedError


class ConstraintLayer(CodeConstraint):
    """Shape and precision, which all constraints treat alike."""

    smallest_dim = 1
    smallest_batch = 1  # in training mode

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = check_dimension(latent_dim, self.smallest_dim, self.name)

    def forward(self, z: Tensor) -> Tensor:
        check_code(z, self.latent_dim)
        if self.training and len(z) < self.smallest_batch:
            raise ValueError(
                f"a batch of {len(z)} has no averages to hold fixed: train with at least "
                f"{self.smallest_batch} images a batch, or call eval()"
            )
        mixed = autocast_is_on(z.device)
        with no_autocast(z.device):
            constrained = self.constrain(z if z.dtype == torch.float64 else z.float())
        return constrained if mixed else constrained.to(z.dtype)

    def constrain(self, z: Tensor) -> Tensor:
        """Constrained codes (n, d) of codes z (n, d) in float32 or float64."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return str(self.latent_dim)
