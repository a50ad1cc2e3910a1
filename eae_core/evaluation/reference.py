"""Features of real images, which every model is compared with: computed once, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from eae_core.data import Images, data_root
from eae_core.evaluation.extractors import FeatureExtractor, extract_features
from eae_core.evaluation.fid import FeatureStatistics, frechet_distance_of_statistics
from eae_core.evaluation.tensor_cache import Key, cached_tensors
from eae_core.files import expanded


@dataclass(frozen=True, eq=False)
class Reference:
    """Features of real images and their two moments."""

    features: Tensor = field(repr=False)  #: (n, p)
    statistics: FeatureStatistics
    extractor: str  #: its name

    def distance(self, features: Tensor) -> float:
        """Frechet distance of features (m, p) of the same extractor to the reference.

        Raises:
            ValueError: another p, fewer than two rows, NaN or infinity.
        """
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

    They are kept under a key of the images' bytes, their number and the extractor's checksum; a
    damaged file is made anew, and where nothing can be written the features are only returned.

    Args:
        extractor: the network.
        images: the real images, usually a test split.
        batch_size: images at a time.
        root: the data folder; by default :func:`eae_core.data.data_root`.
        progress: a bar on stderr while features are computed.

    Example:
        >>> import tempfile
        >>> from eae_core.data import load_images
        >>> from eae_core.evaluation import FeatureNet
        >>> from eae_core.evaluation.extractors import ClassifierFeatures
        >>> net = ClassifierFeatures(FeatureNet(1, 10))
        >>> test = load_images("digits", "test")
        >>> reference = reference_features(net, test, root=tempfile.mkdtemp())
        >>> reference.statistics, round(reference.distance(reference.features), 6)
        (FeatureStatistics(n=297), 0.0)
    """

    def batches() -> Iterator[Tensor]:
        label = f"{extractor.name} of {images.name} {images.split}"
        with tqdm(total=len(images), desc=label, unit="image", disable=not progress) as bar:
            for start in range(0, len(images), batch_size):
                yield images.batch(slice(start, start + batch_size))
                bar.update(min(batch_size, len(images) - start))

    def compute() -> dict[str, Tensor]:
        features = extract_features([extractor], batches())[extractor.name]
        statistics = FeatureStatistics.of(features)
        moments = {"mean": statistics.mean, "covariance": statistics.covariance}
        return {"features": features, **moments}

    key: Key = {
        "kind": "features 1",
        "data": images.content,
        "images": len(images),
        "network": extractor.checksum,
    }
    folder = (data_root() if root is None else expanded(root)) / "features"
    label = f"{images.name}-{images.split}-{len(images)}-{extractor.name}"
    found = cached_tensors(folder, label, key, compute)
    statistics = FeatureStatistics(found["mean"], found["covariance"], len(images))
    return Reference(found["features"], statistics, extractor.name)
