"""Import torchvision, also beside a torch build that its compiled part was not made for.

The torchvision wheel on the package index is compiled for CUDA. Beside a CPU-only torch its import
stops with "operator torchvision::nms does not exist": it describes two operators that only its
compiled part declares. Declaring their schemas is enough: data sets, transforms and models are
plain Python. The operators themselves stay unavailable.
"""

import importlib
import warnings
from types import ModuleType

import torch

_declared: list[torch.library.Library] = []  # a declaration lives as long as its library object


def import_torchvision(submodule: str = "") -> ModuleType:
    """Return torchvision, or one of its submodules, declaring the missing operators if need be.

    After the first call a plain `import torchvision` works as well, also inside other packages.

    Args:
        submodule: a dotted name below torchvision, such as "transforms.v2".

    Raises:
        ImportError: torchvision is not installed, or cannot be imported for another reason.
    """
    try:
        _import("torchvision")
    except RuntimeError as error:
        if _declared or "operator torchvision::" not in str(error):
            raise ImportError(f"torchvision cannot be imported: {error}") from error
        _declare_operators()
        _import("torchvision")
    return _import(f"torchvision.{submodule}" if submodule else "torchvision")


def _import(name: str) -> ModuleType:
    with warnings.catch_warnings():
        # The compiled image readers fail to load for the same reason; Pillow reads images here.
        warnings.filterwarnings("ignore", message="Failed to load image Python extension")
        return importlib.import_module(name)


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
