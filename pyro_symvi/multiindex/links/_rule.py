"""Quadrature for the standard normal law with panels that close in on kinks and jumps of a function."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy
import torch
from torch import Tensor

from .._legendre import legendre, legendre_numbers

REACH = 14.0
"""Panels cover [-14, 14]; the normal law leaves 1.6e-44 outside."""
ORDER = 16
"""Gauss-Legendre nodes a panel."""
FIRST_PANELS = 56
SMALLEST = 1e-13
"""No panel is split below this width."""
MOST_PANELS = 6000
PROBES = 1024
"""Places in each of the first panels at which a function is compared with its interpolant at the nodes."""
_ACCEPTED = 1e-15
_MISSED = 1e-7
_DEPTH_OF_A_BREAK = 9


@dataclass(frozen=True, eq=False)
class Panels:
    """Panels [left, right] with the level of bisection at which each was accepted."""

    left: Tensor
    right: Tensor
    depth: Tensor

    def halved(self) -> Panels:
        """Each panel cut in two: the finer rule that an error is measured with."""
        middle = 0.5 * (self.left + self.right)
        return Panels(
            torch.stack([self.left, middle], 1).flatten(),
            torch.stack([middle, self.right], 1).flatten(),
            self.depth.repeat_interleave(2) + 1,
        )

    def rule(self) -> tuple[Tensor, Tensor]:
        """Nodes and weights ``[m]`` of E f(z), z ~ N(0, 1): the weights hold the normal density."""
        nodes, weights = _nodes(self.left, self.right)
        return nodes.flatten(), weights.flatten()


def _nodes(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    reference, weights = legendre(ORDER)
    half = 0.5 * (right - left)[:, None]
    nodes = 0.5 * (left + right)[:, None] + half * reference
    return nodes, half * weights * torch.exp(-0.5 * nodes.square()) / math.sqrt(2 * math.pi)


def adaptive_panels(function: Callable[[Tensor], Tensor]) -> Panels:
    """Panels on which Gauss-Legendre quadrature of f phi and f^2 phi has converged.

    A panel is cut in two while its quadrature differs from that of its halves by more than 1e-15 of the integral of
    abs(f) phi or f^2 phi; so panels close in on a jump to a width of 1e-13, on a kink to about 1e-7. It is cut as well
    while f is not what its nodes say at one of the places in between, 5e-4 apart: nothing wider goes unseen, narrower
    spikes may. A function that would need more than 6,000 panels (noise, endless oscillation) is left where it stands:
    the error shows it.
    """
    edges = torch.linspace(-REACH, REACH, FIRST_PANELS + 1, dtype=torch.float64)
    left, right, depth, total = edges[:-1], edges[1:], 0, None
    probes = edges[:-1, None] + (edges[1:] - edges[:-1])[:, None] * (torch.arange(PROBES) + 0.5) / PROBES
    seen = function(probes.flatten()).reshape(probes.shape)
    kept: list[tuple[Tensor, Tensor, int]] = []
    count = 0
    while len(left):
        values, weights = _values(function, left, right)
        coarse = _sums(values, weights)
        middle = 0.5 * (left + right)
        fine = _estimates(function, left, middle) + _estimates(function, middle, right)
        total = fine.abs().sum(0).clamp_min(1e-300) if total is None else total
        settled = ((coarse - fine).abs() <= _ACCEPTED * total).all(1)
        if PROBES >> depth:
            settled &= _missed(left, values, probes, seen, depth) <= _MISSED * total[0]
        settled |= right - left <= SMALLEST
        if count + len(left) > MOST_PANELS:
            settled = torch.ones_like(settled)
        kept.append((left[settled], right[settled], depth))
        count += int(settled.sum())
        open_left, open_middle, open_right = left[~settled], middle[~settled], right[~settled]
        left = torch.stack([open_left, open_middle], 1).flatten()
        right = torch.stack([open_middle, open_right], 1).flatten()
        depth += 1
    starts = torch.cat([a for a, _, _ in kept])
    order = starts.argsort()
    depths = torch.cat([torch.full((len(a),), d) for a, _, d in kept])
    return Panels(starts[order], torch.cat([b for _, b, _ in kept])[order], depths[order])


def uniform_panels(count: int) -> Panels:
    """Equal panels on [-14, 14]; an even number puts an edge at 0."""
    edges = torch.linspace(-REACH, REACH, count + 1, dtype=torch.float64)
    return Panels(edges[:-1], edges[1:], torch.zeros(count, dtype=torch.long))


def _estimates(function: Callable[[Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    return _sums(*_values(function, left, right))


def _values(function: Callable[[Tensor], Tensor], left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    nodes, weights = _nodes(left, right)
    return function(nodes.flatten()).reshape(nodes.shape), weights


def _sums(values: Tensor, weights: Tensor) -> Tensor:
    return torch.stack([(weights * values).sum(1), (weights * values.square()).sum(1)], 1)


def _missed(left: Tensor, values: Tensor, probes: Tensor, seen: Tensor, depth: int) -> Tensor:
    """Largest difference, times phi, of f and its interpolant at the nodes, over the probes in each panel."""
    count = PROBES >> depth
    width = 2 * REACH / FIRST_PANELS * 0.5**depth
    panel = ((left + REACH) / width).round().long()
    places = probes.reshape(-1, count)[panel]
    gap = seen.reshape(-1, count)[panel] - values @ torch.from_numpy(_interpolation(count))
    return (gap.abs() * torch.exp(-0.5 * places.square()) / math.sqrt(2 * math.pi)).amax(1)


@lru_cache(maxsize=16)
def _interpolation(count: int) -> numpy.ndarray:
    """From the nodes of a panel to ``count`` places in it, ``[ORDER, count]``: sums of Legendre polynomials."""
    vander = numpy.polynomial.legendre.legvander
    nodes, weights = legendre_numbers(ORDER)
    places = (2 * numpy.arange(count) + 1) / count - 1
    norms = numpy.arange(ORDER) + 0.5
    return numpy.asarray(weights[:, None] * (vander(nodes, ORDER - 1) * norms) @ vander(places, ORDER - 1).T)


def breaks(function: Callable[[Tensor], Tensor], panels: Panels) -> tuple[float, ...]:
    """Where the function, its slope or its curvature jumps, between -8 and 8, in increasing order.

    Candidates are the edges of the first panels and the places that bisection closed in on. A candidate is a jump
    where the difference across it stays as the step shrinks, a kink where that of the slopes does; likewise for the
    curvature. Places of kinks are polished as the meeting of two lines and right to about 1e-7; jumps of higher
    derivatives are not told.
    """
    deep = panels.depth >= _DEPTH_OF_A_BREAK
    candidates = [(float(e), 0.0) for e in torch.linspace(-8, 8, 33, dtype=torch.float64)]
    run: list[int] = []
    for index in range(len(deep) + 1):
        if index < len(deep) and bool(deep[index]):
            run.append(index)
        elif run:
            candidates += _narrowest(panels.left[run], panels.right[run])
            run = []
    places, widths = torch.tensor(sorted(c for c in candidates if abs(c[0]) <= 8), dtype=torch.float64).T
    places = _met(function, _met(function, places, widths, 1e-3), widths, 1e-5)
    probe = torch.linspace(-3, 3, 601, dtype=torch.float64) + 0.0012345
    height = function(probe)
    size = float((height.max() - height.min()).clamp_min(1e-300))

    def jump(step: float) -> Tensor:
        return (function(places + step) - function(places - step)).abs() / size

    def bend(step: float) -> Tensor:
        ahead = function(places + 2 * step) - function(places + step)
        behind = function(places - step) - function(places - 2 * step)
        return (ahead - behind).abs() / (step * size)

    def curve(step: float) -> Tensor:
        ahead = function(places + step) - 2 * function(places + 2 * step) + function(places + 3 * step)
        behind = function(places - step) - 2 * function(places - 2 * step) + function(places - 3 * step)
        return (ahead - behind).abs() / (step**2 * size)

    jumps = (jump(1e-7) > 0.5 * jump(1e-5)) & (jump(1e-7) > 1e-6)
    bends = (bend(1e-5) > 0.5 * bend(1e-3)) & (bend(1e-5) > 1e-4)
    curves = (curve(1e-3) > 0.5 * curve(4e-3)) & (curve(1e-3) > 0.5 * curve(3e-2)) & (curve(1e-3) > 1e-3)
    found: list[float] = []
    for place in places[jumps | bends | curves].tolist():
        if not found or place - found[-1] > 1e-5:
            found.append(0.0 if abs(place) < 1e-9 else place)
    return tuple(found)


def _narrowest(left: Tensor, right: Tensor) -> list[tuple[float, float]]:
    """Middle and width of each panel that is narrower than those around it, of neighbours as narrow the first."""
    widths = [math.inf, *(right - left).tolist(), math.inf]
    found, falling = [], True
    for k in range(1, len(widths) - 1):
        if widths[k] < widths[k - 1] * (1 - 1e-6):
            falling = True
        if falling and widths[k] < widths[k + 1] * (1 - 1e-6):
            first = k
            while widths[first - 1] < widths[k] * (1 + 1e-6):
                first -= 1
            found.append((float(0.5 * (left[first - 1] + right[first - 1])), widths[k]))
        if widths[k + 1] > widths[k] * (1 + 1e-6):
            falling = False
    return found


def _met(function: Callable[[Tensor], Tensor], places: Tensor, widths: Tensor, step: float) -> Tensor:
    """Where the lines through two points on either side meet, at most a panel's width away."""
    far_left, left = function(places - 2 * step - widths), function(places - step - widths)
    right, far_right = function(places + step + widths), function(places + 2 * step + widths)
    behind, ahead = (left - far_left) / step, (far_right - right) / step
    rise = right - ahead * (step + widths) - left - behind * (step + widths)
    move = torch.where(behind == ahead, 0.0, rise / torch.where(behind == ahead, 1.0, behind - ahead))
    return places + move.maximum(-widths).minimum(widths)
