"""The verb export: encoder and decoder for other programs."""

from __future__ import annotations

import argparse

from eae_core.cli.models import model_file, open_model
from eae_core.errors import UsageError


def export(arguments: argparse.Namespace) -> int:
    """Write encoder and decoder in the formats asked for, compared with the model."""
    from eae_core.models.export import SUFFIXES, export_model

    kinds = [kind for kind in SUFFIXES if getattr(arguments, kind)]
    if not kinds:
        raise UsageError("say which: --onnx, --torch or --safetensors, or several")
    model = open_model(arguments)
    folder = arguments.output or model_file(arguments.model).parent
    files = export_model(model, folder, *kinds)
    shape, d = " x ".join(map(str, model.image_shape)), model.latent_dim
    print(f"encoder: n x {shape} in [0, 1] to n x {d}; decoder: back. Compared with the model:")
    for path in files:
        print(f"  {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0
