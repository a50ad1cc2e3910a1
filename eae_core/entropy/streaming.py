"""The entropy of a data set that arrives in batches, on one machine or on many."""

from __future__ import annotations

from contextlib import suppress
from functools import cache, partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from eae_core.distributed import Group, process_group, rows_in_turn
from eae_core.entropy.knn import (
    Correction,
    check_correction,
    entropy_offset,
    knn_entropy,
    repeated_points,
)
from eae_core.entropy.samples import Zero, check_options, check_sample
from eae_core.neighbors import ENGINES, Engine, nearest_neighbors
from eae_core.torchvision_compat import import_torchvision


class KnnEntropy:
    """Collect codes batch by batch, then estimate the entropy of all of them, in nats.

    A mean of batch estimates keeps the large bias of small batches; here all rows are kept, 4 n d
    bytes in float32, and twice that for a moment in `compute`. With a group each rank keeps what it
    was given, and `compute` gives all of them the estimate of everything: the rows go around a
    ring, and no rank ever holds more than three shares. The methods are those of a torchmetrics
    metric, and :meth:`as_metric` makes one. No gradient passes through it.

    Args:
        k: which neighbour.
        device: where rows are kept and the estimate is made; None: where the first batch is.
        dtype: in which rows are kept; None keeps them as they come.
        zero, floor, correction, engine, memory_limit: as in :func:`knn_entropy`.
        group: torch.distributed ranks that hold the data set together, ``"world"`` for all of them.

    Raises:
        TypeError, ValueError: an impossible option.

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
        group: Group = None,
    ) -> None:
        if not (dtype is None or (isinstance(dtype, torch.dtype) and dtype.is_floating_point)):
            raise TypeError(f"dtype must be floating point, such as torch.float32, got {dtype!r}")
        check_options(k, reduction="mean", zero=zero, floor=floor)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        check_correction(correction, k)
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
        self.k = k
        self.device = None if device is None else torch.device(device)
        self.dtype = dtype
        self.floor, self.correction, self.group = floor, correction, group
        self._search = partial(
            nearest_neighbors, k=k, every=True, engine=engine, memory_limit=memory_limit
        )
        self._estimate = partial(
            knn_entropy,
            k=k,
            zero=zero,
            floor=floor,
            correction=correction,
            engine=engine,
            memory_limit=memory_limit,
        )
        self.reset()

    def __len__(self) -> int:
        """Rows collected so far, of this rank."""
        return sum(len(rows) for rows in self._rows)

    def reset(self) -> None:
        """Forget all rows."""
        self._rows: list[Tensor] = []
        self._batches = 0

    def update(self, batch: Tensor) -> None:
        """Add a copy of the rows of a batch (rows, d) of floats; it may have none.

        Raises:
            TypeError, ValueError: no finite floats rows x d, or another d or dtype than before. It
                names the batch by its number since the last reset, from 0, and changes nothing.
        """
        rows = self._accepted(batch, self._rows, self._batches)
        if len(rows):
            self._rows.append(rows)
        self._batches += 1

    def compute(self) -> Tensor:
        """The estimate over all rows, a scalar in nats; with a group, the same on every rank.

        Raises:
            ValueError: no rows yet, or not more than k of them.
            DuplicatePointsError: duplicated points under ``zero="raise"``.
        """
        if len(self._rows) > 1:
            self._rows = [torch.cat(self._rows)]  # once, however often compute is called
        if self.group is not None:
            return self._estimate_together(process_group(self.group))
        if not self._rows:
            raise ValueError("no rows yet: call update(batch) with (rows, d) codes first")
        return self._estimate(self._rows[0])

    def as_metric(self, **options: Any) -> Any:
        """A torchmetrics metric with these options, for its collections, wrappers and loggers.

        It synchronises as others do, every rank gathers all rows: larger data sets want a ``group``
        here instead. Options are those of ``torchmetrics.Metric``.

        Raises:
            ImportError: torchmetrics is not installed.

        Example:
            >>> metric = KnnEntropy(k=3).as_metric()
            >>> metric.update(torch.randn(50, 2))
            >>> metric.compute().shape
            torch.Size([])
        """
        return _metric_class()(self, **options)

    def _accepted(self, batch: Tensor, earlier: list[Tensor], number: int) -> Tensor:
        """A copy of a batch's rows as they are kept, if they fit to those before."""
        name = f"batch {number}"
        if isinstance(batch, Tensor) and batch.ndim == 2 and len(batch) == 0 < batch.shape[1]:
            check_sample(batch.new_zeros(1, batch.shape[1]), name)  # its kind
            return batch
        check_sample(batch, name)
        # A copy: a view would keep its whole storage alive, and show what is written there later.
        rows = batch.detach().to(self.device, self.dtype or batch.dtype, copy=True)
        check_sample(rows, name)  # a narrower dtype may not hold every value
        if not earlier:
            return rows
        first = earlier[0]
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
        return rows.to(first.device)

    def _estimate_together(self, group: dist.ProcessGroup) -> Tensor:
        """Nearest distances to each share as it comes by, the k smallest kept."""
        device = self.device or ("cuda" if dist.get_backend(group) == "nccl" else "cpu")
        mine = self._rows[0] if self._rows else torch.empty(0, 1, device=device)
        own, nearest, n, rank = mine, mine.new_empty(0, 0), 0, dist.get_rank(group)
        for owner, share in rows_in_turn(mine, group):
            if owner == rank:  # first: half precision is lifted, and an empty share has found its d
                own = share.float() if share.dtype.itemsize < 4 else share.clone()
                nearest = own.new_empty(len(own), 0)
            n += len(share)
            exclude = torch.arange(len(own), device=own.device) if owner == rank else None
            k = min(self.k, len(share) - (owner == rank))
            if k >= 1 and len(own):
                found = self._search(own, share.to(own.dtype), k=k, exclude=exclude).distances
                nearest = torch.cat([nearest, found], 1).sort(dim=1).values[:, : self.k]
        if self.k >= n:
            raise ValueError(f"k must lie in 1..n-1 = {n - 1} for n = {n} points, got k = {self.k}")
        rho = nearest[:, -1:].double().clamp(min=self.floor or 0.0)
        sums = torch.stack([rho[rho > 0].log().sum(), (rho == 0).sum()])
        dist.all_reduce(sums, group=group)
        if sums[1]:
            raise repeated_points(int(sums[1]), n, self.k)
        d = own.shape[1]
        return (d * sums[0] / n + entropy_offset(self.correction, n, d, self.k)).to(own.dtype)


