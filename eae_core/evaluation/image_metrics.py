"""Made images beside real ones: batch by batch through every network, then every distance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from eae_core.data import Images
from eae_core.evaluation.features import FeatureExtractor, extract_features
from eae_core.evaluation.fid import FeatureStatistics, frechet_distance_of_statistics
from eae_core.evaluation.fidelity import kernel_distance, precision_recall
from eae_core.evaluation.tensor_cache import cached_tensors, data_folder
from eae_core.models.autoencoders import Autoencoder
from eae_core.models.using import decode_codes, reconstruct


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of real images, which every model is compared with, and their two moments."""

    features: Tensor = field(repr=False)  #: (n, p)
    statistics: FeatureStatistics
    extractor: str  #: its name

    def distance(self, features: Tensor) -> float:
        """Frechet distance of features (m, p), m >= 2, of the same extractor to the reference."""
        return frechet_distance_of_statistics(FeatureStatistics.of(features), self.statistics)


def reference_features(
    extractor: FeatureExtractor,
    images: Images,
    *,
    batch_size: int = 500,
    root: str | Path | None = None,
    progress: bool = False,
) -> Reference:
    """Features of all images of a set, from ``features/`` in the data folder if they are there.

    Their key is the images' bytes, their number and the extractor's checksum. The data folder is
    ``root``, or :func:`eae_core.data.data_root`; ``progress`` shows a bar on stderr.

    Example:
        >>> import tempfile
        >>> from eae_core.data import load_images
        >>> from eae_core.evaluation import ClassifierFeatures, FeatureNet
        >>> net, test = ClassifierFeatures(FeatureNet(1, 10)), load_images("digits", "test")
        >>> reference = reference_features(net, test, root=tempfile.mkdtemp())
        >>> reference.statistics, round(reference.distance(reference.features), 6)
        (FeatureStatistics(n=297), 0.0)
    """
    named = f"{images.name}-{images.split}-{len(images)}-{extractor.name}"
    key = {
        "kind": "features 1",
        "data": images.content,
        "images": len(images),
        "network": extractor.checksum,
    }

    def compute() -> dict[str, Tensor]:
        label = f"{extractor.name} of {images.name} {images.split}"
        batches = MadeImages(len(images), images.batch).batches(label, batch_size, progress)
        features = extract_features([extractor], batches)[extractor.name]
        statistics = FeatureStatistics.of(features)
        moments = {"mean": statistics.mean, "covariance": statistics.covariance}
        return {"features": features, **moments}

    found = cached_tensors(data_folder(root, "features"), named, key, compute)
    statistics = FeatureStatistics(found["mean"], found["covariance"], len(images))
    return Reference(found["features"], statistics, extractor.name)


@dataclass(frozen=True)
class MadeImages:
    """Images that do not exist until they are asked for, so that memory holds a batch of them."""

    n: int
    make: Callable[[slice], Tensor]  #: rows -> images (rows, c, h, w) in [0, 1]

    def batches(self, label: str, size: int, progress: bool) -> Iterator[Tensor]:
        """All of them, batch by batch, with a bar on stderr on request."""
        with tqdm(total=self.n, desc=label, unit="image", disable=not progress) as bar:
            for start in range(0, self.n, size):
                rows = slice(start, min(start + size, self.n))
                yield self.make(rows)
                bar.update(rows.stop - start)


def decoded(model: Autoencoder, z: Tensor) -> MadeImages:
    """The images of codes z (n, d)."""
    return MadeImages(len(z), lambda rows: decode_codes(model, z[rows]))


def rebuilt(model: Autoencoder, images: Images, n: int) -> MadeImages:
    """Reconstructions of the first n images."""
    return MadeImages(n, lambda rows: reconstruct(model, images.batch(rows)))


def metric_names(extractor: str) -> tuple[str, str]:
    """What a Frechet distance is called in a table of metrics, and the network in other names.

    Example:
        >>> metric_names("FID-768"), metric_names("FD-classifier")
        (('fid_768', '768'), ('fd_classifier', 'classifier'))
    """
    name = extractor.lower().replace("-", "_")
    return name, name.partition("_")[2] or name


@dataclass(frozen=True)
class ImageMetrics:
    """Compares made images with the test images, by every evaluation network."""

    extractors: Sequence[FeatureExtractor]
    test: Images
    batch_size: int
    kid_subsets: int
    seed: int
    root: str | Path | None
    progress: bool

    @cached_property
    def references(self) -> dict[str, Reference]:
        """Features of the test images, by the extractor's name."""
        return {network.name: self._features_of(network, self.test) for network in self.extractors}

    def real(self, images: Images) -> dict[str, float]:
        """Frechet distances of other real images: what a perfect model would reach."""
        found = ((n.name, self._features_of(n, images).features) for n in self.extractors)
        return {
            f"{metric_names(name)[0]}_real": self.references[name].distance(features)
            for name, features in found
        }

    def distances(self, made: Mapping[str, MadeImages]) -> dict[str, float]:
        """Frechet distances of each set of images."""
        return {
            f"{metric_names(network)[0]}_{name}": self.references[network].distance(features)
            for name, network, features in self._features(made)
        }

    def scores(self, made: Mapping[str, MadeImages]) -> dict[str, float]:
        """Frechet and kernel distances, precision and recall of each set of images."""
        values: dict[str, float] = {}
        for name, network, features in self._features(made):
            frechet, label = metric_names(network)
            reference = self.references[network]
            kid = kernel_distance(
                features, reference.features, subsets=self.kid_subsets, seed=self.seed
            )
            share = precision_recall(features, reference.features)
            values |= {
                f"{frechet}_{name}": reference.distance(features),
                f"kid_{label}_{name}": kid.mean,
                f"kid_sd_{label}_{name}": kid.sd,
                f"precision_{label}_{name}": share.precision,
                f"recall_{label}_{name}": share.recall,
            }
        return values

    def _features(self, made: Mapping[str, MadeImages]) -> Iterator[tuple[str, str, Tensor]]:
        """Name of the set, name of the network, features (n, p)."""
        for name, images in made.items():
            batches = images.batches(name, self.batch_size, self.progress)
            for network, features in extract_features(self.extractors, batches).items():
                yield name, network, features

    def _features_of(self, network: FeatureExtractor, images: Images) -> Reference:
        return reference_features(
            network, images, batch_size=self.batch_size, root=self.root, progress=self.progress
        )
