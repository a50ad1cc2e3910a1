"""The Entropic Autoencoder of Ghose et al. (2020), with the options that their paper mentions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eae_core.constraints import CodeConstraint, build_constraint, check_constraint
from eae_core.distributed import gather_rows
from eae_core.entropy import DuplicatePointsError, knn_entropy
from eae_core.entropy.distributions import Distribution
from eae_core.models.autoencoders import Autoencoder, ModelOptions, objective, squared_error
from eae_core.models.smoothness import decoder_l2, spectrally_normalize
from eae_core.regularizers import Regularizer, build_regularizer, radial_loss
from eae_core.regularizers.registry import regularizer_options

KNN_ENTROPY = "knn_entropy"
FLOOR = 2.0**-23  # rounding of a coordinate near 1 in float32: no smaller distance means anything
ENTROPY_MAPS = ("identity", "fixed", "redrawn")


@dataclass(frozen=True)
class EAEOptions(ModelOptions):
    """Options of :class:`EAE`.

    Attributes:
        entropy_weight: lambda, in units of squared error per nat.
        k: which neighbour the estimator uses.
        constraint: what is held fixed about the code: batch_norm, or another name of
            :data:`~eae_core.constraints.CONSTRAINTS`.
        coordinates: in which the entropy is estimated: code or gaussian, see
            :meth:`~eae_core.constraints.CodeConstraint.entropy`.
        entropy_map: of what the entropy is: of the code itself (identity), or of a linear map of it
            to fewer dimensions, drawn once (fixed) or for every batch (redrawn).
        entropy_dim: dimensions of that linear map.
        spectral_norm: spectral normalisation of every layer, as the paper has it for CelebA.
        decoder_l2: weight of the squared decoder kernels, as the paper has it for CIFAR-10.
        regularizer: the term that spreads the code: knn_entropy, or another name of
            :data:`~eae_core.regularizers.REGULARIZERS`, which then has entropy_weight as its own.
        radial_weight: of the distance of the norms to a Gaussian's, beside the entropy, in nats a
            squared unit; 20 keeps codes off a shell at batches of 100.
    """

    weights = ("entropy_weight", "decoder_l2", "radial_weight")
    entropy_weight: float = 1.0
    k: int = 1
    constraint: str = "batch_norm"
    coordinates: str = "code"
    entropy_map: str = "identity"
    entropy_dim: int = 8
    spectral_norm: bool = False
    decoder_l2: float = 0.0
    regularizer: str = KNN_ENTROPY
    radial_weight: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_sizes("k", "entropy_dim")
        check_constraint(self.constraint, self.coordinates)
        regularizer_options(self.regularizer)  # raises for a name that is unknown
        if self.entropy_map not in ENTROPY_MAPS:
            raise ValueError(
                f"entropy_map must be one of {', '.join(ENTROPY_MAPS)}, got {self.entropy_map!r}"
            )
        normal, mapped = self.constraint == "batch_norm", self.entropy_map != "identity"
        if mapped and not normal:
            raise ValueError(
                f"entropy_map {self.entropy_map!r} goes with the constraint 'batch_norm', whose "
                f"law keeps its shape under linear maps, not with {self.constraint!r}"
            )
        other = self.regularizer != KNN_ENTROPY
        if self.radial_weight and other:
            raise ValueError(
                f"radial_weight goes with the regularizer {KNN_ENTROPY!r}, not with "
                f"{self.regularizer!r}; leave it at 0"
            )
        if (other or self.radial_weight) and (mapped or not normal):
            what = f"the regularizer {self.regularizer!r}" if other else "radial_weight"
            raise ValueError(
                f"{what} compares the code itself with N(0, I): it goes with the constraint "
                f"'batch_norm' and the entropy_map 'identity', not with {self.constraint!r} and "
                f"{self.entropy_map!r}"
            )


class EAE(Autoencoder):
    r"""Entropic autoencoder: a constrained code, batch-normalised by default, of large entropy.

    .. math::
        \mathcal L = \frac1n \sum_i \lVert x_i - D(z_i) \rVert^2 - \lambda \hat H(z_1, \dots, z_n),
        \qquad z = \mathrm{BN}(E(x))

    with the Kozachenko-Leonenko estimate over the batch, in float64. With ``entropy_weight=0`` it
    is an autoencoder with a batch-normalised code, and the entropy is reported all the same.

    The paper gives a result "on a linear map" without saying more. Our guess is ``entropy_map``:
    the entropy of :math:`\mathrm{BN}(W z)` with m = ``entropy_dim`` orthonormal rows in W.

    With another ``regularizer`` its term stands in place of :math:`-\hat H`, and is reported under
    that word; distances of codes that coincide count as rounding's. With ``radial_weight`` w the
    term is :math:`-\hat H + w R`, see :func:`~eae_core.regularizers.entropy_radial_loss`.

    Source:
        Ghose et al. (2020), equation 2; other constraints: their section 3.3; spectral norm and L2:
        section 5.1; the linear map: supplement, table 1.

    Example:
        >>> from eae_core.models import EAEOptions, build_model
        >>> model = build_model("eae", (1, 32, 32), latent_dim=4, width=2, options=EAEOptions(k=2))
        >>> sorted(model.loss(torch.rand(5, 1, 32, 32)))
        ['entropy', 'loss', 'reconstruction']
    """

    name = "eae"
    revision = 1  # 1: as first recorded
    options_class = EAEOptions
    options: EAEOptions
    entropy_rows: Tensor  # W (m, d) of a fixed map

    def add_layers(self) -> None:
        options, d = self.options, self.latent_dim
        self.code_norm = build_constraint(options.constraint, d)
        self.regularizer = self._build_regularizer()
        if options.spectral_norm:
            spectrally_normalize(self)
        if options.entropy_map != "identity" and options.entropy_dim > d:
            raise ValueError(
                f"entropy_dim {options.entropy_dim} is above latent_dim {d}: the map goes to "
                "fewer dimensions"
            )
        if options.entropy_map == "fixed":
            self.register_buffer("entropy_rows", orthonormal_rows(options.entropy_dim, d))

    def _build_regularizer(self) -> Regularizer | None:
        """The term in place of the entropy, if there is one, and the batch that it needs."""
        name, chosen = self.options.regularizer, {"k": self.options.k, "floor": FLOOR}
        known = regularizer_options(name)
        self.minimum_batch_size = self.options.k + 2 if "k" in known else 2
        if name == "covariance":  # a determinant
            self.minimum_batch_size = self.latent_dim + 2
        if name == KNN_ENTROPY:
            return None
        return build_regularizer(name, **{key: v for key, v in chosen.items() if key in known})

    @property
    def code_distribution(self) -> Distribution:
        return self.code_norm.distribution

    def encode(self, x: Tensor) -> Tensor:
        z: Tensor = self.code_norm(self.encoder(x))
        return z

    def entropy(self, z: Tensor) -> Tensor:
        """Estimated entropy in nats of codes z (n, d), or of their linear map, with gradient."""
        if not isinstance(self.code_norm, CodeConstraint):
            raise TypeError(
                f"the layer of the code is a {type(self.code_norm).__name__} now: "
                "convert_sync_batchnorm has replaced it. Convert the encoder and the decoder "
                "alone, and let the code's own layer see all ranks: model.code_norm.group = 'world'"
            )
        k, kind = self.options.k, self.options.entropy_map
        if kind == "identity":
            return self.code_norm.entropy(z, k, coordinates=self.options.coordinates)
        with torch.autocast(z.device.type, enabled=False):
            m = self.options.entropy_dim
            rows = self.entropy_rows if kind == "fixed" else orthonormal_rows(m, z.shape[1], z)
            y = z @ rows.to(z.dtype).T  # (n, m)
            return knn_entropy(nn.functional.batch_norm(y, None, None, training=True), k)

    def entropy_terms(self, z: Tensor) -> dict[str, Tensor]:
        """The entropy of a training batch, and how many codes it leaves out because they coincide.

        There the strict estimate is minus infinity: training goes on with one code of each such
        set.
        """
        try:
            return {"entropy": self.entropy(z)}
        except DuplicatePointsError:
            kept = distinct_rows(z)
        try:
            entropy = self.entropy(kept)
        except ValueError:  # too few are left, or their coordinates coincide
            kept, entropy = z[:0], knn_entropy(z, self.options.k, zero="floor", floor=FLOOR)
        return {"entropy": entropy, "coinciding": z.new_tensor(float(len(z) - len(kept)))}

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        options, weight = self.options, self.options.entropy_weight
        if self.group is None and len(x) < self.minimum_batch_size:
            needs = f"neighbour {options.k}: use at least k + 2 ="
            if self.regularizer is not None:
                needs = f"the regularizer {options.regularizer!r}: use at least"
            raise ValueError(
                f"a batch of {len(x)} is too small for {needs} {self.minimum_batch_size} images"
            )
        self.check_images(x)
        z = self.encode(x)
        reconstruction = squared_error(x, self.decode(z))
        spread = z if weight else z.detach()
        weighted: dict[str, tuple[float, Tensor]]
        if self.regularizer is None:
            # each process sees the whole batch of codes
            whole = spread if self.group is None else gather_rows(spread, self.group)[0]
            weights = {"entropy": -weight, "coinciding": 0.0}
            terms = self.entropy_terms(whole)
            weighted = {name: (weights[name], term) for name, term in terms.items()}
        else:
            self.regularizer.group = self.group
            weighted = {"regularizer": (weight, self.regularizer(spread))}
        if options.radial_weight:
            radial = radial_loss(spread, group=self.group)
            weighted["radial"] = weight * options.radial_weight, radial
        if options.decoder_l2:
            weighted["decoder_l2"] = options.decoder_l2, decoder_l2(self.decoder)
        return objective(reconstruction, **weighted)


def distinct_rows(z: Tensor) -> Tensor:
    """The rows of z (n, d), of several that are equal the first, with gradient.

    Example:
        >>> distinct_rows(torch.tensor([[2.0], [1.0], [2.0], [0.0]])).flatten()
        tensor([2., 1., 0.])
    """
    _, number = torch.unique(z.detach(), dim=0, return_inverse=True)  # (n,)
    place = torch.arange(len(z), device=z.device)
    first = torch.full_like(place, len(z)).scatter_reduce(0, number, place, "amin")
    return z[first[first < len(z)].sort().values]


def orthonormal_rows(m: int, d: int, like: Tensor | None = None) -> Tensor:
    """W (m, d) with orthonormal rows, uniform among all such, from torch's global generator."""
    device = None if like is None else like.device
    q, r = torch.linalg.qr(torch.randn(d, m, device=device))
    rows: Tensor = (q * r.diagonal().sign()).T.contiguous()  # the sign makes the law uniform
    return rows
