"""Exact k-nearest-neighbour search: several engines, one answer."""

from eae_core.neighbors.search import (
    ENGINES,
    Engine,
    Neighbors,
    knn_distances,
    nearest_neighbors,
)

__all__ = ["ENGINES", "Engine", "Neighbors", "knn_distances", "nearest_neighbors"]
