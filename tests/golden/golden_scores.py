"""What estimators, densities, distances and extractors give for fixed codes and features."""

from __future__ import annotations

from dataclasses import fields

import torch
from golden import LOOSE, Numbers, golden, looked_at
from golden_models import SHAPE, D, bytes_of, draw, images, read
from torch import Tensor, nn

from eae_book.borrowed import BorrowedFeatures
from eae_book.gans import unpadded_images
from eae_book.studies.encoder_bounds import fit_encoder_bound
from eae_book.studies.gaussian_corrected import kpn_entropy
from eae_book.studies.image_entropy import entropy_of_reconstructions, entropy_of_samples
from eae_book.studies.posterior_bounds import posterior_bounds
from eae_book.studies.posterior_encoder import EncoderOptions
from eae_book.studies.quadrature import stochastic_decoder_entropy
from eae_book.studies.weighted import weighted_knn_entropy
from eae_core.data import load_images
from eae_core.entropy import knn_entropy
from eae_core.entropy.decoder import decoder_entropy
from eae_core.evaluation import (
    DENSITIES,
    Band,
    ClassifierFeatures,
    FeatureNet,
    encode_images,
    fit_density,
    frechet_distance,
    gaussianity_report,
    inception_features,
    interpolate,
    kernel_distance,
    precision_recall,
    reconstruct,
    reconstruction_error,
    sample_images,
    train_classifier,
)
from eae_core.models import AE


