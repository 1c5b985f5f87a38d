"""Maxima of a density on the sphere, by climbing along great circles from many starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .density import SphereDensity, great_circle, random_directions, tangent

_STEPS = 90
_STARTS = {2: 64, 3: 192}
_MOST = 40


@dataclass(frozen=True)
class Peaks:
    """Maxima, highest first.

    Attributes:
        x: ``[m, n]``.
        height: Log density ``[m]``.
        width: One over the root of the mean curvature along the tangents ``[m]``; pi where it is flat or a ridge.
        starts: From how many points the climb began.
        near: The starts that were given, ``[k, n]``: a climb may end at the edge of a plateau, where rounding decides.
    """

    x: torch.Tensor
    height: torch.Tensor
    width: torch.Tensor
    starts: int
    near: torch.Tensor


def find_peaks(density: SphereDensity, generator: torch.Generator, near: torch.Tensor | None = None) -> Peaks:
    """Climb from random directions (and those of ``near[k, n]``); maxima within a tenth of a width are one."""
    dim = density.dim
    given = torch.zeros(0, dim, dtype=torch.float64) if near is None else near
    starts = random_directions(_STARTS.get(dim, 128), dim, generator)
    starts = torch.cat([given, starts])
    x, height = climb(density, starts)
    keep = torch.isfinite(height)
    if not bool(keep.any()):
        return Peaks(starts[:1], starts.new_zeros(1), starts.new_full((1,), torch.pi), len(starts), given)
    x, height = x[keep], height[keep]
    order = height.argsort(descending=True)
    x, height = x[order], height[order]
    width = _widths(density, x)
    kept: list[int] = []
    for i in range(len(x)):
        if len(kept) == _MOST:
            break
        if not kept or bool(
            ((x[kept] - x[i]).norm(dim=-1) > torch.maximum(0.1 * width[kept], width.new_tensor(1e-6))).all()
        ):
            kept.append(i)
    return Peaks(x[kept], height[kept], width[kept], len(starts), given)


def climb(density: SphereDensity, x: torch.Tensor, steps: int = _STEPS) -> tuple[torch.Tensor, torch.Tensor]:
    """Points ``[m, n]`` and log densities ``[m]`` after steps uphill; lengths grow after a success and shrink after a
    failure."""
    length = torch.full((len(x), 1), 0.3, dtype=torch.float64)
    value, gradient = density.value_and_grad(x)
    value = value.nan_to_num(nan=-torch.inf, posinf=-torch.inf)
    for _ in range(steps):
        norm = gradient.norm(dim=-1, keepdim=True)
        usable = (norm > 0) & torch.isfinite(norm)
        unit = torch.where(usable, gradient / norm.clamp_min(1e-300), torch.zeros_like(gradient))
        trial = great_circle(x, length * unit)
        trial_value, trial_gradient = density.value_and_grad(trial)
        better = (trial_value > value)[:, None] & usable
        x, gradient = torch.where(better, trial, x), torch.where(better, trial_gradient, gradient)
        value = torch.where(better[:, 0], trial_value, value)
        length = torch.where(better, (1.6 * length).clamp_max(0.6), 0.4 * length)
    return x, value


def _widths(density: SphereDensity, x: torch.Tensor) -> torch.Tensor:
    """From the mean over random tangents of minus the second derivative along the great circle."""
    generator = torch.Generator().manual_seed(9)
    h, curvature = 1e-4, torch.zeros(len(x), dtype=torch.float64)
    for _ in range(4):
        v = tangent(x, random_directions(len(x), x.shape[-1], generator))
        v = v / v.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        ahead, behind = great_circle(x, h * v), great_circle(x, -h * v)
        _, up = density.value_and_grad(ahead)
        _, down = density.value_and_grad(behind)
        curvature -= ((up - down) * v).sum(-1) / (2 * h) / 4
    curvature = curvature.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return torch.where(curvature > 0.1, curvature.clamp_min(0.1).rsqrt(), torch.pi)
