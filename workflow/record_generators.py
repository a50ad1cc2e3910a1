"""Train the generators of Struminsky et al. and measure the entropy of what they make.

One record a cell, and a sheet of samples beside it, land in data/results/generators-<profile>/ as
<dataset>-<model>[-upto<k>]-seed<s>; the trained model stays in the data folder, in
checkpoints/generators-<profile>/. Table 2 of the paper is four models (and the corrected WGAN-GP)
on two data sets; Table 3 is the variational autoencoder on the digits 0 to k of MNIST, whose last
cell, all digits, is the one of Table 2 and carries its name. A cell with a valid record is skipped;
one that was stopped (Ctrl-C, a power cut) goes on where it was when the command is given again.

The profile paper trains for 64 epochs on all 70,000 images, as the paper does; on the digits 0 to k
it takes fewer steps where there are fewer images, 6,800 at the least. The profile cpu takes 780.
After so few the length of training shows in the entropy, where the question is what the images do:
so it shows every cell the same number of images, 50,000 within 4 percent, the first 12,500 of the
cell again and again. A cell takes one to two and a half minutes on a core.

Example:
    python workflow/record_generators.py --table 2 --seeds 0 1 2
    python workflow/record_generators.py --table 3 --dry-run
    python workflow/record_generators.py --profile paper --table 2 3 --device cuda
    python workflow/record_generators.py --datasets mnist --models gan wgan --epochs 10 --width 16
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from generator_cells import PROFILES, Cell, planned
from recording import add_work, checkpoint_path, new_record, run_script, script_parser, stopped
from torch.nn import functional as F
from tqdm import tqdm

from eae_book.gans import AdversarialOptions
from eae_book.gans.adversarial import fit_adversarial
from eae_book.gans.generators import GENERATORS, GeneratorModel, build_generator
from eae_book.gans.lee_vae import LeeVAE
from eae_book.records import write_record
from eae_core.data import load_images
from eae_core.entropy.decoder import log_normal
from eae_core.entropy.jacobian import jacobian_singular_values
from eae_core.evaluation import classifier_features, decode_codes, sample_images
from eae_core.evaluation.image_metrics import ImageMetrics, MadeImages
from eae_core.evaluation.sheets import write_sheet
from eae_core.training import History, TrainOptions, fit

SCALES = (1e-2, 1e-3, 1e-4)  # of the noise; the last is the paper's
SAMPLE_SEED = 0  # of the codes, the same for every cell
SHEET_ROWS = 5
CODES = 100  # between two looks of the progress bar
CLASSIFIER_IMAGES = 20_000  # of the training split, at the most
VAE_RATE = 1e-3
BETA1 = 0.5  # of Adam, for all models


def main(words: list[str] | None = None) -> int:
    """Train and measure what is asked for and not yet recorded."""
    arguments = parse(words)
    return run_script("record_generators", lambda: work(arguments))


def work(arguments: argparse.Namespace) -> int:
    """The cells one after the other; the status of the script."""
    cells = [(cell, cell.state(arguments.records)) for cell in planned(arguments)]
    todo = [(cell, state) for cell, state in cells if state != "recorded"]
    print(f"{len(cells)} cells, {len(cells) - len(todo)} of them recorded already", flush=True)
    for number, (cell, state) in enumerate(todo, start=1):
        print(f"cell {number} of {len(todo)}: {cell.run} ({state})", flush=True)
        if arguments.dry_run:
            continue
        # Weights of other sources are no start for these.
        if not train_and_record(cell, arguments, resume=state == "new"):
            return stopped()
    return 0


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = script_parser("record_generators", __doc__)
    add = parser.add_argument
    add("--profile", default="cpu", choices=PROFILES, help="sizes, default: cpu")
    add("--table", type=int, nargs="+", default=[], choices=(2, 3), help="the cells of a table")
    add("--datasets", nargs="+", default=[], metavar="NAME", help="default: the table's, or mnist")
    add("--models", nargs="+", default=[], choices=GENERATORS, help="default: all of the table")
    add("--upto", type=int, nargs="+", default=[], metavar="K", help="only the classes 0 to K")
    add("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    for name, what in (
        ("width", "of the networks, 64 in the paper"),
        ("epochs", "whatever the number of images"),
        ("limit", "images of a cell"),
        ("latent-dim", "d, default: 62"),
        ("samples", "codes behind the entropy"),
        ("judged", "samples behind the Frechet distance"),
    ):
        add(f"--{name}", type=int, metavar="N", help=f"{what}; in place of the profile's")
    add("--no-progress", action="store_true", help="show no progress bar")
    add_work(parser)
    return parser.parse_args(words)


def train_and_record(cell: Cell, arguments: argparse.Namespace, *, resume: bool) -> bool:
    """Train one model, write its record and its sheet; False if Ctrl-C ended the training."""
    sizes = cell.sizes
    torch.manual_seed(cell.seed)  # the first weights
    model = build_generator(cell.model, latent_dim=sizes.latent_dim, width=sizes.width)
    checkpoint = checkpoint_path(arguments, cell.experiment, cell.run)
    history = train(model, cell, arguments, checkpoint, resume=resume)
    if history.interrupted:
        return False
    terms = [name for name in history.epochs[0] if name not in ("epoch", "seconds")]
    curves = {term: history.curve(term) for term in terms}
    measured, spectrum = entropies(model, cell, arguments)
    metrics = {
        **{f"final_{term}": values[-1] for term, values in curves.items()},
        "images_per_second": round(history.images_per_second, 1),
        **measured,
        **looks(model, cell, arguments),
    }
    record = new_record(
        cell.experiment,
        cell.run,
        parameters=cell.parameters
        | {"images": len(cell.images), "epochs_trained": len(history.epochs)},
        seeds=[cell.seed],
        metrics=metrics,
        curves=curves | {"mean_log_singular_values": spectrum},
        seconds=round(history.seconds, 2),
        peak_memory_bytes=history.peak_memory_bytes,
        data_checksum=cell.images.checksum,
        device=arguments.device,
        notes=arguments.note or cell.images.stand_in,
    )
    path = write_record(record, arguments.records)
    samples = sample_images(model, 10 * SHEET_ROWS, seed=SAMPLE_SEED).split(10)
    write_sheet({f"samples {row}": images for row, images in enumerate(samples, 1)}, path)
    print(f"  entropy {metrics['entropy']:.1f} nats, recorded as {path.name}", flush=True)
    return True


def train(
    model: GeneratorModel,
    cell: Cell,
    arguments: argparse.Namespace,
    checkpoint: Path,
    *,
    resume: bool,
) -> History:
    """Train by the loop that the model is for, with Lee's rates."""
    shared = {
        "epochs": cell.epochs,
        "batch_size": cell.sizes.batch_size,
        "seed": cell.seed,
        "device": arguments.device,
        "progress": not arguments.no_progress,
        "beta1": BETA1,
    }
    if isinstance(model, LeeVAE):
        options = TrainOptions(learning_rate=VAE_RATE, **shared)
        return fit(model, cell.images, options, checkpoint=checkpoint, resume=resume)
    game = AdversarialOptions(**shared)
    return fit_adversarial(model, cell.images, game, checkpoint=checkpoint, resume=resume)


