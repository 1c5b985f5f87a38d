"""From an angle to the direction to a point of the sphere, at random around the direction; without gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._normals import standard_normals, uniform_directions

_HIGH = 32
"""From this dimension on, a normal vector less its part along the direction keeps all but a few of its digits."""


def place(direction: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Points ``[*s, d]`` at the angle of the given cosine and sine ``[*s]`` from ``direction [*b, d]``.

    ``*b`` broadcasts to ``*s``. Around the direction the law is uniform; draws come from torch's global generator.
    """
    dim = direction.shape[-1]
    if dim >= _HIGH:
        return _along_and_across(direction, cosine, sine)
    if direction.ndim == 1:
        return _by_basis(direction, cosine, sine)
    return _by_reflection(direction, cosine, sine)


def _along_and_across(direction: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The part of a normal vector z across the direction, scaled, and the direction: x = a z + (cos - a z.mu) mu."""
    z = standard_normals((*cosine.shape, direction.shape[-1]), direction)
    along = z @ direction if direction.ndim == 1 else (z * direction).sum(-1)
    scale = sine / (torch.linalg.vector_norm(z, dim=-1).square() - along.square()).sqrt()
    rest = cosine - scale * along
    z.mul_(scale[..., None])
    if direction.ndim == 1:
        z.view(-1, len(direction)).addr_(rest.reshape(-1), direction)
        return z
    return z.addcmul_(rest[..., None], direction)


def _reflected(direction: Tensor) -> tuple[Tensor, Tensor]:
    """The vector u = mu + e_1, e_1 with the sign of mu_1, and 2 / |u|^2 <= 1: reflected along u, e_1 is mu or -mu."""
    first = direction[..., :1]
    u = torch.cat([first + torch.where(first >= 0, 1.0, -1.0), direction[..., 1:]], -1)
    return u, 2 / u.square().sum(-1, keepdim=True)


def _by_basis(direction: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Coordinates as rows, in the basis of the direction and of the images of e_2 ... e_d: one matrix product."""
    dim, count = len(direction), cosine.numel()
    rows = direction.new_empty(dim, count)
    rows[0] = cosine.reshape(-1)
    radius = sine.reshape(-1)
    if dim == 2:
        torch.where(torch.rand_like(radius) < 0.5, -radius, radius, out=rows[1])
    elif dim == 3:
        turn = torch.rand_like(radius).mul_(2 * math.pi)
        torch.mul(turn.cos(), radius, out=rows[1])
        torch.mul(turn.sin_(), radius, out=rows[2])
    else:
        normal = standard_normals((dim - 1, count), direction)
        torch.mul(normal, radius / torch.linalg.vector_norm(normal, dim=0), out=rows[1:])
    u, factor = _reflected(direction)
    basis = torch.eye(dim, dtype=direction.dtype, device=direction.device).addr_(u, u * factor, alpha=-1)
    basis[:, 0] = direction
    return (rows.mT @ basis.mT).view(*cosine.shape, dim)


def _by_reflection(direction: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The same for many directions: cos mu + the image of sin (0, w), w uniform."""
    dim = direction.shape[-1]
    if dim == 2:
        around = torch.where(torch.rand_like(sine) < 0.5, -1.0, 1.0).to(sine)[..., None]
    else:
        around = uniform_directions(tuple(cosine.shape), dim - 1, direction)
    y = torch.cat([torch.zeros_like(sine)[..., None], sine[..., None] * around], -1)
    u, factor = _reflected(direction)
    y.addcmul_(u, factor * (y * u).sum(-1, keepdim=True), value=-1)
    return y.addcmul_(cosine[..., None], direction)
