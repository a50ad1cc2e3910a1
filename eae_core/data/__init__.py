"""Data sets: by name, prepared once, whole and on the device."""

from eae_core.data.catalogue import DATASETS, DatasetInfo, dataset_info
from eae_core.data.images import ImageSet, data_root, load_images, prepare, seal, verify
from eae_core.data.prepared import DataCorruptedError, DataUnavailableError
from eae_core.data.unpadded import unpadded_images

__all__ = [
    "DATASETS",
    "DataCorruptedError",
    "DataUnavailableError",
    "DatasetInfo",
    "ImageSet",
    "data_root",
    "dataset_info",
    "load_images",
    "prepare",
    "seal",
    "unpadded_images",
    "verify",
]
