"""Data sets: by name, from own files, or anything that PyTorch can iterate over."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eae_core.data.accept import IndexedSource, Source, Stream, as_source
    from eae_core.data.catalogue import DATASETS, DatasetInfo, dataset_info, register_dataset
    from eae_core.data.images import ImageSet, data_root, load_images, prepare, seal, verify
    from eae_core.data.mapped import Images, MappedSet
    from eae_core.data.own import load_array, load_folder, open_data
    from eae_core.data.prepared import DataCorruptedError, DataUnavailableError

_HOMES = {
    "accept": ("IndexedSource", "Source", "Stream", "as_source"),
    "catalogue": ("DATASETS", "DatasetInfo", "dataset_info", "register_dataset"),
    "images": ("ImageSet", "data_root", "load_images", "prepare", "seal", "verify"),
    "mapped": ("Images", "MappedSet"),
    "own": ("load_array", "load_folder", "open_data"),
    "prepared": ("DataCorruptedError", "DataUnavailableError"),
}
__all__ = [
    "DATASETS", "DataCorruptedError", "DataUnavailableError", "DatasetInfo", "ImageSet", "Images",
    "IndexedSource", "MappedSet", "Source", "Stream", "as_source", "data_root", "dataset_info",
    "load_array", "load_folder", "load_images", "open_data", "prepare", "register_dataset", "seal",
    "verify",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import the public names on first use: who only asks for names of sets need not wait."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
