r"""Integrals over the circle and the sphere by adaptive Gauss rules: the whole space is covered.

Cells in the angles (theta, phi) with respect to a pole, area sin(theta) dtheta dphi; in the plane, arcs. A cell whose
rule of order 5 differs from that of its parts is divided; so are those next to a maximum of the log density found by
climbing. What is narrower than the smallest spacing and has no slope that leads to it is not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from .density import SphereDensity, random_directions, tangent
from .peaks import Peaks

_ORDER = 7
_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_ORDER))
_TOLERANCE = 1e-11
_MOST_CELLS = 6000
_DEPTH = 26


@dataclass(frozen=True)
class SphereRule:
    """Points and log-weights of a rule adapted to one density.

    Attributes:
        x: Unit vectors ``[m, n]``.
        log_area: Logarithm of their areas ``[m]``.
        log_p: Log density at them, minus infinity where it is undefined.
        error: Bound-like estimate of the relative error of an integral of a bounded function: what the last division
            changed, summed over cells.
        spacing: Largest distance of any point of the sphere to the nearest node, about, in radians.
        undefined: Share of the area where the log density is nan.
        converged: Whether the error is below 1e-9.
    """

    x: torch.Tensor
    log_area: torch.Tensor
    log_p: torch.Tensor
    error: float
    spacing: float
    undefined: float

    @property
    def converged(self) -> bool:
        """Whether integrals are known to about nine digits."""
        return self.error < 1e-9 and self.undefined < 1e-6

    def weights(self, power: float = 1.0) -> torch.Tensor:
        """Normalised weights of p^power, ``[m]``."""
        return (power * self.log_p + self.log_area).softmax(0)


def adaptive_rule(density: SphereDensity, peaks: Peaks) -> SphereRule:
    """A rule for a density on the circle or the sphere of R^3, its peaks away from the poles of the angles."""
    if density.dim not in (2, 3):
        raise ValueError(f"expected a density on the circle or the sphere of R^3, got dimension {density.dim}")
    frame, offset, halves = _frame(peaks.x), float(peaks.height[0]), 2 ** (density.dim - 1)
    cells, parent = _first_cells(density.dim), None
    kept: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    error, total, undefined = 0.0, 0.0, 0.0
    for depth in range(_DEPTH):
        x, log_area = _nodes(cells, frame)
        log_p = density(x.reshape(-1, density.dim)).detach().reshape(log_area.shape)
        bad = torch.isnan(log_p) | (log_p == torch.inf)
        error = math.inf if bool((log_p == torch.inf).any()) else error  # a pole: it may not be integrable
        log_p = torch.where(bad, -torch.inf, log_p)
        values = _values(x, log_p - offset, log_area)  # [cells, integrals]
        if parent is None:
            change = torch.full((len(cells),), torch.inf, dtype=torch.float64)
        else:
            parts = values.reshape(-1, halves, values.shape[-1]).sum(1)
            change = (parts - parent).abs().amax(-1).repeat_interleave(halves) / halves
        sum_so_far = total + float(values[:, 0].sum())
        small = (change <= _TOLERANCE * sum_so_far / 64) & ~_hides_a_peak(cells, x, log_p, peaks)
        last = depth == _DEPTH - 1 or sum(len(k[1]) for k in kept) + len(cells) > _MOST_CELLS
        stop = small | last
        kept.append((x[stop], log_area[stop], log_p[stop]))
        if parent is not None:
            error += float(change[stop].nan_to_num(nan=math.inf).sum())
        total += float(values[stop, 0].sum())
        undefined += float((log_area[stop].exp() * bad[stop]).sum())
        if bool(stop.all()):
            break
        cells, parent = _divided(cells[~stop]), values[~stop]
    points, areas, heights = (torch.cat([k[i].reshape(-1, *k[i].shape[2:]) for k in kept]) for i in range(3))
    whole = float(areas.exp().sum())
    relative = error / total if total > 0 else math.inf
    return SphereRule(points, areas, heights, relative, _spacing(density.dim), undefined / whole)


def _hides_a_peak(cells: torch.Tensor, x: torch.Tensor, log_p: torch.Tensor, peaks: Peaks) -> torch.Tensor:
    """Whether a cell is wider than a peak in it or next to it, or its nodes stay a nat below that peak."""
    size = (cells[:, 1::2] - cells[:, ::2]).amax(-1)
    near = torch.zeros(len(cells), dtype=torch.bool)
    middle = x[:, x.shape[1] // 2]
    top = log_p.amax(-1)
    for point, width, height in zip(peaks.x, peaks.width, peaks.height, strict=True):
        near |= ((middle - point).norm(dim=-1) < 1.1 * size) & ((size > 2 * width) | (top < height - 1))
    return near


def _frame(peaks: torch.Tensor) -> torch.Tensor:
    """Orthogonal ``[n, n]``, its last column, the pole of the angles, as far as can be from the peaks ``[m, n]``.

    Cells are thin next to a pole: dividing them there would cost more than elsewhere.
    """
    n = peaks.shape[1]
    generator = torch.Generator().manual_seed(6)
    trial = tangent(peaks[0], random_directions(32, n, generator))
    trial = trial / trial.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    pole = trial[(trial @ peaks.mT).abs().amax(-1).argmin()]
    q, _ = torch.linalg.qr(torch.cat([pole[:, None], random_directions(n - 1, n, generator).mT], 1))
    return torch.cat([q[:, 1:], pole[:, None]], 1)


def _first_cells(dim: int) -> torch.Tensor:
    """Cells ``[c, 2 (dim - 1)]``: low and high of each angle."""
    if dim == 2:
        edges = torch.linspace(-math.pi, math.pi, 65, dtype=torch.float64)
        return torch.stack([edges[:-1], edges[1:]], -1)
    theta = torch.linspace(0, math.pi, 13, dtype=torch.float64)
    phi = torch.linspace(0, 2 * math.pi, 21, dtype=torch.float64)
    t, f = torch.meshgrid(torch.arange(12), torch.arange(20), indexing="ij")
    t, f = t.reshape(-1), f.reshape(-1)
    return torch.stack([theta[t], theta[t + 1], phi[f], phi[f + 1]], -1)


def _spacing(dim: int) -> float:
    """Half the widest gap between neighbouring nodes of the coarsest cells that are kept (divided once)."""
    gap = float(_NODES.diff().max()) / 2
    if dim == 2:
        return gap * (2 * math.pi / 64) / 2 / 2
    return math.hypot(gap * (math.pi / 12) / 2, gap * (2 * math.pi / 20) / 2) / 2


def _divided(cells: torch.Tensor) -> torch.Tensor:
    out = cells[:, None]
    for k in range(cells.shape[-1] // 2):
        low, high = out[..., 2 * k], out[..., 2 * k + 1]
        middle = (low + high) / 2
        first, second = out.clone(), out.clone()
        first[..., 2 * k + 1], second[..., 2 * k] = middle, middle
        out = torch.cat([first, second], 1)
    return out.reshape(-1, cells.shape[-1])


def _nodes(cells: torch.Tensor, frame: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points ``[c, m, n]`` and log-areas ``[c, m]``."""

    def axis(k: int) -> tuple[torch.Tensor, torch.Tensor]:
        low, high = cells[:, 2 * k, None], cells[:, 2 * k + 1, None]
        return low + (high - low) * (1 + _NODES) / 2, (high - low) / 2 * _WEIGHTS

    theta, w = axis(0)
    if len(frame) == 2:
        local = torch.stack([theta.sin(), theta.cos()], -1)
        return _unit(local @ frame.mT), w.log()
    phi, v = axis(1)
    theta, phi = theta[:, :, None].expand(-1, -1, _ORDER), phi[:, None, :].expand(-1, _ORDER, -1)
    sine = theta.sin()
    local = torch.stack([sine * phi.cos(), sine * phi.sin(), theta.cos()], -1)
    area = (w[:, :, None] * v[:, None, :] * sine).log()
    return _unit(local @ frame.mT).reshape(len(cells), -1, 3), area.reshape(len(cells), -1)


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def _values(x: torch.Tensor, log_p: torch.Tensor, log_area: torch.Tensor) -> torch.Tensor:
    """Integrals over each cell of 1, the coordinates, their products and p itself; ``[c, k]``."""
    mass = (log_p + log_area).exp()
    second = (x[..., :, None] * x[..., None, :]).flatten(-2)
    return torch.cat([mass[..., None], mass[..., None] * x, mass[..., None] * second], -1).sum(1)
