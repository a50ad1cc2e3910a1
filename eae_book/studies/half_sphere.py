r"""Decoders of the uniform law on a half-sphere, whose entropy is log(2 pi).

Each turns two Gaussian numbers into a height h that is uniform on [0, 1] and an angle that is
uniform on the circle. By Archimedes' theorem, equal slices of the height carry equal areas, so the
image is spread evenly. With noise of scale s the estimate is not log(2 pi) yet, and by how much it
is above depends on how the decoder stretches its two directions, not only on their product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

HalfSphere = Literal["pole", "rim", "cdf"]

#: nats, of the uniform law on the half-sphere of radius 1
HALF_SPHERE_ENTROPY = math.log(2 * math.pi)


def half_sphere(name: HalfSphere) -> Callable[[Tensor], Tensor]:
    r"""A decoder that maps N(0, I) in two dimensions to the uniform law on the half-sphere.

    Args:
        name: ``"pole"`` has the height :math:`h = e^{-r^2/2}` and the angle of the code, so the
            code 0 lies at the pole; ``"rim"`` has :math:`h = 1 - e^{-r^2/2}`, so codes far out do;
            ``"cdf"`` has :math:`h = \Phi(z_1)` and the angle :math:`2 \pi \Phi(z_2)`.

    Returns:
        Function of (n, 2) to (n, 3).

    Raises:
        ValueError: another name.

    Example:
        >>> x = half_sphere("pole")(torch.randn(5, 2, dtype=torch.float64))
        >>> bool(((x.norm(dim=1) - 1).abs() < 1e-12).all())
        True
    """
    _check_name(name)
    return {"pole": _pole, "rim": _rim, "cdf": _cdf}[name]


def half_sphere_stretch(name: HalfSphere, z: Tensor) -> Tensor:
    r"""Singular values of the decoder's Jacobian in closed form.

    The product is :math:`2 \pi p(z) = e^{-|z|^2/2}` for all three. With w the distance from the
    axis of the half-sphere, they are :math:`r h / w` and :math:`w / r` for ``"pole"``,
    :math:`r (1 - h) / w` and :math:`w / r` for ``"rim"``, and :math:`\varphi(z_1) / w` and
    :math:`2 \pi \varphi(z_2) w` for ``"cdf"``.

    Args:
        name: as in :func:`half_sphere`.
        z: (n, 2) codes.

    Returns:
        (n, 2) in the dtype of ``z``: along the meridian, and along the parallel.

    Example:
        >>> half_sphere_stretch("pole", torch.tensor([[3.0, 4.0]])).prod(1).log()
        tensor([-12.5000])
    """
    _check_name(name)
    r = z.norm(dim=1)
    fall = torch.exp(-(r**2) / 2)  # e^(-r^2/2), and one minus it without cancellation:
    rest = -torch.expm1(-(r**2) / 2)
    if name == "cdf":
        density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        w = (_tail(z[:, 0]) * (1 + _tail(-z[:, 0]))).sqrt()
        return torch.stack([density[:, 0] / w, 2 * math.pi * density[:, 1] * w], 1)
    w = ((rest * (1 + fall)) if name == "pole" else (fall * (1 + rest))).sqrt()
    return torch.stack([r * fall / w, w / r], 1)


def half_sphere_moments(name: HalfSphere, scale: float) -> tuple[float, float]:
    r"""Mean and standard deviation over codes of minus the log-density at scale s, by quadrature.

    The mean is what an estimate with endless samples gives. It tends to log(2 pi) with s.

    Args:
        name: as in :func:`half_sphere`.
        scale: s, above 0.

    Raises:
        ValueError: another name, or a scale that is not above 0.

    Example:
        >>> mean, spread = half_sphere_moments("pole", 0.1)
        >>> round(mean, 4), round(spread, 4)
        (1.9161, 0.2624)
    """
    _check_name(name)
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be a finite number above 0, got {scale!r}")

    z, mass = _grid(name)
    stretch = half_sphere_stretch(name, z)
    noisy = torch.hypot(stretch, stretch.new_tensor(scale))
    excess = noisy.log().sum(1) + z.square().sum(1) / 2  # above log(2 pi)
    mean = float((mass * excess).sum())
    spread = math.sqrt(float((mass * (excess - mean).square()).sum()))
    return HALF_SPHERE_ENTROPY + mean, spread


def _grid(name: HalfSphere) -> tuple[Tensor, Tensor]:
    """Codes and their probabilities, which stand for N(0, I) in two dimensions."""
    if name == "cdf":
        axis = torch.linspace(-9, 9, 601, dtype=torch.float64)
        z = torch.cartesian_prod(axis, axis)
        mass = torch.exp(-z.square().sum(1) / 2)
    else:  # the same in all directions
        r = torch.linspace(0, 12, 200_001, dtype=torch.float64)[1:]
        z = torch.stack([r, torch.zeros_like(r)], 1)
        mass = r * torch.exp(-(r**2) / 2)
    return z, mass / mass.sum()


def _pole(z: Tensor) -> Tensor:
    square = z.square().sum(1, keepdim=True)
    return torch.cat([z * (-torch.expm1(-square) / square).sqrt(), torch.exp(-square / 2)], 1)


def _rim(z: Tensor) -> Tensor:
    square = z.square().sum(1, keepdim=True)
    fall = torch.exp(-square / 2)
    return torch.cat([z * (fall * (2 - fall) / square).sqrt(), 1 - fall], 1)


def _cdf(z: Tensor) -> Tensor:
    height, angle = _tail(-z[:, :1]), 2 * math.pi * _tail(-z[:, 1:])
    w = (_tail(z[:, :1]) * (1 + height)).sqrt()
    return torch.cat([w * angle.cos(), w * angle.sin(), height], 1)


def _tail(z: Tensor) -> Tensor:
    """P(Z > z), without cancellation far out."""
    return torch.erfc(z / math.sqrt(2)) / 2


def _check_name(name: str) -> None:
    if name not in get_args(HalfSphere):
        raise ValueError(f"name must be one of {', '.join(get_args(HalfSphere))}, got {name!r}")
