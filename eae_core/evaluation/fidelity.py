"""Two sets of features compared without a Gaussian between them, by the package torch-fidelity."""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

from torch import Tensor

from eae_core.errors import check_integer
from eae_core.evaluation.fid import as_features
from eae_core.torchvision_compat import import_torchvision

REVISION = 1  # 1: as first recorded; see eae_book.revisions


class KernelDistance(NamedTuple):
    """What :func:`kernel_distance` finds; papers print both numbers."""

    mean: float  #: over the subsets; unbiased, so that it may lie below 0
    sd: float  #: standard deviation over the subsets


class PrecisionRecall(NamedTuple):
    """Shares between 0 and 1, see :func:`precision_recall`."""

    precision: float
    recall: float


def kernel_distance(
    generated: Tensor, real: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    r"""Squared maximum mean discrepancy with a cubic kernel: KID, if the features are Inception's.

    .. math:: E\,k(x, x') + E\,k(y, y') - 2\,E\,k(x, y), \qquad k(x, y) = (x \cdot y / p + 1)^3

    The mean over random subsets of each set, of the unbiased estimate on each: it may be compared
    between numbers of samples.

    Args:
        generated: (n, p) features.
        real: (m, p) features.
        subsets: how many are drawn.
        subset_size: of each; the smaller of n and m, if that is smaller.
        seed: of the subsets.

    Raises:
        ValueError: shapes that do not fit, fewer than 2 rows, NaN or infinity.

    Source:
        Binkowski et al. (2018).

    Example:
        >>> import torch
        >>> x = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
        >>> mean, sd = kernel_distance(x[:200], x[200:], subset_size=100)
        >>> abs(mean) < 2 * sd < kernel_distance(x[:200], x[200:] + 1, subset_size=100).mean
        True
    """
    generated, real = _checked(generated, real, 2)
    library = _torch_fidelity()
    found = library.metric_kid.kid_features_to_metric(
        generated,
        real,
        kid_subsets=check_integer("subsets", subsets),
        kid_subset_size=min(check_integer("subset_size", subset_size), len(generated), len(real)),
        rng_seed=seed,
        verbose=False,
    )
    return KernelDistance(
        found[library.metric_kid.KEY_METRIC_KID_MEAN], found[library.metric_kid.KEY_METRIC_KID_STD]
    )


def precision_recall(
    generated: Tensor, real: Tensor, *, k: int = 3, block_size: int = 1000
) -> PrecisionRecall:
    """How much of what is generated looks real, and how much of what is real is generated.

    The support of each set is the balls about its points that reach to their k-th neighbour in the
    set. Precision is the share of generated points in the real support, recall the share of real
    points in the generated one. Compare at equal numbers only. Time grows with n m, memory with the
    block.

    Args:
        generated: (n, p) features.
        real: (m, p) features; n, m > k.
        k: which neighbour.
        block_size: rows of the distance matrix at a time.

    Raises:
        ValueError: shapes that do not fit, too few rows, NaN or infinity.

    Source:
        Kynkaanniemi et al. (2019).

    Example:
        >>> import torch
        >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
        >>> precision_recall(x, x + 100)
        PrecisionRecall(precision=0.0, recall=0.0)
    """
    generated, real = _checked(generated, real, check_integer("k", k) + 1)
    library = _torch_fidelity()
    found = library.metric_prc.prc_features_to_metric(
        generated,
        real,
        prc_neighborhood=k,
        prc_batch_size=check_integer("block_size", block_size),
        save_cpu_ram=True,
        verbose=False,
    )
    return PrecisionRecall(
        found[library.metric_prc.KEY_METRIC_PRECISION], found[library.metric_prc.KEY_METRIC_RECALL]
    )


def _checked(generated: Tensor, real: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Both in float64 on the CPU: small distances and kernels would drown in float32."""
    generated, real = as_features(generated), as_features(real)
    if generated.shape[1] != real.shape[1]:
        shapes = f"{tuple(generated.shape)} and {tuple(real.shape)}"
        raise ValueError(f"features must be n x p and m x p with the same p, got {shapes}")
    if min(len(generated), len(real)) < least:
        raise ValueError(
            f"each set needs at least {least} points here, got {len(generated)} and {len(real)}"
        )
    return generated.detach().double().cpu(), real.detach().double().cpu()


def _torch_fidelity() -> ModuleType:
    import_torchvision("datasets")  # torch-fidelity imports torchvision, which may need help
    import torch_fidelity

    return torch_fidelity  # type: ignore[no-any-return]
