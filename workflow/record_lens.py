"""Measure the entropy of the images of models that are trained already: EAE, AE, WAE, VAE, RAE-L2.

One record a model lands in data/results/decoder-lens/, beside which the records of its training say
how good it is. Three laws of codes, each as a decoder of N(0, I) behind an affine map: N(0, I)
itself, the Gaussian fitted to the codes of training images (the only one that means something where
nothing held the codes near N(0, I)), and the codes of test images, whose entropy is estimated from
nearest neighbours. Several s share one pass of Jacobians.

Models come from the folders of the run matrix (_runs/matrix/<profile>/, those with a record), and
from checkpoints/eae-mnist of the data folder, which workflow/record_mnist.py leaves. A model that
has a record is skipped.

Example:
    python workflow/record_lens.py --dry-run
    python workflow/record_lens.py                 # 15 seconds a model on one core
    python workflow/record_lens.py --models eae --datasets cifar10 --samples 2000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from recording import add_work, checkpoint_path, new_record, run_script, script_parser
from trained import Trained, add_matrix, asked_for, measure_missing, of_matrix

from eae_book.records import Record, recorded, write_record
from eae_book.studies.image_entropy import (
    SCALES,
    ImageEntropy,
    entropy_of_reconstructions,
    entropy_of_samples,
)
from eae_core.data import ImageSet
from eae_core.evaluation import encode_images, fit_density
from eae_core.hardware import peak_memory_bytes, resolve_device
from eae_core.models import Autoencoder
from eae_core.training import load_model

EXPERIMENT = "decoder-lens"
MODELS = ("ae", "eae", "rae_l2", "vae", "wae")
CODES = 2000  # test images whose codes are measured, at the most


def main(words: list[str] | None = None) -> int:
    """Measure and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_lens", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The models one after the other; the status of the script."""
    return measure_missing(EXPERIMENT, trained(arguments), parameters, measure, arguments)


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_lens", __doc__)
    add = parser.add_argument
    add_matrix(parser, profiles=["cpu", "scan"], models=list(MODELS), datasets=["mnist", "cifar10"])
    add("--samples", type=int, default=300, help="codes of each law, default: 300")
    add_work(parser)
    return parser.parse_args(words)


def trained(arguments: argparse.Namespace) -> Iterator[Trained]:
    """The models of a command, each once: of two runs of one name the later."""
    latest = of_matrix(arguments)
    for record in earlier(arguments):
        model = Trained(record, checkpoint_path(arguments, record.experiment, record.run))
        if model.checkpoint.is_file():
            latest.setdefault(model.name, model)
    yield from (model for model in latest.values() if asked_for(model, arguments))


def earlier(arguments: argparse.Namespace) -> list[Record]:
    """Records of workflow/record_mnist.py."""
    return list(recorded("eae-mnist", arguments.records).values())


def parameters(model: Trained, arguments: argparse.Namespace) -> dict[str, Any]:
    """What was measured, and how."""
    said = model.record.parameters
    kept = ("width", "latent_dim", "epochs", "images")
    weight = said.get("options", said).get("entropy_weight")
    return {
        "dataset": model.dataset,
        "model": model.model,
        **({} if weight is None else {"entropy_weight": weight}),
        **{name: said[name] for name in kept if name in said},
        "trained": model.training,
        "samples": arguments.samples,
    }


def measure(trained: Trained, arguments: argparse.Namespace) -> None:
    """Measure one model and write its record."""
    started = time.perf_counter()
    device = resolve_device(arguments.device)
    model = load_model(trained.checkpoint).to(device)
    train, test = trained.images(most=CODES)
    found = {
        **laws(model, train, arguments.samples),
        "codes": entropy_of_reconstructions(
            model, encode_images(model, test), samples=min(arguments.samples, len(test))
        ),
    }
    metrics = {
        f"{name}_{law}": getattr(value, name)
        for law, value in found.items()
        for name in ("entropy", "code_entropy", "stretch")
    }
    errors = {f"standard_error_{law}": v.standard_errors[-1] for law, v in found.items()}
    record = new_record(
        EXPERIMENT,
        trained.name,
        parameters=parameters(trained, arguments),
        metrics=metrics | errors,
        curves={"scale": list(SCALES)}
        | {f"entropy_{law}": list(value.entropies) for law, value in found.items()},
        seeds=trained.record.seeds,
        seconds=round(time.perf_counter() - started, 2),
        peak_memory_bytes=peak_memory_bytes(device),
        data_checksum=trained.record.data_checksum,
        device=arguments.device,
        notes=arguments.note or test.stand_in,
    )
    path = write_record(record, arguments.records)
    shown = ", ".join(f"{law} {value.entropy:.1f}" for law, value in found.items())
    print(f"  {shown} nats, recorded as {path.name}", flush=True)


def laws(model: Autoencoder, train: ImageSet, samples: int) -> dict[str, ImageEntropy]:
    """Entropy of images of N(0, I), and of the Gaussian that fits the codes of training images."""
    codes = encode_images(model, train)
    return {
        law: entropy_of_samples(model, fit_density(law, codes), samples=samples, scales=SCALES)
        for law in ("standard", "gaussian")
    }


if __name__ == "__main__":
    raise SystemExit(main())
