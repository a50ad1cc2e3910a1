"""How much memory a search may use, and how many rows fit into it."""

from __future__ import annotations

import math
import os

import numpy as np
import torch

SHARE = 1 / 8  # of what is free
SMALL = 2**26  # bytes
UNKNOWN_FREE = 2 * 2**30  # bytes taken as free where the system does not say


def memory_to_use(device: torch.device, limit: int | None, *, small: bool = False) -> int:
    """The limit asked for in bytes, or a share of what is free on the device.

    A small search does not ask the device, which takes longer than the search.

    Example:
        >>> memory_to_use(torch.device("cpu"), 10**6)
        1000000
    """
    if limit is None:
        return SMALL if small else int(SHARE * _free_memory(device))
    if isinstance(limit, bool) or not isinstance(limit, (int, float, np.number)):
        raise TypeError(f"memory_limit must be a number of bytes or None, got {limit!r}")
    if not 1 <= limit < math.inf:
        raise ValueError(f"memory_limit counts bytes and must be at least 1, got {limit}")
    return int(limit)  # 1e9 is a gigabyte


def rows_within(limit: int, bytes_per_row: int, fixed: int = 0) -> int:
    """How many rows fit into what a limit leaves; at least one, else ValueError says what it takes.

    Example:
        >>> rows_within(1000, 300)
        3
    """
    if fixed + bytes_per_row > limit:
        raise ValueError(
            f"memory_limit={limit} is too small: one query needs {fixed + bytes_per_row} bytes here"
        )
    return (limit - fixed) // bytes_per_row


def _free_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not Linux
        return UNKNOWN_FREE
