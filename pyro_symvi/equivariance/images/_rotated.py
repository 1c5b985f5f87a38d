"""Images turned by any angle, by interpolation, and the disc that stays in the frame."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Mode = Literal["nearest", "bilinear", "bicubic", "fourier"]
Padding = Literal["zeros", "border", "reflection"]


def rotated_images(x: Tensor, angle: Tensor | float, mode: Mode = "bicubic", padding: Padding = "zeros") -> Tensor:
    """Images ``[*batch, height, width]`` turned about their centre, counterclockwise as displayed (first row on top).

    ``(T_a x)(p) = x(R(-a) p)``, p the position of a pixel's centre in pixels, x between pixels by interpolation. The
    angle is in radians, ``[*batch]``, broadcast with the batch dimensions of x (which include channels). For square
    images multiples of a quarter turn agree with :class:`~pyro_symvi.groups.GridRotations` up to rounding. At other
    angles ``T_a T_b`` is ``T_(a+b)`` only up to the error of interpolation.

    Args:
        x: floating images.
        angle: radians.
        mode: "nearest"; "bilinear"; "bicubic", torch's kernel of parameter -0.75, with about half the error of
            "bilinear" on smooth images and a quarter on rougher ones; "fourier", the trigonometric interpolant, exact
            to rounding for images that are band-limited and vanish at the frame, at a cost of height * width for each
            pixel (up to 64 x 64 or so).
        padding: what lies outside the frame: "zeros", "border" (nearest pixel) or "reflection"; "zeros" for "fourier".

    Raises:
        ValueError: for angles that are not finite.
    """
    _check(x, mode, padding)
    angle = torch.as_tensor(angle, dtype=torch.float64, device=x.device)
    if not bool(torch.isfinite(angle).all()):
        raise ValueError("expected finite angles, got nan or inf")
    batch = torch.broadcast_shapes(angle.shape, x.shape[:-2])
    height, width = x.shape[-2:]
    # Trailing batch dimensions with one angle are channels of one picture: they share its grid.
    sizes = (*(1,) * (len(batch) - angle.ndim), *angle.shape)
    outer = max((k + 1 for k, size in enumerate(sizes) if size > 1), default=0)
    pictures = x.expand(*batch, height, width).reshape(math.prod(batch[:outer]), -1, height, width)
    grid = _grid(angle.reshape(sizes[:outer]).expand(batch[:outer]).reshape(-1), height, width).to(x.dtype)
    if mode == "fourier":
        turned = _trigonometric(pictures, grid)
    else:
        turned = torch.nn.functional.grid_sample(pictures, grid, mode, padding, align_corners=False)
    return turned.reshape(*batch, height, width)


def inscribed_disc(size: int, radius: float = 1.0, soft: float = 0.0) -> Tensor:
    """Weights ``[size, size]`` that are 1 inside the disc of ``radius`` (1: touching the frame) and 0 outside.

    With ``soft > 0`` they fall from 1 to 0 over the outermost part of that width, as (1 + cos) / 2. What lies outside
    the disc of radius 1 leaves the frame under rotation: images that have something there should be multiplied by a
    soft disc first, since a hard edge is itself hard to interpolate.

    Raises:
        ValueError: unless the size is a positive int, the radius positive and ``0 <= soft <= radius``.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"expected size as a positive int, got {size!r}")
    if not 0 < radius < math.inf or not 0 <= soft <= radius:
        raise ValueError(f"expected 0 < radius and 0 <= soft <= radius, got radius={radius!r}, soft={soft!r}")
    at = (torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / (size / 2)
    distance = (at[:, None].square() + at.square()).sqrt()
    if soft == 0:
        return (distance <= radius).double()
    return (1 + torch.cos(math.pi * ((distance - radius) / soft + 1).clamp(0, 1))) / 2


def _trigonometric(pictures: Tensor, grid: Tensor) -> Tensor:
    """The trigonometric interpolant of ``pictures [n, c, H, W]`` at ``grid [n, H, W, 2]``, 0 outside the frame.

    sum_ij D_H(y - i) D_W(x - j) x_ij with the periodic sinc functions D.
    """
    height, width = pictures.shape[-2:]
    half = torch.tensor([width, height], dtype=grid.dtype, device=grid.device) / 2
    columns, rows = ((grid + 1) * half - 0.5).flatten(1, 2).unbind(-1)
    across = _periodic_sinc(columns, width)
    down = _periodic_sinc(rows, height)
    found = torch.einsum("npi,ncij,npj->ncp", down, pictures, across)
    inside = (grid.abs() <= 1 + 1e-9).all(-1).flatten(1)[:, None]
    return (found * inside).reshape(pictures.shape)


def _periodic_sinc(at: Tensor, size: int) -> Tensor:
    """D(t - k) for ``at [..., p]`` and k = 0, ..., size - 1: sin(pi t) / (size sin(pi t / size)), even sizes with cos.

    The cosine halves the highest frequency of even sizes, so that D is 1 at k and 0 at other pixels.
    """
    t = torch.pi * (at[..., None] - torch.arange(size, dtype=at.dtype, device=at.device)) / size
    sine = t.sin()
    near = sine.abs() < 1e-9  # t is a multiple of pi: the pixel itself, or its periodic image
    value = (size * t).sin() / (size * torch.where(near, torch.ones_like(sine), sine))
    return torch.where(near, torch.ones_like(value), value if size % 2 else value * t.cos())


def _grid(angle: Tensor, height: int, width: int) -> Tensor:
    """Where the pixels of the turned images come from, ``[n, height, width, 2]`` in units of half the frame."""
    right = torch.arange(width, dtype=torch.float64, device=angle.device) - (width - 1) / 2
    up = (height - 1) / 2 - torch.arange(height, dtype=torch.float64, device=angle.device)[:, None]
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return torch.stack([2 / width * (cosine * right + sine * up), 2 / height * (sine * right - cosine * up)], -1)


def _check(x: Tensor, mode: str, padding: str) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"expected images of a floating dtype, got {getattr(x, 'dtype', type(x).__name__)}")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"expected images [..., height, width], got shape {list(x.shape)}")
    if mode not in get_args(Mode):
        raise ValueError(f"expected mode to be one of {', '.join(get_args(Mode))}, got {mode!r}")
    if padding not in get_args(Padding):
        raise ValueError(f"expected padding to be one of {', '.join(get_args(Padding))}, got {padding!r}")
    if mode == "fourier" and padding != "zeros":
        raise ValueError(f"expected padding='zeros' for mode='fourier', got {padding!r}; try 'bilinear'")
