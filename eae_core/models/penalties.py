"""Penalties on a decoder: its squared weights, and how fast its images change with the code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

GRADIENTS = ("energy", "jacobian")
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def decoder_l2(decoder: nn.Module, *, stem: bool = False) -> Tensor:
    """Sum of squared kernels of all convolutions of a decoder; biases and normalisation stay out.

    Args:
        decoder: any network.
        stem: count linear layers too. RAE's code does for CelebA, not for MNIST and CIFAR-10.

    Raises:
        ValueError: there is no such layer.

    Example:
        >>> from torch import nn
        >>> layer = nn.Conv2d(1, 1, 2)
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> decoder_l2(layer).item()
        36.0
    """
    kinds = (*_CONVOLUTIONS, nn.Linear) if stem else _CONVOLUTIONS
    weights = [layer.weight for layer in decoder.modules() if isinstance(layer, kinds)]
    if not weights:
        raise ValueError(
            "this decoder has no convolution to penalise; stem=True counts linear layers too"
        )
    return torch.stack([weight.float().square().sum() for weight in weights]).sum()


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
    paper's; it is estimated without bias from one random sign v a pixel, as
    :math:`\lVert J^\top v \rVert^2` (Hutchinson). In training mode batch normalisation makes each
    image depend on all codes, and both count that. pythae's code takes the gradient of the sum of
    all pixels with respect to the images that went *into the encoder*.

    Args:
        decode: codes (n, d) to images (n, ...).
        z: (n, d) codes.
        of: ``"energy"`` or ``"jacobian"``.

    Returns:
        images (n, ...) and the penalty, summed over dimensions, averaged over the batch.

    Raises:
        ValueError: another name.

    Example:
        >>> images, penalty = gradient_penalty(lambda z: 3 * z, torch.zeros(5, 2), of="jacobian")
        >>> penalty  # of the map 3 I in two dimensions
        tensor(18.)
    """
    if of not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got {of!r}")
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
