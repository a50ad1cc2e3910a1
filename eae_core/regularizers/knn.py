"""The k-nearest-neighbour entropy as a term to minimise: what the entropic autoencoder has."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.distributed import Group
from eae_core.entropy.knn import knn_entropy
from eae_core.entropy.samples import Reduction
from eae_core.regularizers.common import as_module, full_precision, traceable_engine, whole_batch


@full_precision
def knn_entropy_loss(
    z: Tensor,
    *,
    k: int = 1,
    floor: float | None = None,
    reduction: Reduction = "mean",
    group: Group = None,
) -> Tensor:
    r"""Minus the Kozachenko-Leonenko estimate of the entropy of a batch, in nats.

    .. math:: L = -\hat H = -\frac dn \sum_{i=1}^n \log \rho_k(i) - \log V_d - \psi(n) + \psi(k)

    Unbounded below without a constraint on the scale of the codes, such as batch normalisation.

    Args:
        z: (n, d), n > k.
        k: which neighbour.
        floor: smallest distance that counts; None refuses codes that coincide with a neighbour.
            torch.compile makes their term infinite instead, so that all is one graph.
        reduction: "mean" for the estimate, "sum" for n times that, to go with an error that is
            summed over the batch, "none" for the n local terms.
        group: ranks that hold the batch together.

    Returns:
        A scalar in nats, or (n,) for ``reduction="none"``.

    Raises:
        TypeError: no tensor of floats, or k is no integer.
        ValueError: not n x d, n <= k, NaN or infinity.
        DuplicatePointsError: duplicated codes without a floor.

    Source:
        Kozachenko and Leonenko (1987); as a loss: Ghose et al. (2020), equation 2.

    Example:
        >>> knn_entropy_loss(torch.tensor([[0.0], [1.0], [3.0]]))
        tensor(-2.4242)
    """
    return -knn_entropy(
        whole_batch(z, group=group, least=k + 1),
        k,
        reduction=reduction,
        zero="raise" if floor is None else "floor",
        floor=floor,
        engine=traceable_engine(),
        validate=not torch.compiler.is_compiling(),
    )


KNNEntropyLoss = as_module("KNNEntropyLoss", knn_entropy_loss)
EntropyLoss = KNNEntropyLoss  # the name at the top of the package
