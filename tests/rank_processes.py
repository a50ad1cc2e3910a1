"""Processes that are forked from one that has imported torch: a few ranks mostly wait for that."""

import multiprocessing
from multiprocessing.context import BaseContext


def rank_context() -> BaseContext:
    """Starts processes as `spawn` does, which stands in where no process can be forked."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed", "eae_core.regularizers"])
    return context