def entropies(
    model: GeneratorModel, cell: Cell, arguments: argparse.Namespace
) -> tuple[dict[str, float | int], list[float]]:
    """Entropies in nats, and the mean logarithm of each singular value of the Jacobian.

    Codes are those of :func:`eae_core.decoder_entropy`, and so are the numbers; the singular values
    serve all scales, of which the last is the one reported.
    """
    samples, weight = cell.sizes.samples, next(model.parameters())
    generator = torch.Generator().manual_seed(SAMPLE_SEED)
    z = torch.randn(samples, model.latent_dim, generator=generator, dtype=torch.float64).to(weight)
    parts = []
    with tqdm(total=samples, unit="code", disable=arguments.no_progress) as bar:
        for codes in z.split(CODES):
            parts.append(jacobian_singular_values(model.decode, codes))
            bar.update(len(codes))
    stretches = torch.cat(parts)  # (samples, d)
    metrics: dict[str, float | int] = {"entropy_samples": samples}
    for scale in SCALES:
        volume = torch.hypot(stretches, stretches.new_tensor(scale)).log().sum(1)
        values = volume - log_normal(z)
        metrics[f"entropy_{scale:.0e}".replace("e-0", "e-")] = values.mean().item()
    lost = stretches[:, -1] <= 28 * 28 * torch.finfo(weight.dtype).eps * stretches[:, 0]
    metrics |= {
        "entropy": values.mean().item(),
        "standard_error": values.std().item() / math.sqrt(samples),
        "smallest_value": values.min().item(),
        "largest_value": values.max().item(),
        "rank_deficient": int(lost.sum()),
    }
    least = torch.finfo(weight.dtype).tiny
    return metrics, stretches.clamp(min=least).log().mean(0).tolist()


def looks(
    model: GeneratorModel, cell: Cell, arguments: argparse.Namespace
) -> dict[str, float | int]:
    """How noisy samples are beside the images, and how far their features lie from the test set's.

    The classifier judges models of all classes only: the test images have them all.
    """
    count = min(cell.sizes.judged, len(cell.images))
    real = cell.images.batch(slice(0, count))
    codes = torch.randn(count, model.latent_dim, generator=torch.Generator().manual_seed(1))
    made = decode_codes(model, codes)
    metrics: dict[str, float | int] = {
        "total_variation": total_variation(made),
        "total_variation_of_data": total_variation(real),
        "mean_intensity": made.mean().item(),
        "mean_intensity_of_data": real.mean().item(),
    }
    if cell.upto is not None:
        return metrics
    padded = load_images(cell.dataset)
    labelled = padded.subset(min(CLASSIFIER_IMAGES, len(padded)))
    network = classifier_features(labelled, device=arguments.device)
    test = load_images(cell.dataset, "test")
    compared = ImageMetrics([network], test, 500, 1, 0, None, progress=False)
    framed = F.pad(made, (2, 2, 2, 2))  # to the 32 x 32 of the classifier
    distances = compared.distances({"samples": MadeImages(count, lambda rows: framed[rows])})
    return metrics | distances | {"judged_images": count}


def total_variation(images: torch.Tensor) -> float:
    """Absolute differences of neighbouring pixels, summed over an image, mean over images."""
    down, right = images.diff(dim=2).abs(), images.diff(dim=3).abs()
    return (down.flatten(1).sum(1) + right.flatten(1).sum(1)).mean().item()


if __name__ == "__main__":
    raise SystemExit(main())
