"""What makes a decoder smooth: small weights, small gradients, spectral normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

GRADIENTS = ("energy", "jacobian")
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_LAYERS = (nn.Linear, *_CONVOLUTIONS)


def decoder_l2(decoder: nn.Module, *, stem: bool = False) -> Tensor:
    """Sum of squared kernels of all convolutions of a decoder; biases and normalisation stay out.

    With ``stem`` linear layers count too, as in RAE's code for CelebA, not for MNIST and CIFAR-10.
    """
    kinds = _LAYERS if stem else _CONVOLUTIONS
    weights = [layer.weight for layer in decoder.modules() if isinstance(layer, kinds)]
    if not weights:
        raise ValueError(
            "this decoder has no convolution to penalise; stem=True counts linear layers too"
        )
    return torch.stack([weight.float().square().sum() for weight in weights]).sum()


def check_gradient(of: str) -> None:
    """Raise ValueError unless this is one of :data:`GRADIENTS`."""
    if of not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got {of!r}")


def gradient_penalty(
    decode: Callable[[Tensor], Tensor], z: Tensor, *, of: str = "energy"
) -> tuple[Tensor, Tensor]:
    r"""Images of codes z, and how fast they change, with gradient.

    .. math::
        \text{energy:}\quad \frac1n \sum_i \Bigl\lVert \nabla_{z_i}
        \sum_j \lVert D(z_j) \rVert^2 \Bigr\rVert^2
        \qquad
        \text{jacobian:}\quad \frac1n \lVert \partial D(z) / \partial z \rVert_F^2

    The energy's is what RAE's code computes, and what its weights belong to. The Jacobian's is the
    paper's, estimated without bias from one random sign v a pixel, as :math:`\lVert J^\top v
    \rVert^2`. In training mode batch normalisation makes each image depend on all codes; both count
    it.

    Args:
        decode: codes (n, d) to images (n, ...), which come back beside the penalty.
        z: (n, d) codes.
        of: ``"energy"`` or ``"jacobian"``.

    Example:
        >>> images, penalty = gradient_penalty(lambda z: 3 * z, torch.zeros(5, 2), of="jacobian")
        >>> penalty  # of the map 3 I in two dimensions
        tensor(18.)
    """
    check_gradient(of)
    training = torch.is_grad_enabled()
    with torch.enable_grad():
        z = z.float() if z.requires_grad else z.detach().float().requires_grad_()
        images = decode(z)
        if of == "energy":
            probed = images.float().square().sum()
        else:
            signs = torch.empty_like(images, dtype=torch.float32).bernoulli_(0.5).mul_(2).sub_(1)
            probed = (images.float() * signs).sum()
        (slope,) = torch.autograd.grad(probed, z, create_graph=training)  # (n, d)
    penalty = slope.square().sum(1).mean()
    return (images, penalty) if training else (images.detach(), penalty.detach())


class _FullPrecision(nn.Module):
    """A parametrization outside autocast, whose half precision would miss the norm by 1 %."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            normalized: Tensor = self.inner(weight)
        return normalized


def spectrally_normalize(network: nn.Module) -> None:
    r"""Divide the weight of every linear and (transposed) convolution by its norm, in place.

    .. math:: W \to W / \sigma(W)

    with the largest singular value of the kernel as a matrix, output channels by everything else,
    estimated by one step of power iteration at every forward pass in training mode.

    Source:
        Miyato et al. (2018); all layers, one iteration: code of Ghosh et al. (2020).

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> layer.weight.data = torch.tensor([[3.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        >>> spectrally_normalize(layer)
        >>> for _ in range(50):
        ...     _ = layer.weight
        >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 3)
        1.0
    """
    layers = [layer for layer in network.modules() if isinstance(layer, _LAYERS)]
    if not layers:
        raise ValueError("there is no linear layer or convolution to normalise")
    for layer in layers:
        if torch.nn.utils.parametrize.is_parametrized(layer, "weight"):
            raise ValueError("this network is spectrally normalised already")
        spectral_norm(layer)
        steps = cast(nn.ModuleList, cast(nn.ModuleDict, layer.parametrizations)["weight"])
        steps[0] = _FullPrecision(steps[0])
