"""The entropy of a data set that arrives in batches."""

from __future__ import annotations

import torch
from torch import Tensor

from eae_core.entropy.knn import Correction, check_correction, knn_entropy
from eae_core.entropy.samples import Zero, check_options, check_sample
from eae_core.neighbors import ENGINES, Engine


class KnnEntropy:
    """Collect codes batch by batch, then estimate the entropy of all of them, in nats.

    A mean of batch estimates is no estimate of the data set's entropy: a small batch has a large
    bias, and averaging does not reduce it. Neighbours must be sought among all points, so all rows
    are kept: n x d numbers of the dtype in which they came, 4 n d bytes in float32 (64 MB for a
    million 16-dimensional codes). `compute` joins them, which takes the same again for a moment.

    The methods are those of a torchmetrics metric; the class does not depend on that package. No
    gradient passes through it: as a loss, use :func:`eae_core.entropy.knn_entropy` on one batch.

    Args:
        k: which neighbour.
        device: where rows are kept and the estimate is made; None keeps them where the first batch
            is. ``"cpu"`` spares the memory of a GPU at the cost of a copy.
        dtype: in which rows are kept; None keeps them as they come.
        zero: as in :func:`eae_core.entropy.knn_entropy`.
        floor: as in :func:`eae_core.entropy.knn_entropy`.
        correction: as in :func:`eae_core.entropy.knn_entropy`.
        engine: as in :func:`eae_core.entropy.knn_entropy`.
        memory_limit: as in :func:`eae_core.entropy.knn_entropy`.

    Raises:
        TypeError: ``dtype`` is no floating dtype, or k is no integer.
        ValueError: an option of the estimate is unknown, or a floor missing.

    Example:
        >>> z = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
        >>> metric = KnnEntropy(k=3)
        >>> for batch in z.split(128):
        ...     metric.update(batch)
        >>> len(metric), bool(metric.compute() == knn_entropy(z, k=3))
        (1000, True)
    """

    def __init__(
        self,
        k: int = 1,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        zero: Zero = "raise",
        floor: float | None = None,
        correction: Correction = "digamma",
        engine: Engine = "auto",
        memory_limit: int | None = None,
    ) -> None:
        if not (dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point)):
            raise TypeError(f"dtype must be floating point, such as torch.float32, got {dtype}")
        check_options(k, reduction="mean", zero=zero, floor=floor)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        check_correction(correction, k)
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
        self.k = k
        self.device = None if device is None else torch.device(device)
        self.dtype = dtype
        self.zero: Zero = zero
        self.floor = floor
        self.correction: Correction = correction
        self.engine: Engine = engine
        self.memory_limit = memory_limit
        self.reset()

    def __len__(self) -> int:
        """Rows collected so far."""
        return sum(len(rows) for rows in self._rows)

    def reset(self) -> None:
        """Forget all rows."""
        self._rows: list[Tensor] = []
        self._batches = 0

    def update(self, batch: Tensor) -> None:
        """Add the rows of a batch; a refused batch changes nothing.

        Args:
            batch: (rows, d) floats; a batch of no rows is allowed. Copied, so it may be reused.

        Raises:
            TypeError: no tensor, or not of floats.
            ValueError: not rows x d, NaN or infinity, or a d or dtype that differs from those of
                earlier batches. The batch is named by its number since the last reset, from 0.
        """
        name = f"batch {self._batches}"
        if isinstance(batch, Tensor) and batch.ndim == 2 and len(batch) == 0 < batch.shape[1]:
            check_sample(batch.new_zeros(1, batch.shape[1]), name)  # its kind
            self._batches += 1
            return
        check_sample(batch, name)
        # A copy: a view would keep its whole storage alive, and show what is written there later.
        rows = batch.detach().to(self.device, self.dtype or batch.dtype, copy=True)
        check_sample(rows, name)  # a narrower dtype may not hold every value
        if self._rows:
            self._check_fit(name, rows)
            rows = rows.to(self._rows[0].device)
        self._rows.append(rows)
        self._batches += 1

    def compute(self) -> Tensor:
        """The estimate over all rows, a scalar in nats.

        Raises:
            ValueError: no rows yet, or not more than k of them.
            DuplicatePointsError: duplicated points under ``zero="raise"``.
        """
        if not self._rows:
            raise ValueError("no rows yet: call update(batch) with (rows, d) codes first")
        if len(self._rows) > 1:
            self._rows = [torch.cat(self._rows)]  # once, however often compute is called
        return knn_entropy(
            self._rows[0],
            self.k,
            zero=self.zero,
            floor=self.floor,
            correction=self.correction,
            engine=self.engine,
            memory_limit=self.memory_limit,
        )

    def _check_fit(self, name: str, rows: Tensor) -> None:
        first = self._rows[0]
        if rows.shape[1] != first.shape[1]:
            raise ValueError(
                f"{name} has d = {rows.shape[1]}, earlier batches have d = {first.shape[1]}; "
                "call reset() between data sets"
            )
        if rows.dtype != first.dtype:
            raise ValueError(
                f"{name} is {rows.dtype}, earlier batches are {first.dtype}; pass dtype= to "
                "KnnEntropy to keep all rows in one"
            )
