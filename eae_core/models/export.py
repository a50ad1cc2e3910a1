"""Encoder and decoder of a model for other programs: ONNX, torch.export, or weights alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from eae_core.errors import CommandError, require
from eae_core.files import replacing
from eae_core.models.autoencoders import Autoencoder

Kind = Literal["onnx", "torch", "safetensors"]
SUFFIXES: dict[Kind, str] = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
TOLERANCE = 1e-4  # between programs, of numbers of order 1
_SIZES = (2, 5)  # of the batches that are compared; one of them is exported with
_Run: TypeAlias = Callable[[Tensor], Tensor]  # what was written, read back


class ExportError(CommandError):
    """What was written does not compute what the model does."""


class _Part(nn.Module):
    """The encoder or the decoder, with what the model does around its network."""

    def __init__(self, model: Autoencoder, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.model.encode(x) if self.name == "encoder" else self.model.decode(x)
        return found


def export_model(model: Autoencoder, folder: str | Path, *kinds: Kind) -> list[Path]:
    """Write encoder and decoder for batches of any size, compared with the model; on the CPU.

    The encoder maps images (n, c, h, w) in [0, 1] to codes (n, d), constraint included; the decoder
    maps codes to images. Weights alone lack what a constraint remembers.

    Args:
        model: trained.
        folder: where to.
        kinds: "onnx" (needs onnx, onnxscript and onnxruntime), "torch" (for ``torch.export.load``),
            "safetensors" (weights alone).

    Returns:
        The files, encoder before decoder of each kind.

    Raises:
        ExportError: the model cannot be exported, or a file does not compute what it does.
        ValueError, UsageError, OSError: another kind; a package or a folder that is not there.

    Example:
        >>> import tempfile
        >>> from eae_core.models import build_model
        >>> model = build_model("eae", (1, 32, 32), latent_dim=2, width=1)
        >>> [path.name for path in export_model(model, tempfile.mkdtemp(), "safetensors")]
        ['encoder.safetensors', 'decoder.safetensors']
    """
    if not kinds or (odd := [kind for kind in kinds if kind not in SUFFIXES]):
        raise ValueError(f"choose from {', '.join(get_args(Kind))}, got {odd if kinds else 'none'}")
    if "onnx" in kinds:
        require(["onnx", "onnxscript", "onnxruntime"], extra="export")
    training, device = model.training, next(model.parameters()).device
    shapes = {"encoder": model.image_shape, "decoder": (model.latent_dim,)}
    written = []
    try:
        model.cpu().eval()
        for kind in dict.fromkeys(kinds):
            for name, shape in shapes.items():
                path = Path(folder) / f"{name}{SUFFIXES[kind]}"
                with replacing(path) as temporary:
                    _write(kind, _Part(model, name), shape, temporary, path.name)
                written.append(path)
    finally:
        model.to(device).train(training)
    return written


def _write(kind: Kind, part: _Part, shape: tuple[int, ...], path: Path, name: str) -> None:
    """Write a part, run what was written on batches of two sizes, and compare."""
    write = {"onnx": _onnx, "torch": _torch, "safetensors": _safetensors}[kind]
    generator = torch.Generator().manual_seed(0)
    batches = [torch.rand(size, *shape, generator=generator) for size in _SIZES]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters' remarks on their own versions
            run = write(part, batches[0], path)
            found = [run(x) for x in batches]
    except Exception as error:  # exporters raise whatever stopped them
        raise ExportError(f"the {part.name} cannot be written to {name}: {error}") from error
    for x, y in zip(batches, found, strict=True):
        with torch.no_grad():
            expected = part(x)
        worst = float((y - expected).abs().max()) if y.shape == expected.shape else float("inf")
        if not worst <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise ExportError(
                f"{name} gives other numbers than the model for a batch of {len(x)}: shape "
                f"{tuple(y.shape)} beside {tuple(expected.shape)}, off by up to {worst:g}"
            )


def _exported(part: _Part, x: Tensor) -> Any:
    return torch.export.export(part, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def _onnx(part: _Part, x: Tensor, path: Path) -> _Run:
    import onnxruntime

    names = ["images", "codes"] if part.name == "encoder" else ["codes", "images"]
    program = torch.onnx.export(
        _exported(part, x),
        dynamo=True,
        input_names=names[:1],
        output_names=names[1:],
        verbose=False,
        dynamic_shapes=({0: "batch"},),
    )
    assert program is not None  # as it is for dynamo=True
    program.save(str(path), external_data=False)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {names[0]: x.numpy()})[0])


def _torch(part: _Part, x: Tensor, path: Path) -> _Run:
    with path.open("wb") as file:
        torch.export.save(_exported(part, x), file)
    with path.open("rb") as file:
        run: _Run = torch.export.load(file).module()
    return run


def _safetensors(part: _Part, x: Tensor, path: Path) -> _Run:
    from safetensors.torch import load_file, save_file

    network = getattr(part.model, part.name)
    own = {name: value.clone() for name, value in network.state_dict().items()}
    save_file({name: value.contiguous() for name, value in own.items()}, path)
    weights = load_file(path)

    def run(x: Tensor) -> Tensor:
        for value in network.state_dict().values():
            value.zero_()  # so that what runs is what was read
        try:
            network.load_state_dict(weights)
            found: Tensor = part(x)
            return found
        finally:
            network.load_state_dict(own)

    return run
