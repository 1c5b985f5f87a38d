"""From an angle to the direction to a point of the sphere, at random around the direction; without gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._normals import BLOCK, fill_with_normals, uniform_directions

_HIGH = 32
"""From this dimension on, a normal vector less its part along the direction keeps all but a few of its digits."""


def place(direction: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Points ``[*s, d]`` at the angle of the given cosine and sine ``[*s]`` from ``direction [*b, d]``.

    ``*b`` broadcasts to ``*s``. Around the direction the law is uniform; draws come from torch's global generator. For
    one direction they are made in blocks that stay in the cache.
    """
    dim = direction.shape[-1]
    if direction.ndim > 1:
        return (_along_and_across if dim >= _HIGH else _by_reflection)(direction, cosine, sine)
    found = direction.new_empty(cosine.numel(), dim)
    size = max(1, BLOCK // dim)
    flat = (x.split(size) for x in (found, cosine.reshape(-1), sine.reshape(-1)))
    for part, t, s in zip(*flat, strict=True):
        if dim >= _HIGH:
            _along_and_across(direction, t, s, out=part)
        else:
            _by_rows(direction, t, s, out=part)
    return found.view(*cosine.shape, dim)


def _along_and_across(direction: Tensor, cosine: Tensor, sine: Tensor, out: Tensor | None = None) -> Tensor:
    """The part of a normal vector z across the direction, scaled, and the direction: x = a z + (cos - a z.mu) mu."""
    z = fill_with_normals(direction.new_empty(*cosine.shape, direction.shape[-1]) if out is None else out)
    along = z @ direction if direction.ndim == 1 else (z * direction).sum(-1)
    scale = sine / (torch.linalg.vector_norm(z, dim=-1).square() - along.square()).sqrt()
    rest = cosine - scale * along
    z.mul_(scale[..., None])
    return z.addr_(rest, direction) if direction.ndim == 1 else z.addcmul_(rest[..., None], direction)


def _reflection(direction: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the reflection y - u (factor u.y): its u = mu + sign e_1 and factor 2 / |u|^2 <= 1, and the sign of mu_1.

    It takes e_1 to -sign mu, and as |u| is never small, it keeps all digits wherever the direction is.
    """
    first = direction[..., :1]
    sign = torch.where(first >= 0, 1.0, -1.0).to(direction)
    u = torch.cat([first + sign, direction[..., 1:]], -1)
    return u, 2 / u.square().sum(-1, keepdim=True), sign


def _by_rows(direction: Tensor, cosine: Tensor, sine: Tensor, out: Tensor) -> None:
    """-sign cos e_1 + sin (0, w), w uniform, reflected; coordinates as rows, so that every pass is a long one."""
    dim, count = len(direction), len(cosine)
    u, factor, sign = _reflection(direction)
    rows = direction.new_empty(dim, count)
    torch.mul(cosine, -sign, out=rows[0])
    if dim == 2:
        torch.where(torch.rand_like(sine) < 0.5, -sine, sine, out=rows[1])
    elif dim == 3:
        turn = torch.rand_like(sine).mul_(2 * math.pi)
        torch.mul(turn.cos(), sine, out=rows[1])
        torch.mul(turn.sin_(), sine, out=rows[2])
    else:
        normal = fill_with_normals(rows[1:])
        normal.mul_(sine / (normal * normal).sum(0).sqrt())
    rows.addr_(u * factor, u @ rows, alpha=-1)
    out.copy_(rows.mT)


def _by_reflection(direction: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The same for many directions."""
    dim = direction.shape[-1]
    if dim == 2:
        around = torch.where(torch.rand_like(sine) < 0.5, -1.0, 1.0).to(sine)[..., None]
    else:
        around = uniform_directions(tuple(cosine.shape), dim - 1, direction)
    u, factor, sign = _reflection(direction)
    y = torch.cat([-sign * cosine[..., None], sine[..., None] * around], -1)
    return y.addcmul_(u, factor * (y * u).sum(-1, keepdim=True), value=-1)
