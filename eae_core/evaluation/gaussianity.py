"""Is a set of codes a sample of N(0, I)? Moments, marginals, norms, entropy, beside a true one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import stats
from torch import Tensor

from eae_core.entropy import gaussian_entropy_bound, knn_entropy


@dataclass(frozen=True)
class GaussianityReport:
    """Statistics of codes z (n, d), each beside its value for N(0, I_d)."""

    n: int
    d: int
    largest_mean: float  #: largest ``|mean|`` of a coordinate; 0 for the Gaussian
    smallest_variance: float  #: of a coordinate; 1
    largest_variance: float  #: of a coordinate; 1
    largest_correlation: float  #: largest ``|correlation|`` of two coordinates; 0
    mean_norm: float
    expected_norm: float  #: mean of the chi law with d degrees of freedom
    norm_sd: float
    expected_norm_sd: float  #: standard deviation of that chi law
    worst_ks: float  #: largest Kolmogorov-Smirnov distance of a coordinate to N(0, 1)
    ks_threshold: float  #: 5 % of true Gaussian samples exceed it (Bonferroni over coordinates)
    entropy: float  #: k-NN estimate, nats
    gaussian_entropy: float  #: the same estimator on N(0, I) samples of the same n, nats
    entropy_bound: float  #: d/2 log(2 pi e), nats

    @property
    def entropy_gap(self) -> float:
        """Estimate on N(0, I) minus estimate on the codes, nats: same n, d, k, same bias."""
        return self.gaussian_entropy - self.entropy

    def table(self) -> str:
        """The report as aligned text, the codes beside N(0, I)."""
        rows = [
            ("largest |mean| of a coordinate", self.largest_mean, 0.0),
            ("smallest variance", self.smallest_variance, 1.0),
            ("largest variance", self.largest_variance, 1.0),
            ("largest |correlation|", self.largest_correlation, 0.0),
            ("mean norm", self.mean_norm, self.expected_norm),
            ("standard deviation of the norm", self.norm_sd, self.expected_norm_sd),
            ("worst Kolmogorov-Smirnov distance", self.worst_ks, self.ks_threshold),
            ("k-NN entropy (nats)", self.entropy, self.gaussian_entropy),
        ]
        head = f"{f'{self.n:,} codes, d = {self.d}':38s}{'codes':>10s}{'N(0, I)':>10s}"
        return "\n".join([head, *(f"{name:38s}{a:10.3f}{b:10.3f}" for name, a, b in rows)])


def gaussianity_report(
    z: Tensor, *, k: int = 1, seed: int = 0, reference_draws: int = 3
) -> GaussianityReport:
    """Compare codes z (n, d) with N(0, I_d).

    The entropy is compared with the same estimator on true Gaussian samples of the same n, d and k,
    because its bias at such n and d can be larger than the difference sought. The row of the
    Kolmogorov-Smirnov distance shows the 5 % threshold in the Gaussian's column.

    Args:
        z: (n, d) codes, n > k + 1.
        k: neighbour of the entropy estimate.
        seed: of the Gaussian reference samples.
        reference_draws: how many of them are averaged.

    Example:
        >>> z = torch.randn(1000, 4, generator=torch.Generator().manual_seed(0))
        >>> report = gaussianity_report(z)
        >>> report.worst_ks < report.ks_threshold, abs(report.entropy_gap) < 0.2
        (True, True)
    """
    entropy = knn_entropy(z.double(), k).item()  # refuses bad shapes and values
    n, d = z.shape
    z = z.double().cpu()
    variances = z.var(0)
    correlation = torch.corrcoef(z.T).reshape(d, d).fill_diagonal_(0)
    norms = z.norm(dim=1)
    expected_norm = math.exp(0.5 * math.log(2) + math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    generator = torch.Generator().manual_seed(seed)
    references = [
        knn_entropy(torch.randn(n, d, generator=generator, dtype=torch.float64), k).item()
        for _ in range(reference_draws)
    ]
    return GaussianityReport(
        n=n,
        d=d,
        largest_mean=z.mean(0).abs().max().item(),
        smallest_variance=variances.min().item(),
        largest_variance=variances.max().item(),
        largest_correlation=correlation.abs().max().item(),
        mean_norm=norms.mean().item(),
        expected_norm=expected_norm,
        norm_sd=norms.std().item(),
        expected_norm_sd=math.sqrt(d - expected_norm**2),
        worst_ks=max(float(stats.kstest(column, "norm").statistic) for column in z.T.numpy()),
        ks_threshold=float(stats.kstwo.isf(0.05 / d, n)),
        entropy=entropy,
        gaussian_entropy=sum(references) / len(references),
        entropy_bound=gaussian_entropy_bound(d),
    )
