"""The verb evaluate: how good is what a model makes, and is its code Gaussian?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from eae_core.cli.models import check_pictures, data_for, first_of, model_file, open_model
from eae_core.cli.tables import print_table
from eae_core.data import Images, ImageSet
from eae_core.errors import UsageError, refusing, require
from eae_core.evaluation import (
    DENSITIES,
    DegenerateCodesError,
    FeatureExtractor,
    Scores,
    classifier_features,
    codes_needed,
    encode_images,
    fit_density,
    gaussianity_report,
    inception_features,
    score_model,
)
from eae_core.evaluation.image_metrics import metric_names
from eae_core.evaluation.sheets import COLUMNS, picture_rows, write_sheet
from eae_core.files import check_writable, write_json
from eae_core.models import Autoencoder
from eae_core.seeds import check_seed
from eae_core.training.checkpoints import read_checkpoint

EVALUATION, SHEET = "evaluation.json", "sheet"  # the second with a suffix
SAMPLES_MOST = 10_000


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the scores of a model, and leave them and a picture in a folder."""
    model = open_model(arguments)
    check_pictures(model)
    data = data_for(model, arguments)
    check_samples(arguments.samples)
    with refusing():
        check_seed(arguments.seed, "--seed")
        train, test = (first_of(data.images(split), arguments.limit) for split in ("train", "test"))
        if len(test) < COLUMNS:
            raise ValueError(
                f"the picture shows {COLUMNS} test images, there are {len(test)}: take a larger "
                "--test-fraction or --limit"
            )
        _say_if_others(arguments, train)
        extractors = networks(arguments.networks, train, arguments.device)
        folder = arguments.output or model_file(arguments.model).parent
        check_writable(folder)
        needed = {name: codes_needed(name, model.latent_dim) for name in DENSITIES}
        for name in (few := [name for name in DENSITIES if len(train) < needed[name]]):
            text = f"left out: {name}, which needs {needed[name]} training images"
            print(text, file=sys.stderr)
        device = next(model.parameters()).device
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
    numbers = {"dataset": data.name, "extractors": scores.extractors, **scores.metrics()}
    write_json(numbers, folder / EVALUATION)
    sheet, rows = write_pictures(model, train, test, folder)
    _print_scores(scores)
    if "gaussianity" not in scores.missing:
        print("\n" + gaussianity_report(encode_images(model, test)).table())
    for name, reason in scores.missing.items():
        print(f"no number for {name}: {reason}")
    print(f"\nleft in {folder}: {EVALUATION}, {sheet.name}")
    print(f"the rows of {sheet.name}, from above: {', '.join(rows)}")
    return 0


def check_samples(samples: int | None) -> None:
    """Raise UsageError unless there are enough for a distance."""
    if samples is not None and samples < 5:
        raise UsageError(f"--samples must be at least 5, got {samples}")


def networks(names: Sequence[str] | None, train: Images, device: str) -> Sequence[FeatureExtractor]:
    """The evaluation networks of these names, or the one that fits the images.

    UsageError for images that a network is not for; OSError and ValueError for weights or data
    that are not to be had.
    """
    require(["torch_fidelity", "sklearn"], extra="train,metrics")
    labelled = train if isinstance(train, ImageSet) and train.labels is not None else None
    own = labelled if train.image_shape[1:] == (32, 32) else None
    names = names or ["classifier" if own else "inception"]
    found: list[FeatureExtractor] = []
    if "classifier" in names:
        if not own:
            raise UsageError(
                f"the network classifier needs labelled images of 32 x 32: for {train.name} take "
                "inception"
            )
        found.append(classifier_features(own, device=device))
    if "inception" in names:
        found.append(inception_features(device=device))
    return found


def write_pictures(
    model: Autoencoder, train: Images, test: Images, folder: Path
) -> tuple[Path, list[str]]:
    """The sheet of what the model makes; returns its path and what its rows show."""
    codes = encode_images(model, train)
    densities = {}
    for name in ("standard", "gaussian", "mixture"):
        if len(codes) >= codes_needed(name, model.latent_dim):
            with suppress(DegenerateCodesError):  # the scores say why
                densities[name] = fit_density(name, codes)
    rows = picture_rows(model, test, densities)
    return write_sheet(rows, folder / SHEET), list(rows)


def _say_if_others(arguments: argparse.Namespace, train: Images) -> None:
    """Say if these are not the images that the model was trained on."""
    trained_on = read_checkpoint(model_file(arguments.model)).images
    if (trained_on["checksum"], trained_on["number"]) != (train.checksum, len(train)):
        others = f"{trained_on['number']} other images ({trained_on['name']})"
        print(
            f"the model was trained on {others}: densities are fitted to the codes of those given "
            "here, and where the data are the same in part (another --limit or --test-fraction), "
            "it may have seen test images",
            file=sys.stderr,
        )


def frechet_distances(scores: Scores, extractor: str) -> dict[str, float]:
    """Those by one network, by the set of images."""
    prefix = f"{metric_names(extractor)[0]}_"
    found = scores.values.items()
    return {name.removeprefix(prefix): x for name, x in found if name.startswith(prefix)}


def _print_scores(scores: Scores) -> None:
    """A table for each evaluation network, a row for each set of images."""
    print(
        f"{scores.samples} samples beside {scores.reference_images} test images of "
        f"{scores.dataset}; compare at equal numbers only"
    )
    for extractor in scores.extractors:
        frechet, label = metric_names(extractor)
        columns = {extractor: f"{frechet}_", "KID": f"kid_{label}_"}
        columns |= {name: f"{name}_{label}_" for name in ("precision", "recall")}
        rows = [["images", *columns]]
        for name in frechet_distances(scores, extractor):
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
