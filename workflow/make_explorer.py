"""Train the four small models of the first page's explorer; write their decoders for a browser.

An autoencoder, the same behind batch normalisation, an EAE and a VAE learn MNIST with dense
networks and two numbers a code. Their decoders go, in whole numbers of eight bits, into a script
that a page reads without a server; distances and errors go into a record.

Example:
    python workflow/make_explorer.py
    python workflow/make_explorer.py --epochs 1 --limit 2000 --script /tmp/x.js --records /tmp/r
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording import Judge, add_places, new_record, run_script, script_parser
from torch import nn

from eae_book.records import write_record
from eae_core.data import ImageSet, load_images
from eae_core.evaluation import encode_images, reconstruction_error, sample_images
from eae_core.files import replacing
from eae_core.models import AEOptions, EAEOptions, ModelOptions, published_options
from eae_core.models.building import find_model
from eae_core.training import TrainOptions, fit

SCRIPT = Path(__file__).resolve().parents[1] / "book/_static/explorables/latent-data.js"
SIDE, PAD, HIDDEN, ENCODER_HIDDEN, CLOUD = 28, 2, 80, 256, 600
MODELS: dict[str, tuple[str, str, ModelOptions]] = {
    "ae": ("plain autoencoder", "ae", AEOptions()),
    "bn": ("batch norm alone", "ae", AEOptions(normalize_code=True)),
    "eae": ("EAE: batch norm and entropy", "eae", EAEOptions(entropy_weight=1.0)),
    "vae": ("variational autoencoder", "vae", published_options("vae", "mnist")),
}


def main(words: list[str] | None = None) -> int:
    """Train, write the script and the record."""
    parser = script_parser("make_explorer", __doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--limit", type=int, default=60_000, help="training images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--script", type=Path, default=SCRIPT)
    add_places(parser)
    arguments = parser.parse_args(words)
    return run_script("make_explorer", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The four models one after the other; the status of the script."""
    padded, test = load_images("mnist", limit=arguments.limit), load_images("mnist", "test")
    judge = Judge.trained_on(padded, train=padded, test=test)
    images, held_out = cropped(padded), cropped(test)
    written, metrics = [], {}
    for name, (title, kind, options) in MODELS.items():
        print(f"train {title}", flush=True)
        model = build(kind, options, arguments.seed)
        training = TrainOptions(
            epochs=arguments.epochs,
            batch_size=200,
            learning_rate=2e-3,
            learning_rate_decay=0.85,
            seed=arguments.seed,
            device="cpu",
        )
        history = fit(model, images, training)
        samples = nn.functional.pad(sample_images(model, 10_000, seed=0), (PAD,) * 4)
        codes = encode_images(model, held_out)[:CLOUD]
        metrics[f"distance_{name}"] = judge.distance(samples)
        metrics[f"error_{name}"] = reconstruction_error(model, held_out)
        metrics[f"seconds_{name}"] = round(history.seconds, 1)
        written.append(as_written(name, title, model, codes))
        written[-1]["distance"] = round(metrics[f"distance_{name}"])
        print(f"  {metrics[f'distance_{name}']:.1f} from the test images", flush=True)
    data = {"side": SIDE, "models": written, "labels": held_out.labels[:CLOUD].tolist()}
    with replacing(arguments.script) as temporary:
        text = json.dumps(data, separators=(",", ":"))
        temporary.write_text(f"window.EAE_LATENT={text};\n", encoding="ascii")
    record = new_record(
        "explorer",
        "mnist",
        parameters={
            "dataset": "mnist",
            "images": len(images),
            "epochs": arguments.epochs,
            "hidden": HIDDEN,
            "latent_dim": 2,
            "models": list(MODELS),
            "seed": arguments.seed,
            "samples": 10_000,
        },
        metrics=metrics,
        seeds=[arguments.seed],
        data_checksum=images.checksum,
        device="cpu",
    )
    print(f"left {write_record(record, arguments.records).name} and {arguments.script.name}")
    return 0


def cropped(images: ImageSet) -> ImageSet:
    """MNIST as it comes, 28 x 28, without the zeros around it."""
    inner = images.images[:, :, PAD:-PAD, PAD:-PAD].contiguous()
    return ImageSet(images.name, images.split, inner, images.labels, images.checksum)


def build(kind: str, options: ModelOptions, seed: int) -> Any:
    """A model with a wide encoder and a decoder small enough for a page."""
    torch.manual_seed(seed)
    model_class = find_model(kind)[0]
    outputs = 2 * model_class.encoder_outputs_per_dim
    encoder = nn.Sequential(
        *(nn.Flatten(), nn.Linear(SIDE**2, ENCODER_HIDDEN), nn.BatchNorm1d(ENCODER_HIDDEN)),
        *(nn.ReLU(), nn.Linear(ENCODER_HIDDEN, ENCODER_HIDDEN), nn.BatchNorm1d(ENCODER_HIDDEN)),
        *(nn.ReLU(), nn.Linear(ENCODER_HIDDEN, outputs)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()),
        *(nn.Linear(HIDDEN, SIDE**2), nn.Unflatten(1, (1, SIDE, SIDE)), nn.Sigmoid()),
    )
    return model_class(encoder, decoder, 2, options)  # type: ignore[call-arg]


def as_written(name: str, title: str, model: Any, codes: torch.Tensor) -> dict[str, Any]:
    """A decoder and a cloud of codes as the script holds them.

    Each row of a weight matrix is divided by its largest size over 127 and rounded.
    """
    layers = []
    for layer in model.decoder:
        if isinstance(layer, nn.Linear):
            weight = layer.weight.detach().numpy()
            scale = np.abs(weight).max(1) / 127
            whole = np.round(weight / scale[:, None]).astype(np.int8)
            bias = layer.bias.detach().numpy()
            layers.append({"w": packed(whole), "s": packed(scale), "b": packed(bias)})
    return {"name": name, "title": title, "layers": layers, "cloud": packed(codes.numpy())}


def packed(array: np.ndarray) -> str:
    """Bytes of an int8 or float32 array in base64."""
    kept = array if array.dtype == np.int8 else array.astype("<f4")
    return base64.b64encode(np.ascontiguousarray(kept).tobytes()).decode()


if __name__ == "__main__":
    sys.exit(main())