@cache
def _metric_class() -> type:
    """Made on first use: the import of torchmetrics takes longer than that of all of this."""
    with suppress(ImportError):  # which torchmetrics imports, and which may be broken
        import_torchvision()
    try:
        from torchmetrics import Metric
        from torchmetrics.utilities import dim_zero_cat
    except ImportError as error:
        raise ImportError("as_metric needs torchmetrics: pip install torchmetrics") from error

    class KnnEntropyMetric(Metric):
        """:class:`KnnEntropy` as torchmetrics knows metrics."""

        is_differentiable = False
        higher_is_better = True
        full_state_update = False

        def __init__(self, template: KnnEntropy, **options: Any) -> None:
            super().__init__(**options)
            self.template, self.rows = template, list[Tensor]()
            self.add_state("rows", default=[], dist_reduce_fx="cat")

        def update(self, z: Tensor) -> None:
            rows = self.template._accepted(z, self.rows, self._update_count - 1)
            if len(rows):
                self.rows.append(rows)

        def compute(self) -> Tensor:
            return self.template._estimate(dim_zero_cat(self.rows))

    KnnEntropyMetric.__qualname__ = "KnnEntropyMetric"  # so that another process finds it
    return KnnEntropyMetric


def __getattr__(name: str) -> type:  # what a pickle of a metric asks for
    if name == "KnnEntropyMetric":
        return _metric_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
