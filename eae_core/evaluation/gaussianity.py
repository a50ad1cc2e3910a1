"""Is a set of codes a sample of N(0, I)? Moments, marginals, norms, entropy, beside a true one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from eae_core.entropy import gaussian_entropy_bound, knn_entropy
from eae_core.entropy.expectation import expected_gaussian_estimate
from eae_core.entropy.samples import check_sample
from eae_core.evaluation.distances import (
    Band,
    axis_distances,
    axis_threshold,
    check_codes,
    energy_band,
    energy_distance,
    norm_band,
    norm_distance,
    sliced_wasserstein,
    sliced_wasserstein_band,
)

REVISION = 1  # 1: the mean of the estimate on N(0, I) is exact; see eae_book.revisions
# 0: it was that of three simulated samples, some hundredths of a nat off


@dataclass(frozen=True)
class GaussianityReport:
    """Statistics of codes z (n, d), each beside its value or its 95 % band for N(0, I_d)."""

    n: int
    d: int
    largest_mean: float  #: largest ``|mean|`` of a coordinate; 0 for the Gaussian
    smallest_variance: float  #: of a coordinate; 1
    largest_variance: float  #: of a coordinate; 1
    largest_correlation: float  #: largest ``|correlation|`` of two coordinates; 0
    largest_skewness: float  #: largest ``|skewness|`` of a coordinate, third moment over sd^3; 0
    largest_kurtosis: float  #: largest ``|excess kurtosis|``, fourth moment over sd^4, less 3; 0
    mean_norm: float
    expected_norm: float  #: mean of chi with d degrees of freedom
    norm_sd: float
    expected_norm_sd: float  #: standard deviation of that
    norm_ks: float  #: Kolmogorov-Smirnov distance of the squared norms to chi-square
    norm_ks_band: Band
    worst_ks: float  #: largest Kolmogorov-Smirnov distance of a coordinate to N(0, 1)
    ks_threshold: float  #: 5 % of true Gaussian samples exceed it (Bonferroni over coordinates)
    sliced_wasserstein: float  #: see :func:`~eae_core.evaluation.sliced_wasserstein`
    sliced_wasserstein_band: Band
    energy_distance: float  #: see :func:`~eae_core.evaluation.energy_distance`
    energy_distance_band: Band
    entropy: float  #: k-NN estimate, nats
    gaussian_entropy: float  #: its mean on N(0, I) samples of the same n, nats, exact
    entropy_bound: float  #: d/2 log(2 pi e), nats

    @property
    def entropy_gap(self) -> float:
        """Mean estimate on N(0, I) minus estimate on the codes, nats: same n, d, k, same bias."""
        return self.gaussian_entropy - self.entropy

    def table(self) -> str:
        """The report as aligned text, the codes beside N(0, I)."""
        worst, norm_sd = f"below {self.ks_threshold:.3f}", f"{self.norm_sd:.3f}"
        sliced, energy = self.sliced_wasserstein_band, self.energy_distance_band
        rows = [
            ("largest |mean| of a coordinate", f"{self.largest_mean:.3f}", "0.000"),
            ("smallest variance", f"{self.smallest_variance:.3f}", "1.000"),
            ("largest variance", f"{self.largest_variance:.3f}", "1.000"),
            ("largest |correlation|", f"{self.largest_correlation:.3f}", "0.000"),
            ("largest |skewness|", f"{self.largest_skewness:.3f}", "0.000"),
            ("largest |excess kurtosis|", f"{self.largest_kurtosis:.3f}", "0.000"),
            ("mean norm", f"{self.mean_norm:.3f}", f"{self.expected_norm:.3f}"),
            ("standard deviation of the norm", norm_sd, f"{self.expected_norm_sd:.3f}"),
            ("KS distance of the squared norms", f"{self.norm_ks:.3f}", f"{self.norm_ks_band:.3f}"),
            ("worst KS distance of a coordinate", f"{self.worst_ks:.3f}", worst),
            ("sliced Wasserstein distance", f"{self.sliced_wasserstein:.3f}", f"{sliced:.3f}"),
            ("energy distance", f"{self.energy_distance:.5f}", f"{energy:.5f}"),
            ("k-NN entropy (nats)", f"{self.entropy:.3f}", f"{self.gaussian_entropy:.3f}"),
        ]
        head = (f"{self.n:,} codes, d = {self.d}", "codes", "N(0, I)")
        return "\n".join(f"{name:38s}{a:>10s}{b:>20s}" for name, a, b in [head, *rows])


def gaussianity_report(z: Tensor, *, k: int = 1, seed: int = 0) -> GaussianityReport:
    """Compare codes z (n, d) with N(0, I_d).

    The entropy stands beside the exact mean of the same estimator on Gaussian samples of the same
    n, d and k, because its bias can be larger than the difference sought. Distances that are
    positive for every finite sample stand beside the band in which 95 % of true samples of that
    size lie. Time grows with the square of n: seconds for 10,000 codes.

    Args:
        z: (n, d) codes, n > k.
        k: neighbour of the entropy estimate.
        seed: of the projections of the sliced distance.

    Raises:
        TypeError, ValueError: no floats n x d, too few codes, NaN or infinity, duplicated codes.

    Example:
        >>> z = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
        >>> report = gaussianity_report(z)
        >>> report.worst_ks < report.ks_threshold, abs(report.entropy_gap) < 0.2
        (True, True)
    """
    entropy = knn_entropy(check_sample(z).double(), k).item()  # refuses duplicates
    z = check_codes(z)
    n, d = z.shape
    variances, norms, chi = z.var(0), z.norm(dim=1), stats.chi(d)
    scaled = (z - z.mean(0)) / z.std(0, correction=0)
    correlation = torch.corrcoef(z.T).reshape(d, d).fill_diagonal_(0)
    return GaussianityReport(
        n=n,
        d=d,
        largest_mean=z.mean(0).abs().max().item(),
        smallest_variance=variances.min().item(),
        largest_variance=variances.max().item(),
        largest_correlation=correlation.abs().max().item(),
        largest_skewness=scaled.pow(3).mean(0).abs().max().item(),
        largest_kurtosis=(scaled.pow(4).mean(0) - 3).abs().max().item(),
        mean_norm=norms.mean().item(),
        expected_norm=float(chi.mean()),
        norm_sd=norms.std().item(),
        expected_norm_sd=float(chi.std()),
        norm_ks=norm_distance(z),
        norm_ks_band=norm_band(n),
        worst_ks=float(axis_distances(z).max()),
        ks_threshold=axis_threshold(n, d),
        sliced_wasserstein=sliced_wasserstein(z, seed=seed),
        sliced_wasserstein_band=sliced_wasserstein_band(n, d, seed=seed),
        energy_distance=energy_distance(z),
        energy_distance_band=energy_band(n, d),
        entropy=entropy,
        gaussian_entropy=expected_gaussian_estimate(d, n, k),
        entropy_bound=gaussian_entropy_bound(d),
    )
