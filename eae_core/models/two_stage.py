"""Two-stage VAE: a second VAE learns how the first one's codes are distributed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from eae_core.distributed import Group
from eae_core.models.autoencoders import ModelOptions, squared_error
from eae_core.models.networks import check_sizes
from eae_core.models.variational import VAE, draw_posterior, gaussian_kl, split_posterior


@dataclass(frozen=True, kw_only=True)
class TwoStageVAEOptions(ModelOptions):
    """Options of :class:`TwoStageVAE`.

    Attributes:
        second_stage_share: of the epochs, given to the second stage.
        hidden: width of the second stage's layers.
        layers: hidden layers of its encoder, and of its decoder.
        first_gamma: where the learned spread of either stage starts. Adam changes it in one step by
            at most a factor exp(learning rate): from 1 to 0.1 takes 2,300 steps at 0.001.
    """

    second_stage_share: float = 0.5
    hidden: int = 1024
    layers: int = 3
    first_gamma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.second_stage_share < 1:
            raise ValueError(
                "second_stage_share must be above 0 and below 1, so that both stages train, got "
                f"{self.second_stage_share}"
            )
        check_sizes(hidden=self.hidden, layers=self.layers)
        if not 0 < self.first_gamma < math.inf:
            raise ValueError(f"first_gamma must be finite and above 0, got {self.first_gamma}")


def gaussian_code_length(squared_error: Tensor, log_gamma: Tensor, size: int) -> Tensor:
    r"""Minus the log density of N(D(z), gamma^2 I) at x, in nats.

    .. math:: \frac{\lVert x - D(z) \rVert^2}{2 \gamma^2} + m \log \gamma + \frac m2 \log 2 \pi

    with the error summed over m = ``size`` values, averaged over the batch. The best gamma is the
    root of the mean square.
    """
    constant = 0.5 * size * math.log(2 * math.pi)
    return 0.5 * squared_error * (-2 * log_gamma).exp() + size * log_gamma + constant


class _SkipMLP(nn.Module):
    """Layers with ReLU; the last one sees the input too."""

    def __init__(self, inputs: int, hidden: int, layers: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs, *[hidden] * layers]
        parts = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        self.hidden = nn.Sequential(*parts)
        self.last = nn.Linear(hidden + inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.last(torch.cat([x, self.hidden(x).to(x.dtype)], dim=1))
        return outputs


class SecondStage(nn.Module):
    """A VAE of codes, of their own dimension, with a learned spread gamma."""

    def __init__(self, latent_dim: int, options: TwoStageVAEOptions) -> None:
        super().__init__()
        hidden, layers = options.hidden, options.layers
        self.encoder = _SkipMLP(latent_dim, hidden, layers, 2 * latent_dim)
        self.decoder = _SkipMLP(latent_dim, hidden, layers, latent_dim)
        self.log_gamma = nn.Parameter(torch.tensor(math.log(options.first_gamma)))
        self.group: Group = None  # as the model's

    def loss(self, z: Tensor) -> dict[str, Tensor]:
        """Terms of the bound on codes z (n, d): loss, code_error, code_kl, code_gamma."""
        mean, log_sigma = split_posterior(self.encoder(z), z.shape[1])
        error = squared_error(z, self.decoder(draw_posterior(mean, log_sigma, self.group)))
        kl = gaussian_kl(mean, log_sigma)
        loss = gaussian_code_length(error, self.log_gamma, z.shape[1]) + kl
        gamma = self.log_gamma.exp()
        return {"loss": loss, "code_error": error, "code_kl": kl, "code_gamma": gamma}


class TwoStageVAE(VAE):
    r"""Two-stage VAE of Dai and Wipf (2019): images from codes, and codes from N(0, I).

    .. math::
        \mathcal L_1 = \frac1n \sum_i \Bigl( & \frac{\lVert x_i - D(z_i) \rVert^2}{2 \gamma^2}
        + m \log \gamma + \frac m2 \log 2 \pi \\
        & + \mathrm{KL}\bigl(q(z | x_i), N(0, I)\bigr) \Bigr), \qquad z_i \sim q(z | x_i)

    for images of m pixels and channels, in nats, with one learned gamma; then, with that stage
    frozen, the same objective for the codes :math:`z_i \sim q(z | x_i)` with a second VAE, of the
    same dimension and its own gamma. New codes come from :math:`u \sim N(0, I)` through the second
    stage, its noise included; images are decoder means. All terms of both stages are reported in
    every epoch; ``loss`` is that of the stage under way, which :meth:`start_epoch` changes.

    Source:
        Dai and Wipf (2019) and their official code, whose networks and schedule are others.

    Example:
        >>> from eae_core.models import build_model
        >>> model = build_model("two_stage_vae", (1, 32, 32), latent_dim=4, width=2)
        >>> list(model.loss(torch.rand(3, 1, 32, 32)))
        ['loss', 'reconstruction', 'kl', 'gamma', 'code_error', 'code_kl', 'code_gamma']
        >>> model.draw_codes(5, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 4])
    """

    name = "two_stage_vae"
    revision = 1  # 1: as first recorded
    options_class = TwoStageVAEOptions
    options: TwoStageVAEOptions

    def add_layers(self) -> None:
        self.log_gamma = nn.Parameter(torch.tensor(math.log(self.options.first_gamma)))
        self.second = SecondStage(self.latent_dim, self.options)
        self.in_second_stage = False

    def draw_codes(self, n: int, *, generator: Generator) -> Tensor:
        u = self.code_distribution.sample(n, generator=generator)
        noise = self.code_distribution.sample(n, generator=generator)
        gamma = self.second.log_gamma.detach().exp()
        with torch.no_grad():
            z: Tensor = self.second.decoder(u.to(gamma)) + gamma * noise.to(gamma)
        return z.to(generator.device)

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Change to the second stage for its share of the epochs; each stage has at least one."""
        if epochs < 2:
            raise ValueError(f"{self.name} trains its stages in turn: it needs 2 epochs or more")
        first = round((1 - self.options.second_stage_share) * epochs)
        self.in_second_stage = epoch >= min(max(first, 1), epochs - 1)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("second.") == self.in_second_stage)
        self.train(self.training)

    def train(self, mode: bool = True) -> TwoStageVAE:
        """Training or evaluation mode; a frozen first stage keeps its running moments."""
        super().train(mode)
        if self.in_second_stage:
            self.encoder.eval()
            self.decoder.eval()
        return self

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        self.check_images(x)
        frozen, wanted = self.in_second_stage, torch.is_grad_enabled()
        with torch.set_grad_enabled(wanted and not frozen):
            z, reconstruction, kl = self.draw_terms(x)
            length = gaussian_code_length(reconstruction, self.log_gamma, x[0].numel())
        with torch.set_grad_enabled(wanted and frozen):
            second = self.second.loss(z.detach())
        loss = second.pop("loss")
        return {
            "loss": loss if frozen else length + kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "gamma": self.log_gamma.exp(),
            **second,
        }