def numbers(n: int, d: int, seed: int = 0) -> Tensor:
    """Fixed codes or features (n, d), neither Gaussian nor standardised."""
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.cat([z[: n // 2], 0.5 * z[n // 2 :] + 1]) + 0.1 * z.square()


def with_weights(network: nn.Module) -> nn.Module:
    """The network with fixed weights, in evaluation mode."""
    for seed, weight in enumerate(network.parameters()):
        weight.data = images(*weight.shape, seed=seed) - 0.5
    return network.eval()


@golden("knn entropy")
def estimates_of_entropy() -> Numbers:
    """Values of each row, and the gradient, for some k and dimensions, in both precisions."""
    found: Numbers = {}
    single, double = torch.float32, torch.float64
    for d, k, dtype in ((1, 1, double), (2, 3, double), (8, 1, single), (16, 5, single)):
        z = numbers(100, d).to(dtype).requires_grad_()
        (slope,) = torch.autograd.grad(knn_entropy(z, k), z)
        found[f"d {d}, k {k}"] = looked_at(knn_entropy(z, k, reduction="none"), slope)
    found["log"] = [knn_entropy(numbers(100, 2), correction="log").item()]
    repeated = numbers(100, 2)[torch.arange(100) // 2]
    found["floor"] = [knn_entropy(repeated, zero="floor", floor=1e-3).item()]
    return found


@golden("corrected entropy")
def corrected_entropy() -> Numbers:
    """With one Gaussian for all points, and with one each."""
    z = numbers(100, 2)
    return {
        "one": [kpn_entropy(z, 2).item()],
        "local": [kpn_entropy(z, 2, 20, shrinkage=0.1).item()],
    }


@golden("weighted entropy")
def weighted_entropy() -> Numbers:
    """Some dimensions and numbers of neighbours."""
    sizes = ((1, 3), (4, 8), (8, 20))
    return {f"d {d}, k {k}": [weighted_knn_entropy(numbers(100, d), k).item()] for d, k in sizes}


@golden("decoder entropy")
def entropies_of_decoders() -> Numbers:
    """Both methods, for a decoder that bends and, in float64, for a tall one."""
    network = with_weights(draw(D))
    found: Numbers = {
        f"scale {scale:g}": looked_at(decoder_entropy(network, D, samples=20, scale=scale).values)
        for scale in (1e-1, 1e-4)
    }
    bent = stochastic_decoder_entropy(network, D, samples=20, scale=1e-2, probes=2, steps=3)
    tall = with_weights(nn.Sequential(nn.Linear(D, 40), nn.Tanh())).double()
    found["stochastic"] = [*looked_at(bent.values), bent.standard_error]
    exact = decoder_entropy(tall, D, samples=20)
    found["tall"] = [*looked_at(exact.values), exact.standard_error]
    return found


@golden("codes")
def codes() -> Numbers:
    """Everything that a trained model is asked for."""
    model = with_weights(AE(read(D), draw(D), D))
    x = images(8, *SHAPE)
    return {
        "encoded": looked_at(encode_images(model, bytes_of(x))),
        "samples": looked_at(sample_images(model, 8, seed=1)),
        "reconstructed": looked_at(reconstruct(model, x)),
        "error": [reconstruction_error(model, bytes_of(x))],
        "spherical": looked_at(interpolate(model, x[:4], x[4:], steps=3)),
        "linear": looked_at(interpolate(model, x[:4], x[4:], steps=3, path="linear")),
    }


@golden("densities")
def densities() -> Numbers:
    """Draws and log-densities of each kind, fitted to the same codes."""
    z = numbers(300, 2)
    found: Numbers = {}
    for name in DENSITIES:
        density = fit_density(name, z)
        found[name] = looked_at(density.sample(100, seed=1), density.log_density(z[:100]))
    return found


@golden("gaussianity")
def gaussianity() -> Numbers:
    """Every field of the report."""
    report = gaussianity_report(numbers(200, 3))
    found: Numbers = {"entropy_gap": [report.entropy_gap]}
    for field in fields(report):
        value = getattr(report, field.name)
        found[field.name] = [value.low, value.high] if isinstance(value, Band) else [float(value)]
    return found


@golden("metric frechet")
def frechet() -> Numbers:
    """Distances of features, of more numbers than rows too."""
    return {
        "many rows": [frechet_distance(numbers(200, 8), numbers(150, 8, seed=1))],
        "few rows": [frechet_distance(numbers(20, 40), numbers(30, 40, seed=1))],
    }


@golden("metric kernel")
def kernel() -> Numbers:
    """Kernel distance, precision and recall of features."""
    made, real = numbers(80, 4), numbers(100, 4, seed=1)
    return {
        "distance": list(kernel_distance(made, real, subsets=4, subset_size=40)),
        "precision, recall": list(precision_recall(made, real)),
    }


@golden("features classifier", tolerance=LOOSE)
def classifier() -> Numbers:
    """Features of an untrained network, as they are and borrowed, and scores of a trained one.

    The biases in front of its normalisations have a gradient of rounding alone, which Adam makes
    steps of. In training mode the normalisation takes them out again.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = FeatureNet(3, 10)
    borrowed = BorrowedFeatures(ClassifierFeatures(net), "any")
    digits = load_images("digits", limit=200)
    assert digits.labels is not None
    trained = train_classifier(digits, epochs=2, batch_size=50).train()
    with torch.no_grad():
        logits = trained(digits.batch(slice(None)))
    return {
        "untrained": looked_at(net.features(images(4, 3, 32, 32))),
        "borrowed": looked_at(borrowed.features(images(2, 3, 64, 64))),
        "trained": [nn.functional.cross_entropy(logits, digits.labels).item()],
    }


@golden("features inception")
def inception() -> Numbers:
    """768 features of a grey image and of a coloured one."""
    extractor = inception_features(768, device="cpu", download=False)
    colour, grey = images(1, 3, 64, 64), images(1, 1, 32, 32)
    return {
        "colour": looked_at(extractor.features(colour)),
        "grey": looked_at(extractor.features(grey)),
    }


@golden("unpadded images")
def unpadded() -> Numbers:
    """Which pixels of which images."""
    chosen = unpadded_images("digits", classes=[1, 7], limit=300)
    return {"checksum": chosen.checksum, "all": unpadded_images("digits").checksum}


@golden("image entropy")
def image_entropy() -> Numbers:
    """Of both laws of codes, and of reconstructions."""
    model, z = with_weights(AE(read(D), draw(D), D)), numbers(60, D)
    found = {
        name: entropy_of_samples(model, fit_density(name, z), samples=10)
        for name in ("standard", "gaussian")
    }
    found["reconstructions"] = entropy_of_reconstructions(model, z, samples=10)
    return {
        name: [*entropy.entropies, *entropy.standard_errors, entropy.code_entropy]
        for name, entropy in found.items()
    }


@golden("posterior bounds")
def bounds_without_a_fit() -> Numbers:
    """The closed forms, and one sampled bound."""
    found = posterior_bounds(
        with_weights(draw(D)), D, samples=20, scale=1e-2, dampings=(0.1,), dtype=torch.float32
    )
    closed = (found.full, found.diagonal, found.constant_full, found.constant_diagonal)
    sampled = [x for s in found.sampled for x in (s.damping, s.bound, s.standard_error)]
    return {"closed": [*closed, found.standard_error], "sampled": sampled}


@golden("encoder bounds")
def bounds_by_a_fit() -> Numbers:
    """Three steps of a fit of each family."""
    decode = with_weights(draw(D))
    found: Numbers = {}
    for mean, covariance, start in (("free", "diagonal", "metric"), ("decoder", "full", "noise")):
        options = EncoderOptions(
            mean=mean,
            covariance=covariance,
            start=start,
            width=2,
            steps=3,
            batch_size=16,
            metric_samples=16,
        )
        fitted = fit_encoder_bound(decode, D, SHAPE, options, scale=1e-2, samples=20)
        found[f"{mean}, {covariance}, {start}"] = [
            *(fitted.start, fitted.bound, fitted.misfit, fitted.standard_error),
            *fitted.curve["bound"],
        ]
    return found
