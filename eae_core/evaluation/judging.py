"""Made images beside real ones: batch by batch through every network, then every distance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from eae_core.data import Images
from eae_core.evaluation.extractors import FeatureExtractor, extract_features
from eae_core.evaluation.fidelity import kernel_distance, precision_recall
from eae_core.evaluation.reference import Reference, reference_features
from eae_core.models.autoencoders import Autoencoder
from eae_core.models.using import decode_codes, reconstruct


@dataclass(frozen=True)
class Made:
    """Images that do not exist until they are asked for, so that memory holds a batch of them."""

    n: int
    make: Callable[[slice], Tensor]  #: rows -> images (rows, c, h, w) in [0, 1]


def decoded(model: Autoencoder, z: Tensor) -> Made:
    """The images of codes z (n, d)."""
    return Made(len(z), lambda rows: decode_codes(model, z[rows]))


def rebuilt(model: Autoencoder, images: Images, n: int) -> Made:
    """Reconstructions of the first n images."""
    return Made(n, lambda rows: reconstruct(model, images.batch(rows)))


def metric_names(extractor: str) -> tuple[str, str]:
    """What a Frechet distance is called in a table of metrics, and the network in other names.

    Example:
        >>> metric_names("FID-768"), metric_names("FD-classifier")
        (('fid_768', '768'), ('fd_classifier', 'classifier'))
    """
    name = extractor.lower().replace("-", "_")
    return name, name.partition("_")[2] or name


@dataclass(frozen=True)
class Judges:
    """Compares made images with the test images, by every extractor."""

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
        return {judge.name: self._features_of(judge, self.test) for judge in self.extractors}

    def real(self, images: Images) -> dict[str, float]:
        """Frechet distances of other real images: what a perfect model would reach."""
        return {
            f"{metric_names(judge.name)[0]}_real": self.references[judge.name].distance(
                self._features_of(judge, images).features
            )
            for judge in self.extractors
        }

    def distances(self, made: Mapping[str, Made]) -> dict[str, float]:
        """Frechet distances of each set of images."""
        return {
            f"{metric_names(judge)[0]}_{name}": self.references[judge].distance(features)
            for name, judge, features in self._features(made)
        }

    def scores(self, made: Mapping[str, Made]) -> dict[str, float]:
        """Frechet and kernel distances, precision and recall of each set of images."""
        values: dict[str, float] = {}
        for name, judge, features in self._features(made):
            frechet, label = metric_names(judge)
            reference = self.references[judge]
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

    def _features(self, made: Mapping[str, Made]) -> Iterator[tuple[str, str, Tensor]]:
        """Name of the set, name of the judge, features (n, p)."""
        for name, images in made.items():
            found = extract_features(self.extractors, self._batches(name, images))
            for judge, features in found.items():
                yield name, judge, features

    def _batches(self, name: str, images: Made) -> Iterator[Tensor]:
        with tqdm(total=images.n, desc=name, unit="image", disable=not self.progress) as bar:
            for start in range(0, images.n, self.batch_size):
                rows = slice(start, min(start + self.batch_size, images.n))
                yield images.make(rows)
                bar.update(rows.stop - start)

    def _features_of(self, judge: FeatureExtractor, images: Images) -> Reference:
        return reference_features(
            judge, images, batch_size=self.batch_size, root=self.root, progress=self.progress
        )
