"""Data sets: by name, from own files, or anything that PyTorch can iterate over."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eae_core.data.accept import Source, Stream, as_source
    from eae_core.data.catalogue import DATASETS, DatasetInfo, dataset_info, register_dataset
    from eae_core.data.images import Images, ImageSet, MappedSet
    from eae_core.data.named import data_root, load_images, prepare, seal, verify
    from eae_core.data.own import load_array, load_folder, open_data
    from eae_core.data.prepared import DataCorruptedError, DataUnavailableError

__all__ = [
    "DATASETS", "DataCorruptedError", "DataUnavailableError", "DatasetInfo", "ImageSet", "Images",
    "MappedSet", "Source", "Stream", "as_source", "data_root", "dataset_info",
    "load_array", "load_folder", "load_images", "open_data", "prepare", "register_dataset", "seal",
    "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import the public names on first use, from the homes that need least first."""
    for home in ("catalogue", "prepared", "images", "named", "accept", "own"):
        if name in __all__ and hasattr(part := import_module(f"{__name__}.{home}"), name):
            return getattr(part, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
