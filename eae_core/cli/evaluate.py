"""The verb evaluate: how good is what a model makes, and is its code Gaussian?"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from eae_core.cli.models import check_pictures, data_for, model_file, open_model
from eae_core.cli.tables import print_table
from eae_core.errors import UsageError

if TYPE_CHECKING:
    from eae_core.data import Images
    from eae_core.evaluation import Scores

EVALUATION = "evaluation.json"
SAMPLES_MOST = 10_000


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the scores of a model, and leave them and a picture in a folder."""
    from eae_core.cli.scoring import networks, write_pictures
    from eae_core.evaluation import DENSITIES, codes_needed, gaussianity_report, score_model
    from eae_core.evaluation.sheets import COLUMNS
    from eae_core.files import check_writable, replacing
    from eae_core.models import encode_images
    from eae_core.seeds import check_seed

    model = open_model(arguments)
    check_pictures(model)
    data = data_for(model, arguments)
    if arguments.samples is not None and arguments.samples < 5:
        raise UsageError(f"--samples must be at least 5, got {arguments.samples}")
    try:
        check_seed(arguments.seed, "--seed")
        train, test = (_some(data.images(split), arguments.limit) for split in ("train", "test"))
        if len(test) < COLUMNS:
            raise ValueError(
                f"the picture shows {COLUMNS} test images, there are {len(test)}: take a larger "
                "--test-fraction or --limit"
            )
        _say_if_others(arguments, train)
        extractors = networks(arguments.networks, train, arguments.device)
        folder = arguments.output or model_file(arguments.model).parent
        check_writable(folder)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    few = [name for name in DENSITIES if len(train) < codes_needed(name, model.latent_dim)]
    for name in few:
        needed = codes_needed(name, model.latent_dim)
        print(f"left out: {name}, which needs {needed} training images", file=sys.stderr)
    device = next(model.parameters()).device
    try:
        scores = score_model(
            model,
            train.to(device),
            test.to(device),
            extractors=extractors,
            densities=[name for name in DENSITIES if name not in few],
            samples=arguments.samples or min(len(test), SAMPLES_MOST),
            seed=arguments.seed,
            progress=not arguments.no_progress,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    with replacing(folder / EVALUATION) as temporary:
        numbers = {"dataset": data.name, "extractors": scores.extractors, **scores.metrics()}
        temporary.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    sheet, rows = write_pictures(model, train, test, folder)
    _print_scores(scores)
    if "gaussianity" not in scores.missing:
        print("\n" + gaussianity_report(encode_images(model, test)).table())
    for name, reason in scores.missing.items():
        print(f"no number for {name}: {reason}")
    print(f"\nleft in {folder}: {EVALUATION}, {sheet.name}")
    print(f"the rows of {sheet.name}, from above: {', '.join(rows)}")
    return 0


def _some(images: Images, limit: int | None) -> Images:
    return images if limit is None else images.subset(min(limit, len(images)))


def _say_if_others(arguments: argparse.Namespace, train: Images) -> None:
    """Say if these are not the images that the model was trained on."""
    from eae_core.training.checkpoints import read_checkpoint

    trained_on = read_checkpoint(model_file(arguments.model)).images
    if (trained_on["checksum"], trained_on["number"]) != (train.checksum, len(train)):
        print(
            f"the model was trained on {trained_on['number']} other images ({trained_on['name']}): "
            "densities are fitted to the codes of those given here, and where the data are the "
            "same in part (another --limit or --test-fraction), it may have seen test images",
            file=sys.stderr,
        )


def _print_scores(scores: Scores) -> None:
    """A table for each evaluation network, a row for each set of images that it judged."""
    from eae_core.evaluation.image_metrics import metric_names

    print(
        f"{scores.samples} samples beside {scores.reference_images} test images of "
        f"{scores.dataset}; compare at equal numbers only"
    )
    for extractor in scores.extractors:
        frechet, label = metric_names(extractor)
        columns = {
            extractor: f"{frechet}_",
            "KID": f"kid_{label}_",
            "precision": f"precision_{label}_",
            "recall": f"recall_{label}_",
        }
        made = [k.removeprefix(f"{frechet}_") for k in scores.values if k.startswith(f"{frechet}_")]
        rows = [["images", *columns]]
        for name in made:
            found = [scores.values.get(prefix + name) for prefix in columns.values()]
            rows.append([name, *("-" if x is None else f"{x:.4g}" for x in found)])
        print()
        print_table(rows)
    print(
        "\nreal: training images, as near as a model can come. Smaller distances are better, and "
        "larger\nprecision (samples look like images) and recall (images look like samples), from "
        "0 to 1."
    )
    print(f"squared error of reconstructions: {scores.values['reconstruction_error']:.4g}")
