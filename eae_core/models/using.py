"""What a trained model does: codes, samples, reconstructions, interpolations.

Every function switches the model to evaluation mode, works without gradient in batches on the
model's device, returns results on the CPU in float32, and leaves the model in the mode it was in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from eae_core.entropy import decoder
from eae_core.entropy.distributions import standard_gaussian

if TYPE_CHECKING:
    from eae_core.data import Images

REVISION = 1  # 1: as first recorded; see eae_book.revisions

#: a module with ``encode``, ``decode`` and ``latent_dim``: an Autoencoder, or one of one's own
Model: TypeAlias = Any


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[torch.device]:
    """Evaluation mode without gradient; yields the model's device.

    Each part comes back in its own mode: one that the user has frozen stays frozen.
    """
    with decoder.evaluation_mode(model), torch.no_grad():
        yield next(model.parameters()).device


def in_batches(
    model: nn.Module, function: Callable[[Tensor], Tensor], parts: Iterable[Tensor]
) -> Tensor:
    """What a function of the model makes of tensors, one below the other, as this file says."""
    with evaluation_mode(model) as device:
        return torch.cat([function(part.to(device)).float().cpu() for part in parts])


def _batches(images: Images, rows: Tensor | None, batch_size: int) -> Iterator[Tensor]:
    rows = torch.arange(len(images)) if rows is None else rows
    return (images.batch(part) for part in rows.split(batch_size))


def encode_images(
    model: Model, images: Images, *, rows: Tensor | None = None, batch_size: int = 500
) -> Tensor:
    """Codes z (n, d) of a data set, or of some of its rows, with the running moments of training.

    Example:
        >>> from eae_core.data import load_images
        >>> from eae_core.models import build_model
        >>> digits = load_images("digits", limit=10)
        >>> encode_images(build_model("ae", digits.image_shape, 3, width=2), digits).shape
        torch.Size([10, 3])
    """
    return in_batches(model, model.encode, _batches(images, rows, batch_size))


def decode_codes(model: Model, z: Tensor, *, batch_size: int = 500) -> Tensor:
    """Images (n, c, h, w) in [0, 1] of codes z (n, d)."""
    if z.ndim != 2 or z.shape[1] != model.latent_dim:
        raise ValueError(f"codes must be n x {model.latent_dim}, got shape {tuple(z.shape)}")
    return in_batches(model, model.decode, z.float().split(batch_size))


def draw_codes(model: Model, n: int, *, seed: int) -> Tensor:
    """Codes (n, d), n >= 1, that the model draws, the same on every device.

    A model of one's own need not know how to draw: its codes are from N(0, I).
    """
    if n < 1:
        raise ValueError(f"the number of samples must be at least 1, got {n}")
    draw = getattr(model, "draw_codes", None) or standard_gaussian(model.latent_dim).sample
    with evaluation_mode(model):
        z: Tensor = draw(n, generator=torch.Generator().manual_seed(seed))
    return z.float().cpu()


def sample_images(model: Model, n: int, *, seed: int = 0) -> Tensor:
    """New images (n, c, h, w) of the codes that :func:`draw_codes` gives."""
    return decode_codes(model, draw_codes(model, n, seed=seed))


def reconstruct(model: Model, x: Tensor, *, batch_size: int = 500) -> Tensor:
    """Reconstructions (n, c, h, w) of images x in [0, 1]."""
    return in_batches(model, model, x.split(batch_size))


def reconstruction_error(model: Model, images: Images, *, batch_size: int = 500) -> float:
    """Squared error summed over pixels and channels, averaged over the data set."""

    def errors(x: Tensor) -> Tensor:
        squares: Tensor = (x - model(x)).square()
        return squares.flatten(1).sum(1)

    return float(in_batches(model, errors, _batches(images, None, batch_size)).double().mean())


def interpolate(
    model: Model,
    start: Tensor,
    end: Tensor,
    *,
    steps: int = 8,
    path: Literal["spherical", "linear"] = "spherical",
) -> Tensor:
    """Decode paths between the codes of two sets of images.

    A straight line between two draws of N(0, I_d) passes through codes of smaller norm than it ever
    gives when d is large; the spherical path keeps the norm between those of its ends.

    Args:
        model: a trained model.
        start: (n, c, h, w) images in [0, 1].
        end: as many.
        steps: images on each path, both ends included, at least 2: (n, steps, c, h, w) come out.
        path: ``"spherical"`` or ``"linear"``.

    Source:
        White (2016), "Sampling generative networks", for the spherical path.
    """
    if steps < 2:
        raise ValueError(f"a path has at least its two ends, got steps = {steps}")
    paths = {"spherical": spherical_path, "linear": linear_path}
    if path not in paths:
        raise ValueError(f"path must be 'spherical' or 'linear', got {path!r}")
    z0, z1 = (in_batches(model, model.encode, x.split(500)) for x in (start, end))
    codes = paths[path](z0, z1, torch.linspace(0, 1, steps))  # (n, steps, d)
    images: Tensor = decode_codes(model, codes.flatten(0, 1)).unflatten(0, (len(z0), steps))
    return images


def linear_path(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points (n, steps, d) on the segments from start (n, d) to end (n, d) at t (steps,)."""
    return torch.lerp(start[:, None], end[:, None], t[None, :, None])


def spherical_path(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """Points (n, steps, d) on great arcs from start (n, d) to end (n, d) at t (steps,).

    Directions turn at a constant rate, norms change linearly; parallel ends give a straight line.
    """
    norms = [z.norm(dim=1, keepdim=True)[:, None] for z in (start, end)]  # (n, 1, 1)
    tiny = torch.finfo(start.dtype).tiny
    a, b = (z[:, None] / norm.clamp(min=tiny) for z, norm in zip((start, end), norms, strict=True))
    t = t[None, :, None]
    angle = (a * b).sum(-1, keepdim=True).clamp(-1, 1).acos()  # (n, 1, 1)
    sine = angle.sin()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp(min=tiny)
    direction = torch.where(sine < 1e-4, torch.lerp(a, b, t), arc)
    return direction * torch.lerp(norms[0], norms[1], t)
