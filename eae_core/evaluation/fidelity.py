"""Two sets of features compared without a Gaussian between them, by the package torch-fidelity."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from eae_core.errors import check_integer
from eae_core.evaluation.fid import feature_pair
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
        real: (m, p) features; n, m >= 2.
        subsets: how many are drawn.
        subset_size: of each; the smaller of n and m, if that is smaller.
        seed: of the subsets.

    Source:
        Binkowski et al. (2018).

    Example:
        >>> import torch
        >>> x = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
        >>> mean, sd = kernel_distance(x[:200], x[200:], subset_size=100)
        >>> abs(mean) < 2 * sd < kernel_distance(x[:200], x[200:] + 1, subset_size=100).mean
        True
    """
    return KernelDistance(
        *_compared(
            *("kid", "kernel_inception_distance_mean", "kernel_inception_distance_std"),
            *feature_pair(generated, real, least=2),
            kid_subsets=check_integer("subsets", subsets),
            kid_subset_size=min(
                check_integer("subset_size", subset_size), len(generated), len(real)
            ),
            rng_seed=seed,
        )
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

    Source:
        Kynkaanniemi et al. (2019).

    Example:
        >>> import torch
        >>> x = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
        >>> precision_recall(x, x + 100)
        PrecisionRecall(precision=0.0, recall=0.0)
    """
    return PrecisionRecall(
        *_compared(
            *("prc", "precision", "recall"),
            *feature_pair(generated, real, least=check_integer("k", k) + 1),
            prc_neighborhood=k,
            prc_batch_size=check_integer("block_size", block_size),
            save_cpu_ram=True,
        )
    )


def _compared(
    metric: str, first: str, second: str, generated: Tensor, real: Tensor, **options: Any
) -> tuple[float, float]:
    """Two results of a metric of the library, in float64: small kernels would drown in float32."""
    import_torchvision("datasets")  # torch-fidelity imports torchvision, which may need help
    import torch_fidelity

    compute = getattr(getattr(torch_fidelity, f"metric_{metric}"), f"{metric}_features_to_metric")
    features = (x.detach().double().cpu() for x in (generated, real))
    found = compute(*features, verbose=False, **options)
    return found[first], found[second]
