"""Have Inception evaluate trained models, beside the small network of their tables.

One record a model lands in data/results/models-inception/ (for another profile than cpu in
models-inception-<profile>/). Both networks look at the same images:
reconstructions of test images, and images from N(0, I), from ten Gaussians fitted to codes, and
from a model's own law where it has another one. So where they disagree it is the network that
differs, not the draw. The small network is the one of the model's own record: a classifier of the
data set, or CIFAR-10's for images without labels.

Models come from the folders of the run matrix (_runs/matrix/<profile>/, those with a record). A
model that has a record is skipped. Inception takes 0.1 to 0.2 seconds an image on a core.

Example:
    python workflow/record_inception.py --dry-run
    python workflow/record_inception.py --seeds 0          # about two minutes a model on a core
    python workflow/record_inception.py --models eae vae --datasets cifar10 --samples 2000
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from recording import add_work, new_record, run_script, script_parser
from trained import (
    Trained,
    add_matrix,
    asked_for,
    measure_missing,
    of_matrix,
    small_network,
)

from eae_book.records import write_record
from eae_core.data import ImageSet
from eae_core.evaluation import (
    encode_images,
    fit_density,
    inception_features,
    kernel_distance,
    reference_features,
)
from eae_core.evaluation.image_metrics import ImageMetrics, decoded, metric_names, rebuilt
from eae_core.evaluation.scores import own_codes
from eae_core.hardware import peak_memory_bytes, resolve_device
from eae_core.models import MODELS
from eae_core.training import load_model

EXPERIMENT = "models-inception"
LAWS = ("standard", "mixture")


def main(words: list[str] | None = None) -> int:
    """Evaluate and record what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_inception", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The models one after the other; the status of the script."""
    asked = [
        model
        for model in of_matrix(arguments).values()
        if asked_for(model, arguments) and set(model.record.seeds) & set(arguments.seeds)
    ]
    return measure_missing(experiment(arguments), asked, parameters, evaluate, arguments)


def experiment(arguments: argparse.Namespace) -> str:
    """Folder of the records: one a profile, for runs of two profiles may share a name."""
    (profile,) = arguments.profiles
    return EXPERIMENT if profile == "cpu" else f"{EXPERIMENT}-{profile}"


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_inception", __doc__)
    add_matrix(parser, profiles=["cpu"], models=list(MODELS), datasets=["cifar10", "celeba64"])
    add = parser.add_argument
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of trainings, default: 0 1 2")
    add("--samples", type=int, default=250, help="images of each kind, default: 250")
    add("--references", type=int, default=1000, help="test images, default: 1000")
    add_work(parser)
    arguments = parser.parse_args(words)
    if len(arguments.profiles) > 1:
        parser.error("one profile at a time")
    return arguments


def parameters(model: Trained, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is evaluated, and by how many images."""
    return {
        "dataset": model.dataset,
        "model": model.model,
        "trained": model.training,
        "samples": arguments.samples,
        "references": arguments.references,
    }


def evaluate(trained: Trained, arguments: argparse.Namespace) -> None:
    """Evaluate one model and write its record."""
    started = time.perf_counter()
    device = resolve_device(arguments.device)
    model = load_model(trained.checkpoint).to(device)
    train, test = trained.images(most=arguments.references)
    extractors = [small_network(train, arguments.device), inception_features(device=device)]
    n = min(arguments.samples, len(test))
    codes = encode_images(model, train)
    drawn = {law: fit_density(law, codes, seed=0).sample(n, seed=0) for law in LAWS}
    drawn |= own_codes(model, n, seed=0)
    made = {law: decoded(model, z) for law, z in drawn.items()}
    made["reconstruction"] = rebuilt(model, test, n)
    compared = ImageMetrics(extractors, test, 50, 20, 0, None, progress=True)
    metrics = {**of_real(compared, train.subset(n)), **compared.scores(made)}
    record = new_record(
        experiment(arguments),
        trained.name,
        parameters=parameters(trained, arguments)
        | {"extractors": {one.name: one.checksum for one in extractors}},
        metrics=metrics,
        seeds=trained.record.seeds,
        seconds=round(time.perf_counter() - started, 2),
        peak_memory_bytes=peak_memory_bytes(device),
        data_checksum=trained.record.data_checksum,
        device=arguments.device,
        notes=arguments.note or test.stand_in,
    )
    path = write_record(record, arguments.records)
    shown = ", ".join(f"{law} {metrics[f'kid_768_{law}']:.3f}" for law in made)
    print(f"  KID-768: {shown}, recorded as {path.name}", flush=True)


def of_real(compared: ImageMetrics, images: ImageSet) -> dict[str, float]:
    """Both distances of as many training images: what a perfect model would reach."""
    values = compared.real(images)
    for one in compared.extractors:
        features = reference_features(one, images).features
        kid = kernel_distance(features, compared.references[one.name].features, subsets=20)
        values[f"kid_{metric_names(one.name)[1]}_real"] = kid.mean
    return values


if __name__ == "__main__":
    raise SystemExit(main())
