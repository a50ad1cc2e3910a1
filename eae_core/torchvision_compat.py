"""Import torchvision, also beside a torch build that its compiled part was not made for.

The torchvision wheel on the package index is compiled for CUDA. Beside a CPU-only torch its
compiled part cannot be loaded; torchvision means to go on without it, but while it is imported it
describes the outputs of two operators, `nms` and `qnms`, that only the compiled part declares, and
stops with "operator torchvision::nms does not exist". Declaring the two schemas is enough: data
sets, transforms and models are plain Python. The operators themselves stay unavailable.
"""

import importlib
import warnings
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# A declaration lives as long as its library object.
_declared: list[torch.library.Library] = []


def import_torchvision(submodule: str = "") -> ModuleType:
    """Return torchvision, or one of its submodules, declaring the missing operators if need be.

    Where torchvision imports as it is, nothing is declared. After the first call a plain
    `import torchvision` works as well, also inside other packages.

    Args:
        submodule: a dotted name below torchvision, such as "transforms.v2".

    Raises:
        ImportError: torchvision is not installed, or cannot be imported for another reason.

    >>> import_torchvision("transforms").CenterCrop(140).size
    (140, 140)
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
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
